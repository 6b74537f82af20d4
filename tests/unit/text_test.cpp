#include "util/text.hpp"

#include "support/catch.hpp"

using namespace norikv;
using namespace std::chrono_literals;
using util::one_line;
using util::to_text;

TEST_CASE("A duration is written in the unit that suits it") {
  CHECK(to_text(0ns) == "0 s");
  CHECK(to_text(250ns) == "250 ns");
  CHECK(to_text(1500us) == "1.5 ms");
  CHECK(to_text(999us) == "999 us");
  CHECK(to_text(5s) == "5 s");
  CHECK(to_text(1234567us) == "1.235 s");
  CHECK(to_text(2h) == "7200 s");
  CHECK(to_text(-20ms) == "-20 ms");
  CHECK(to_text(100s) == "100 s");
}

TEST_CASE("A text from the network stays on one line") {
  CHECK(one_line("a\nb\r\n\tc\x7f") == "a b   c ");
  CHECK(one_line(std::string_view("a\0b", 3)) == "a b");
}

TEST_CASE("A long text is cut, and says so") {
  CHECK(one_line("abcdef", 6) == "abcdef");
  CHECK(one_line("abcdefg", 6) == "abcdef...");
}

TEST_CASE("A text is not cut inside a character") { CHECK(one_line("ab世界", 4) == "ab..."); }

TEST_CASE("UTF-8 is told from what only looks like it") {
  using namespace std::string_view_literals;
  for (const std::string_view good :
       {""sv, "plain"sv, "\0"sv, "caf\xc3\xa9"sv, "\xe4\xb8\x96"sv, "\xf0\x9f\x9a\x80"sv, "\xf4\x8f\xbf\xbf"sv}) {
    CHECK(util::is_utf8(good));
  }
  // A lone continuation, cut short, overlong, a surrogate, beyond the last code point, and never a lead byte.
  for (const std::string_view bad :
       {"\x80"sv, "\xc3"sv, "\xc3("sv, "\xc0\x80"sv, "\xe0\x80\x80"sv, "\xed\xa0\x80"sv, "\xf0\x80\x80\x80"sv,
        "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "ok\xe4\xb8"sv}) {
    CHECK_FALSE(util::is_utf8(bad));
  }
}
