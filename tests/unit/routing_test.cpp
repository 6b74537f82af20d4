#include <norikv/routing.hpp>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace norikv;
using norikv::tests::from_hex;
using norikv::tests::read_data;

namespace {

std::string numbered(const char* prefix, int number) { return prefix + std::to_string(number); }

std::uint32_t to_count(const std::string& text) { return static_cast<std::uint32_t>(std::stoul(text)); }

/// The server's jump, in the paper's words.
std::uint32_t divide_first(std::uint64_t hash, std::uint32_t buckets) {
  std::int64_t bucket = -1;
  std::int64_t next = 0;
  while (next < buckets) {
    bucket = next;
    hash = hash * 2862933555777941757u + 1;
    next = static_cast<std::int64_t>(static_cast<double>(bucket + 1) *
                                     (2147483648.0 / static_cast<double>((hash >> 33) + 1)));
  }
  return static_cast<std::uint32_t>(bucket);
}

/// The order of operations of the server's SDKs, which is not ours.
std::uint32_t multiply_first(std::uint64_t hash, std::uint32_t buckets) {
  std::int64_t bucket = -1;
  std::int64_t next = 0;
  while (next < buckets) {
    bucket = next;
    hash = hash * 2862933555777941757u + 1;
    next = static_cast<std::int64_t>(static_cast<double>(bucket + 1) * 2147483648.0 /
                                     static_cast<double>((hash >> 33) + 1));
  }
  return static_cast<std::uint32_t>(bucket);
}

}  // namespace

TEST_CASE("Every published key has the server's hash and shard") {
  const auto vectors = read_data("hash_vectors.txt");
  REQUIRE(vectors.size() == 67);
  for (const auto& line : vectors) {
    REQUIRE(line.size() == 4);
    const std::string key = line[0] == "-" ? "" : from_hex(line[0]);
    INFO("key " << line[0]);
    CHECK(key_hash(key) == std::stoull(line[1]));
    CHECK(shard_of(key, to_count(line[2])) == to_count(line[3]));
  }
}

TEST_CASE("Every published hash falls into the server's bucket") {
  const auto vectors = read_data("jump_vectors.txt");
  REQUIRE(vectors.size() == 14);
  for (const auto& line : vectors) {
    REQUIRE(line.size() == 3);
    INFO("hash " << line[0]);
    CHECK(jump_hash(std::stoull(line[0]), to_count(line[1])) == to_count(line[2]));
  }
}

TEST_CASE("Where the order of operations matters, the shard is the server's and not its SDKs'") {
  const auto vectors = read_data("rounding_vectors.txt");
  REQUIRE(vectors.size() == 6);
  for (const auto& line : vectors) {
    REQUIRE(line.size() == 5);
    const std::string key = from_hex(line[0]);
    const std::uint64_t hash = std::stoull(line[1]);
    const std::uint32_t shards = to_count(line[2]);
    INFO("key " << line[0]);
    CHECK(key_hash(key) == hash);
    CHECK(jump_hash(hash, shards) == to_count(line[3]));
    CHECK(shard_of(key, shards) == to_count(line[3]));
    CHECK(multiply_first(hash, shards) == to_count(line[4]));
  }
}

TEST_CASE("However many buckets there are, a hash falls into the one of the paper's own loop") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (const std::uint32_t buckets : {2u, 100u, 1024u, 65536u, 16'777'216u, 2147483648u, 4294967295u}) {
    for (int round = 0; round < 20'000; ++round) {
      const std::uint64_t hash = random();
      INFO("hash " << hash << ", " << buckets << " buckets");
      REQUIRE(jump_hash(hash, buckets) == divide_first(hash, buckets));
    }
  }
}

TEST_CASE("A shard is always below the number of shards") {
  for (const std::uint32_t shards : {1u, 2u, 3u, 7u, 100u, 1024u, 65536u, 1'000'000u, 4294967295u}) {
    for (int number = 0; number < 1000; ++number) REQUIRE(shard_of(numbered("key-", number), shards) < shards);
  }
}

TEST_CASE("One shard takes every key, and zero shards count as one") {
  for (const std::uint64_t hash : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
    CHECK(jump_hash(hash, 1) == 0);
    CHECK(jump_hash(hash, 0) == 0);
  }
  CHECK(shard_of("any key", 0) == 0);
}

TEST_CASE("A million shards are all within reach") {
  std::uint32_t highest = 0;
  for (int number = 0; number < 1000; ++number) {
    highest = std::max(highest, shard_of(numbered("key-", number), 1'000'000));
  }
  CHECK(highest > 900'000);
}

TEST_CASE("The same key always has the same shard") {
  for (int number = 0; number < 1000; ++number) {
    const std::string key = numbered("key-", number);
    const std::string copy = " " + key;  // the same bytes at another alignment
    REQUIRE(shard_of(key, 1024) == shard_of(std::string_view(copy).substr(1), 1024));
  }
}

TEST_CASE("One more bucket moves few keys, and only into the new bucket") {
  int moved = 0;
  for (int number = 0; number < 1000; ++number) {
    const std::uint64_t hash = key_hash(numbered("key-", number));
    const std::uint32_t before = jump_hash(hash, 100);
    const std::uint32_t after = jump_hash(hash, 101);
    if (before == after) continue;
    ++moved;
    CHECK(after == 100);
  }
  CHECK(moved >= 1);
  CHECK(moved <= 19);
}

TEST_CASE("A thousand keys reach more than ninety of a hundred buckets") {
  std::set<std::uint32_t> reached;
  for (int number = 0; number < 1000; ++number) reached.insert(shard_of(numbered("key-", number), 100));
  CHECK(reached.size() > 90);
}

TEST_CASE("Ten thousand keys reach more than a thousand of 1024 shards") {
  std::set<std::uint32_t> reached;
  for (int number = 0; number < 10'000; ++number) reached.insert(shard_of(numbered("key-", number), 1024));
  CHECK(reached.size() > 1000);
}

TEST_CASE("A key is its bytes, whatever type holds them") {
  const std::string text = "Hello 世界";
  const std::vector<unsigned char> bytes(text.begin(), text.end());
  const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CHECK(key_hash(text) == key_hash(view));
  CHECK(key_hash("Hello 世界") == 15196255900769524241u);
}

TEST_CASE("A null byte is part of the key") {
  const std::string with_null("a\0b", 3);
  CHECK(key_hash(with_null) != key_hash("a"));
  CHECK(key_hash(with_null) != key_hash("ab"));
}

TEST_CASE("Every byte of a key of 10000 bytes counts") {
  std::string key(10'000, 'k');
  const std::uint64_t hash = key_hash(key);
  for (const std::size_t at : {std::size_t{0}, std::size_t{31}, std::size_t{5000}, std::size_t{9999}}) {
    std::string other = key;
    other[at] = 'x';
    CHECK(key_hash(other) != hash);
  }
  CHECK(shard_of(key, 1024) < 1024);
}

TEST_CASE("An empty key without a pointer is the empty key") { CHECK(key_hash(std::string_view()) == key_hash("")); }
