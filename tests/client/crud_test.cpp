#include "client/guest.hpp"

// What can be stored and read back: the contract's list, 8 to 13.
using namespace norikv;
using namespace norikv::test;

TEST_CASE("A value that was put is what a get brings") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("user:alice", "hello")) == "ok");
  CHECK(value_of(guest.get("user:alice")) == "hello");
  CHECK(cluster.stored("user:alice") == "hello");
}

TEST_CASE("A get of a missing key is a success without an entry") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const auto found = guest.get("nobody");
  REQUIRE(ended(found) == "ok");
  CHECK_FALSE(found->has_value());
}

TEST_CASE("An empty value is an entry") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "")) == "ok");
  const auto found = guest.get("key");
  REQUIRE(ended(found) == "ok");
  REQUIRE(found->has_value());
  CHECK((*found)->value.empty());
}

TEST_CASE("The empty key is a key") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("", "nameless")) == "ok");
  CHECK(value_of(guest.get("")) == "nameless");
  REQUIRE(ended(guest.remove("")) == "ok");
  CHECK(guest.get("").value() == std::nullopt);
}

TEST_CASE("Keys and values hold any bytes") {
  const Cluster cluster = start();
  Guest guest{cluster};
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  for (const std::string& key : {bytes, std::string("\0", 1), std::string("Hello \xe4\xb8\x96\xe7\x95\x8c"),
                                 std::string("a b\n%/\\\"'"), std::string("\xff\xfe")}) {
    REQUIRE(ended(guest.put(key, key + bytes)) == "ok");
    CHECK(value_of(guest.get(key)) == key + bytes);
  }
}

TEST_CASE("A put over a value replaces it and gives it another version") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const auto first = guest.put("key", "one");
  const auto second = guest.put("key", "two");
  REQUIRE(ended(first) == "ok");
  REQUIRE(ended(second) == "ok");
  CHECK(first->version != second->version);
  CHECK(value_of(guest.get("key")) == "two");
}

TEST_CASE("A removed key is missing") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  REQUIRE(ended(guest.remove("key")) == "ok");
  CHECK(guest.get("key").value() == std::nullopt);
}

TEST_CASE("Removing a key again is a success") {
  const Cluster cluster = start();
  Guest guest{cluster};
  CHECK(ended(guest.remove("key")) == "ok");
  CHECK(ended(guest.remove("key")) == "ok");
}

TEST_CASE("A removed key can be put again") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "one")) == "ok");
  REQUIRE(ended(guest.remove("key")) == "ok");
  REQUIRE(ended(guest.put("key", "two")) == "ok");
  CHECK(value_of(guest.get("key")) == "two");
}

TEST_CASE("A get brings the version of the put before it") {
  // True of a server that never restarted.
  const Cluster cluster = start();
  Guest guest{cluster};
  const auto written = guest.put("key", "value");
  const auto found = guest.get("key");
  REQUIRE(ended(written) == "ok");
  REQUIRE(value_of(found) == "value");
  CHECK((*found)->version == written->version);
}

TEST_CASE("A key of 1024 bytes is taken, one of 1025 is refused and not sent") {
  const Cluster cluster = start();
  Guest guest{cluster};
  CHECK(ended(guest.put(std::string(1024, 'k'), "value")) == "ok");
  CHECK(value_of(guest.get(std::string(1024, 'k'))) == "value");
  const auto before = cluster.counters();

  const std::string long_key(1025, 'k');
  const auto written = guest.put(long_key, "value");
  CHECK(ended(written) == "invalid_argument");
  CHECK(written.error().message.find("1025") != std::string::npos);
  CHECK_FALSE(written.error().maybe_applied);
  CHECK(ended(guest.get(long_key)) == "invalid_argument");
  CHECK(ended(guest.remove(long_key)) == "invalid_argument");
  CHECK(cluster.counters().puts == before.puts);
  CHECK(cluster.counters().gets == before.gets);
  CHECK(cluster.counters().removes == before.removes);
}

TEST_CASE("A value of 1 MiB is taken, one byte more is refused and not sent") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const std::string largest(max_value_size, 'v');
  CHECK(ended(guest.put("key", largest)) == "ok");
  CHECK(value_of(guest.get("key")) == largest);
  const auto before = cluster.counters();
  const auto written = guest.put("key", largest + "v");
  CHECK(ended(written) == "invalid_argument");
  CHECK(written.error().message.find("1048577") != std::string::npos);
  CHECK(cluster.counters().puts == before.puts);
}

TEST_CASE("Values of many sizes come back whole") {
  const Cluster cluster = start();
  Guest guest{cluster};
  for (const std::size_t size : {1u, 127u, 128u, 16383u, 16384u, 100000u, 524288u}) {
    const std::string value(size, static_cast<char>('a' + size % 26));
    REQUIRE(ended(guest.put("key-" + std::to_string(size), value)) == "ok");
    CHECK(value_of(guest.get("key-" + std::to_string(size))) == value);
  }
}

TEST_CASE("Key and value are copied before put returns") {
  const Cluster cluster = start();
  Guest guest{cluster};
  std::string key = "key";
  std::string value = "value";
  const PutOutcome written;
  guest->put(key, value, written.callback());
  key.assign("xxx");
  value.assign("xxxxx");
  REQUIRE(guest.wait(written));
  CHECK(cluster.stored("key") == "value");
  CHECK_FALSE(cluster.stored("xxx").has_value());
}

TEST_CASE("A cold shard's first write and first read succeed") {
  Cluster cluster = start({.total_shards = 4, .election = 100ms});
  Guest guest{cluster};
  CHECK(ended(guest.put(key_of(1), "value")) == "ok");
  CHECK(guest.get(key_of(2)).value() == std::nullopt);
  CHECK(cluster.counters().not_leader > 0);  // it was cold
}

TEST_CASE("Many operations at once on a cold shard cost one probe at a time") {
  Cluster cluster = start({.total_shards = 4, .election = 100ms});
  Guest guest{cluster};
  std::vector<PutOutcome> writes(32);
  const auto keys = keys_of(1, writes.size());
  for (std::size_t i = 0; i < writes.size(); ++i) guest->put(keys[i], "value", writes[i].callback());
  std::vector<GetOutcome> reads(32);
  for (std::size_t i = 0; i < reads.size(); ++i) guest->get(keys[i], reads[i].callback());
  REQUIRE(guest.wait(writes));
  REQUIRE(guest.wait(reads));
  for (const auto& write : writes) CHECK(ended(write) == "ok");
  // 100 ms of refusals with pauses of up to 20, 40, 80 ms ... in between; without single flight it would be 64 a round.
  CHECK(cluster.counters().not_leader < 32);
}

TEST_CASE("Several clients share a cluster and a loop") {
  const Cluster cluster = start();
  Guest one{cluster};
  Client two = made(create(one.loop().loop(), cluster.client_options()));
  const PutOutcome written;
  two.put("key", "of two", written.callback());
  REQUIRE(one.wait(written));
  CHECK(value_of(one.get("key")) == "of two");
}
