#include "conformance/endpoint.hpp"

// What can be stored and read back: the contract's list, 8 to 13.
using namespace norikv;
using namespace norikv::test;

namespace {

std::string every_byte() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

/// Puts, and reads back.
void check_round_trip(Guest& guest, const std::string& key, const std::string& value) {
  INFO("a key of " << key.size() << " bytes, a value of " << value.size());
  REQUIRE(ended(guest.put(key, value)) == "ok");
  const auto found = guest.get(key);
  REQUIRE(ended(found) == "ok");
  REQUIRE(found->has_value());
  const bool same = (*found)->value == value;  // no mebibyte in a report
  CHECK(same);
}

void check_refused(const Result<Written>& written, const char* what) {
  REQUIRE_FALSE(written.has_value());
  CHECK(written.error().code == ErrorCode::invalid_argument);
  CHECK_FALSE(written.error().maybe_applied);
  CHECK(written.error().message.find(what) != std::string::npos);
}

}  // namespace

TEST_CASE("(8) What was put is what a get brings, until it is removed") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  check_round_trip(guest, key, "value");
  REQUIRE(ended(guest.remove(key)) == "ok");
  CHECK(guest.get(key).value() == std::nullopt);
}

TEST_CASE("(8) Keys and values hold any bytes") {
  Guest guest{endpoint().options()};
  check_round_trip(guest, fresh_key(every_byte()), every_byte());
  check_round_trip(guest, fresh_key(std::string("\0\0", 2)), std::string("\0", 1));
}

TEST_CASE("(8) An empty value is there, and is not a missing key") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  CHECK(guest.get(key).value() == std::nullopt);
  check_round_trip(guest, key, "");
}

TEST_CASE("(8) The empty key is a key") {
  Guest guest{endpoint().options()};
  check_round_trip(guest, "", unique_text());
  REQUIRE(ended(guest.remove("")) == "ok");
  CHECK(guest.get("").value() == std::nullopt);
}

TEST_CASE("(9) A put over a value replaces it, and after a remove it brings the key back") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  for (const char* value : {"one", "two"}) check_round_trip(guest, key, value);
  REQUIRE(ended(guest.remove(key)) == "ok");
  check_round_trip(guest, key, "three");
}

TEST_CASE("(9) Removing again, or what never was, is a success") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  for (int time = 0; time < 2; ++time) CHECK(ended(guest.remove(key)) == "ok");
  CHECK(guest.get(key).value() == std::nullopt);
}

TEST_CASE("(10) A get of a missing key is a success without an entry") {
  Guest guest{endpoint().options()};
  for (const std::uint32_t shard : endpoint().shards()) {
    const auto found = guest.get(endpoint().key("missing", shard));
    REQUIRE(ended(found) == "ok");
    CHECK_FALSE(found->has_value());
  }
}

TEST_CASE("(11) A key of 1024 bytes is taken, and one of 1025 refused before it is sent") {
  Guest guest{endpoint().options()};
  std::string key;
  do key = fresh_key(), key.resize(1024, 'k');
  while (shard_of(key, endpoint().total_shards()) >= endpoint().shards().size());
  check_round_trip(guest, key, "value");
  const auto attempts = guest->stats().attempts;
  check_refused(guest.put(key + "k", "value"), "1025");
  CHECK_FALSE(guest.get(key + "k").has_value());
  CHECK_FALSE(guest.remove(key + "k").has_value());
  CHECK(guest->stats().attempts == attempts);
}

TEST_CASE("(11) A value of 1 MiB is taken, and one byte more refused before it is sent") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  check_round_trip(guest, key, std::string(max_value_size, 'v'));
  const auto attempts = guest->stats().attempts;
  check_refused(guest.put(key, std::string(max_value_size + 1, 'v')), "1048577");
  CHECK(guest->stats().attempts == attempts);
  CHECK(value_of(guest.get(key)).value_or("").size() == max_value_size);
}

TEST_CASE("(12) Values from 10 to 512 KiB come back whole") {
  Guest guest{endpoint().options()};
  for (const std::size_t kibibytes : {10u, 64u, 100u, 512u}) {
    std::string value;
    for (std::size_t i = 0; value.size() < kibibytes * 1024; ++i) value += std::to_string(i) + '\0';
    check_round_trip(guest, fresh_key(), value);
  }
}

TEST_CASE("(12) Special characters and every script are texts like others") {
  Guest guest{endpoint().options()};
  for (const std::string& text :
       {std::string("a b\t\r\n%2F/\\\"'`$(x)"), std::string("{\"json\": [1, 2]}"),
        std::string("\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 \xe4\xb8\x96\xe7\x95\x8c"),
        std::string("\xf0\x9f\x8c\x8d\xf0\x9f\x9a\x80"), std::string("\xc0\xaf\xff not UTF-8")}) {
    check_round_trip(guest, fresh_key(text), text);
  }
}

TEST_CASE("(13) Each put gives its key a version that was not there before, and a greater one") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  std::vector<Version> written;
  std::vector<Version> read;
  for (const char* value : {"one", "two", "three"}) {
    const auto put = guest.put(key, value);
    REQUIRE(ended(put) == "ok");
    written.push_back(put->version);
    const auto found = guest.get(key);
    REQUIRE(ended(found) == "ok");
    REQUIRE(found->has_value());
    read.push_back((*found)->version);
  }
  for (const auto& versions : {written, read}) {
    for (std::size_t i = 1; i < versions.size(); ++i) {
      const auto number = [](Version version) { return std::pair{version.term, version.index}; };
      CHECK(number(versions[i]) > number(versions[i - 1]));
    }
  }
}

TEST_CASE("(13) A get tells the version of the put before it, as long as the server was not started again") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  const auto put = guest.put(key, "value");
  REQUIRE(ended(put) == "ok");
  const auto found = guest.get(key);
  REQUIRE(ended(found) == "ok");
  REQUIRE(found->has_value());
  if ((*found)->version != put->version) {
    NORIKV_SKIP_WITHOUT(Feature::common_versions, "this server was started again, its put and get count apart");
  }
  SUCCEED("they agree");
}
