#include <algorithm>
#include <set>

#include "conformance/endpoint.hpp"
#include "support/bytes.hpp"

// Where keys are: the contract's list, 1 to 4.
using namespace norikv;
using namespace norikv::test;
using norikv::tests::from_hex;
using norikv::tests::read_data;

namespace {

std::string bytes_of(const std::string& hex) { return hex == "-" ? "" : from_hex(hex); }
std::uint32_t count_of(const std::string& text) { return static_cast<std::uint32_t>(std::stoul(text)); }

}  // namespace

TEST_CASE("(1) Every key of the vectors has the server's hash and shard") {
  for (const auto& line : read_data("hash_vectors.txt")) {
    INFO("key " << line[0]);
    CHECK(key_hash(bytes_of(line[0])) == std::stoull(line[1]));
    CHECK(shard_of(bytes_of(line[0]), count_of(line[2])) == count_of(line[3]));
  }
  for (const auto& line : read_data("jump_vectors.txt")) {
    INFO("hash " << line[0]);
    CHECK(jump_hash(std::stoull(line[0]), count_of(line[1])) == count_of(line[2]));
  }
}

TEST_CASE("(1) Where the order of floating-point operations matters the shard is the server's") {
  for (const auto& line : read_data("rounding_vectors.txt")) {
    INFO("key " << line[0]);
    CHECK(shard_of(bytes_of(line[0]), count_of(line[2])) == count_of(line[3]));
  }
}

TEST_CASE("(1) The server keeps a key in the shard that the client computes") {
  if (!endpoint().knows_shards()) NORIKV_SKIP("NORIKV_TEST_SHARDS does not tell the server's number of shards");
  // The empty key: with many shards it is one that the other cases leave alone.
  const std::uint32_t shard = shard_of("", endpoint().total_shards());
  Guest guest{endpoint().options()};
  REQUIRE(ended(guest.get("")) == "ok");
  // A client that asks for nothing knows shards from the server's views alone; they come once a second.
  Guest watching{endpoint().options()};
  INFO("is NORIKV_TEST_SHARDS=" << endpoint().total_shards() << " the server's number?");
  CHECK(watching.loop().run_until([&] { return watching->cluster()->leader_of(shard) != nullptr; }, 20s));
}

TEST_CASE("(2) No number of buckets leads out of range") {
  CHECK(jump_hash(12345678901234567890u, 0) == 0);
  for (const std::uint64_t hash : {0ull, 1ull, 12345678901234567890ull, ~0ull}) {
    CHECK(jump_hash(hash, 1) == 0);
    CHECK(jump_hash(hash, 1'000'000) < 1'000'000);
  }
}

TEST_CASE("(2) A client with no shards, or more than a server can have, is refused") {
  for (const std::uint32_t shards : {0u, 1'048'577u}) {
    ClientOptions options = endpoint().options();
    options.total_shards = shards;
    const auto refused = Client::create(options);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::invalid_argument);
    CHECK(refused.error().message.find("total_shards") != std::string::npos);
  }
}

TEST_CASE("(3) A key is its bytes, whatever type they come in, and of any length") {
  const char array[] = "user:123";
  CHECK(key_hash(array) == key_hash(std::string("user:123")));
  CHECK(key_hash(std::string_view("user:123junk", 8)) == key_hash("user:123"));
  std::set<std::uint64_t> hashes;
  for (const std::string& key :
       {std::string(), std::string("\0", 1), std::string("\0\0", 2), std::string("\xff\xfe\x00\x80", 4),
        std::string("Hello \xe4\xb8\x96\xe7\x95\x8c"), std::string(1000, 'x'), std::string(10'000, 'x')}) {
    hashes.insert(key_hash(key));
    CHECK(shard_of(key, 1024) == jump_hash(key_hash(key), 1024));
    CHECK(shard_of(key, 1024) < 1024);
  }
  CHECK(hashes.size() == 7);
}

TEST_CASE("(4) Keys spread evenly, and few of them move when a shard is added") {
  std::set<std::uint32_t> of_100;
  std::set<std::uint32_t> of_1024;
  int moved = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = "key-" + std::to_string(i);
    of_1024.insert(shard_of(key, 1024));
    if (i >= 1000) continue;
    of_100.insert(shard_of(key, 100));
    if (shard_of(key, 101) != shard_of(key, 100)) {
      ++moved;
      CHECK(shard_of(key, 101) == 100);
    }
  }
  CHECK(of_100.size() > 90);
  CHECK(of_1024.size() > 1000);
  CHECK(moved >= 1);
  CHECK(moved < 20);
}
