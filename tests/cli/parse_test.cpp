#include "cli/parse.hpp"

#include <chrono>
#include <string>

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::cli;
using namespace std::chrono_literals;

TEST_CASE("a duration is a number and one of the units ms, s, m, h and d") {
  CHECK(parse_duration("500ms") == Duration{500ms});
  CHECK(parse_duration("30s") == Duration{30s});
  CHECK(parse_duration("2m") == Duration{2min});
  CHECK(parse_duration("12h") == Duration{12h});
  CHECK(parse_duration("7d") == Duration{7 * 24h});
  CHECK(parse_duration("007s") == Duration{7s});
}

TEST_CASE("a plain number is no duration, and the complaint names the accepted forms") {
  const auto parsed = parse_duration("30");
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error() == R"("30" has no unit: write a number and its unit, such as 500ms, 30s, 2m, 12h or 7d)");
}

TEST_CASE("what is not exactly a duration is refused") {
  const char* const text =
      GENERATE("", "s", "ms", "-5s", "+5s", " 5s", "5s ", "5 s", "5S", "1.5s", "1e3s", "0x5s", "5sec", "5us");
  CAPTURE(text);
  CHECK_FALSE(parse_duration(text));
}

TEST_CASE("a duration of nothing is refused") {
  CHECK_FALSE(parse_duration("0s"));
  CHECK_FALSE(parse_duration("000ms"));
}

TEST_CASE("durations end at ten years, also where the count overflows") {
  CHECK(parse_duration("3650d") == max_duration);
  CHECK(parse_duration("315360000000ms") == max_duration);
  CHECK_FALSE(parse_duration("3651d"));
  CHECK_FALSE(parse_duration("315360000001ms"));
  CHECK_FALSE(parse_duration("106752d"));               // more nanoseconds than 63 bits hold
  CHECK_FALSE(parse_duration("9223372036854775807h"));  // the count fits, the product does not
  CHECK_FALSE(parse_duration("18446744073709551617ms"));
}

TEST_CASE("a duration is printed as it would be written") {
  const char* const text = GENERATE("1ms", "500ms", "1500ms", "5s", "90s", "2m", "3h", "7d");
  CHECK(to_text(*parse_duration(text)) == text);
}

TEST_CASE("a version is read as put prints it, over the whole range") {
  CHECK(parse_version("0:7") == Version{0, 7});
  CHECK(parse_version("3:0") == Version{3, 0});
  CHECK(parse_version("18446744073709551615:18446744073709551615") ==
        Version{18446744073709551615U, 18446744073709551615U});
  CHECK(to_text(Version{18446744073709551615U, 12}) == "18446744073709551615:12");
}

TEST_CASE("what is not exactly a version is refused") {
  const char* const text = GENERATE("", ":", "7", "0:", ":7", "0:7:1", "0:-7", "+0:7", "0: 7", "0x0:7", "a:b", "0:7 ",
                                    "18446744073709551616:0", "0:18446744073709551616");
  CAPTURE(text);
  const auto parsed = parse_version(text);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().find("TERM:INDEX") != std::string::npos);
}

TEST_CASE("a number is accepted within its bounds only") {
  CHECK(parse_number("1", 1, 8) == 1U);
  CHECK(parse_number("8", 1, 8) == 8U);
  CHECK_FALSE(parse_number("0", 1, 8));
  CHECK_FALSE(parse_number("9", 1, 8));
  CHECK_FALSE(parse_number("", 0, 8));
  CHECK_FALSE(parse_number("-1", 0, 8));
  CHECK_FALSE(parse_number("1.0", 0, 8));
  CHECK_FALSE(parse_number("4294967297", 0, 4294967295U));
}

TEST_CASE("hex digits of either case become bytes, also zero bytes and none") {
  CHECK(parse_hex("00fFA0") == std::string("\x00\xff\xa0", 3));
  CHECK(parse_hex("") == std::string{});
}

TEST_CASE("malformed hex is refused") {
  const char* const text = GENERATE("0", "abc", "zz", "0x00", "0g", "g0", "-1", "0 ");
  CAPTURE(text);
  CHECK_FALSE(parse_hex(text));
}

TEST_CASE("each consistency level has one name") {
  CHECK(parse_consistency("lease") == Consistency::lease);
  CHECK(parse_consistency("linearizable") == Consistency::linearizable);
  CHECK(parse_consistency("stale") == Consistency::stale);
  CHECK(parse_consistency("bounded") == Consistency::bounded);
}

TEST_CASE("an unknown consistency level is refused with the names that exist") {
  const auto parsed = parse_consistency("Lease");
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error() == R"("Lease" is not a consistency level: use one of lease, linearizable, stale, bounded)");
}

TEST_CASE("each profile has one name") {
  CHECK(parse_profile("norikv") == testing::Profile::norikv);
  CHECK(parse_profile("replicated") == testing::Profile::replicated);
  CHECK_FALSE(parse_profile("raft"));
}

TEST_CASE("a list of nodes is split at commas, blanks around an address do not count") {
  CHECK(split_nodes("a:1") == std::vector<std::string>{"a:1"});
  CHECK(split_nodes(" a:1, [::1]:2 ") == std::vector<std::string>{"a:1", "[::1]:2"});
}

TEST_CASE("an empty place in a list of nodes stays, so that the client can complain about it") {
  CHECK(split_nodes("a:1,,b:2") == std::vector<std::string>{"a:1", "", "b:2"});
  CHECK(split_nodes("a:1,") == std::vector<std::string>{"a:1", ""});
}

TEST_CASE("a list of nothing has no node") { CHECK(split_nodes("  ").empty()); }

TEST_CASE("a text in a message stays in its line and can't drive the terminal") {
  CHECK(in_quotes("a\nb\x1b[2J\x7f") == R"("a b\x1b[2J\x7f")");
}

TEST_CASE("a long text in a message is cut, and not inside a character") {
  const std::string shown(59, 'x');
  CHECK(in_quotes(shown + "\xc3\xa9 and more") == '"' + shown + "...\"");
}
