#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include "norikv.pb.h"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "wire/wire.hpp"

using namespace norikv;
using norikv::tests::from_hex;
using norikv::tests::to_hex;

namespace pb = norikv::v1;

namespace {

/// Protobuf's own encoding of the same request.
std::string by_protobuf(const wire::PutRequest& request) {
  pb::PutRequest message;
  message.set_key(std::string(request.key));
  message.set_value(std::string(request.value));
  message.set_ttl_ms(request.ttl_ms);
  message.set_idempotency_key(std::string(request.idempotency_key));
  if (request.if_match) {
    message.mutable_if_match()->set_term(request.if_match->term);
    message.mutable_if_match()->set_index(request.if_match->index);
  }
  return message.SerializeAsString();
}

std::string by_protobuf(const wire::RemoveRequest& request) {
  pb::DeleteRequest message;
  message.set_key(std::string(request.key));
  message.set_idempotency_key(std::string(request.idempotency_key));
  return message.SerializeAsString();
}

}  // namespace

TEST_CASE("Each method has its path") {
  CHECK(wire::path(wire::Method::put) == "/norikv.v1.Kv/Put");
  CHECK(wire::path(wire::Method::get) == "/norikv.v1.Kv/Get");
  CHECK(wire::path(wire::Method::remove) == "/norikv.v1.Kv/Delete");
  CHECK(wire::path(wire::Method::watch_cluster) == "/norikv.v1.Meta/WatchCluster");
}

TEST_CASE("A put is encoded field by field") {
  const std::string bytes = wire::encode(wire::PutRequest{
      .key = "k1", .value = "val", .ttl_ms = 300, .idempotency_key = "id", .if_match = Version{1, 150}});
  CHECK(to_hex(bytes) == to_hex(from_hex("0a 02 6b31  12 03 76616c  18 ac02  22 02 6964  2a 05 08 01 10 9601")));
}

TEST_CASE("A put without options holds key and value alone") {
  CHECK(to_hex(wire::encode(wire::PutRequest{.key = "k", .value = "v"})) == "0a 01 6b 12 01 76");
}

TEST_CASE("An empty key and an empty value are left out") { CHECK(wire::encode(wire::PutRequest{}).empty()); }

TEST_CASE("A condition on version 0:0 is still a condition") {
  CHECK(to_hex(wire::encode(wire::PutRequest{.key = "k", .if_match = Version{}})) == "0a 01 6b 2a 00");
}

TEST_CASE("A remove is encoded field by field") {
  CHECK(to_hex(wire::encode(wire::RemoveRequest{.key = "k", .idempotency_key = "id"})) == "0a 01 6b 12 02 69 64");
  CHECK(to_hex(wire::encode(wire::RemoveRequest{.key = "k"})) == "0a 01 6b");
}

TEST_CASE("A get followed by its consistency is encoded field by field") {
  CHECK(to_hex(wire::encode_get("k") + wire::encode_consistency("strong")) ==
        to_hex(from_hex("0a 01 6b  12 06 7374726f6e67")));
  CHECK(wire::encode_consistency("").empty());
}

TEST_CASE("The get for the key of an encoded request is the one of that key") {
  for (const std::size_t size : {0, 1, 127, 128, 1024}) {
    const std::string key(size, 'k');
    INFO("key of " << size << " bytes");
    const wire::PutRequest put{
        .key = key, .value = "value", .ttl_ms = 7, .idempotency_key = "id", .if_match = Version{}};
    CHECK(wire::encode_get_of(wire::encode(put)) == wire::encode_get(key));
    CHECK(wire::encode_get_of(wire::encode(wire::RemoveRequest{.key = key, .idempotency_key = "id"})) ==
          wire::encode_get(key));
    CHECK(wire::encode_get_of(wire::encode_get(key)) == wire::encode_get(key));
  }
}

TEST_CASE("A watch request is an empty view") { CHECK(wire::encode_watch() == pb::ClusterView().SerializeAsString()); }

TEST_CASE("Bytes of any value pass unchanged") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  pb::PutRequest parsed;
  REQUIRE(parsed.ParseFromString(wire::encode(wire::PutRequest{.key = all, .value = all})));
  CHECK(parsed.key() == all);
  CHECK(parsed.value() == all);
}

TEST_CASE("Every encoding is byte for byte protobuf's own") {
  const std::uint64_t numbers[] = {0, 1, 127, 128, 16383, 16384, 1ull << 32, std::numeric_limits<std::uint64_t>::max()};
  const std::size_t sizes[] = {0, 1, 127, 128, 1024, 16383, 16384, 1024 * 1024};
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const auto number = [&] { return numbers[random() % std::size(numbers)]; };
  const auto text = [&](std::size_t limit) {
    std::string text(std::min(sizes[random() % std::size(sizes)], limit), '\0');
    for (char& c : text) c = static_cast<char>('a' + random() % 26);
    return text;
  };

  for (int round = 0; round < 300; ++round) {
    const std::string key = text(max_key_size);
    const std::string value = text(max_value_size);
    const std::string token = text(128);
    wire::PutRequest put{.key = key, .value = value, .ttl_ms = number(), .idempotency_key = token};
    if (random() % 2 == 0) put.if_match = Version{number(), number()};
    REQUIRE(wire::encode(put) == by_protobuf(put));

    const wire::RemoveRequest remove{.key = key, .idempotency_key = token};
    REQUIRE(wire::encode(remove) == by_protobuf(remove));

    pb::GetRequest get;
    get.set_key(key);
    get.set_consistency(token);
    REQUIRE(wire::encode_get(key) + wire::encode_consistency(token) == get.SerializeAsString());
  }
}
