#include <iterator>
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

/// The error text of what must not decode; empty if it does.
template <class T>
std::string error_of(const wire::Decoded<T>& decoded) {
  return decoded ? "" : decoded.error();
}

}  // namespace

TEST_CASE("The reply to a put gives its version") {
  const auto version = wire::decode_put(from_hex("0a 05 08 01 10 9601"));
  REQUIRE(version);
  CHECK(*version == Version{1, 150});
}

TEST_CASE("Version 0:0 is a version") {
  const auto version = wire::decode_put(from_hex("0a 00"));
  REQUIRE(version);
  CHECK(*version == Version{});
}

TEST_CASE("A reply's meta map is passed over") {
  const auto version = wire::decode_put(from_hex("0a 02 10 07  12 06 0a 01 61 12 01 62"));
  REQUIRE(version);
  CHECK(*version == Version{0, 7});
}

TEST_CASE("A reply to a put without version is an error") {
  CHECK(error_of(wire::decode_put("")) == "PutResponse lacks its version");
  CHECK(error_of(wire::decode_put(from_hex("12 06 0a 01 61 12 01 62"))) == "PutResponse lacks its version");
}

TEST_CASE("The reply to a remove gives its version") {
  const auto version = wire::decode_remove(from_hex("08 01 12 02 10 07"));
  REQUIRE(version);
  CHECK(*version == Version{0, 7});
}

TEST_CASE("A reply to a remove without version is an error") {
  CHECK(error_of(wire::decode_remove("")) == "DeleteResponse lacks its version");
  CHECK(error_of(wire::decode_remove(from_hex("08 01"))) == "DeleteResponse lacks its version");
}

TEST_CASE("The reply to a get gives value and version") {
  const auto found = wire::decode_get(from_hex("0a 03 76616c  12 02 10 07"));
  REQUIRE(found);
  REQUIRE(found->has_value());
  CHECK((*found)->value == "val");
  CHECK((*found)->version == Version{0, 7});
}

TEST_CASE("A reply to a get without anything is a missing key") {
  const auto found = wire::decode_get("");
  REQUIRE(found);
  CHECK_FALSE(found->has_value());
}

TEST_CASE("A reply to a get with nothing but its meta map is a missing key") {
  const auto found = wire::decode_get(from_hex("1a 06 0a 01 61 12 01 62"));
  REQUIRE(found);
  CHECK_FALSE(found->has_value());
}

TEST_CASE("A reply to a get with a version and no value is an empty value") {
  const auto found = wire::decode_get(from_hex("12 02 10 07"));
  REQUIRE(found);
  REQUIRE(found->has_value());
  CHECK((*found)->value.empty());
}

TEST_CASE("A value without version is an error") {
  CHECK(error_of(wire::decode_get(from_hex("0a 01 76"))) == "GetResponse has a value but lacks its version");
}

TEST_CASE("A reply to a get of unknown fields alone is an error, not a missing key") {
  CHECK(error_of(wire::decode_get(from_hex("48 01"))) == "GetResponse holds neither a value nor a missing key");
}

TEST_CASE("A reply of another kind is an error, not an empty value") {
  const std::string remove_reply = from_hex("08 01  12 02 10 07");
  CHECK(error_of(wire::decode_get(remove_reply)) == "GetResponse holds neither a value nor a missing key");
}

TEST_CASE("Fields of a newer server do not disturb what is known") {
  const std::string newer = from_hex("7a 03 6e6577  48 01");
  const auto put = wire::decode_put(from_hex("0a 02 10 07") + newer);
  REQUIRE(put);
  CHECK(*put == Version{0, 7});
  const auto full = wire::decode_get(from_hex("0a 01 76  12 02 10 07") + newer);
  REQUIRE(full);
  CHECK(full->value().value == "v");
  const auto empty = wire::decode_get(from_hex("12 02 10 07") + newer);
  REQUIRE(empty);
  CHECK(empty->value().value.empty());
}

TEST_CASE("Bytes that are not protobuf are an error that names the message") {
  const std::string garbage = "<html>502 Bad Gateway</html>";
  CHECK(error_of(wire::decode_put(garbage)) == "PutResponse does not parse");
  CHECK(error_of(wire::decode_get(garbage)) == "GetResponse does not parse");
  CHECK(error_of(wire::decode_remove(garbage)) == "DeleteResponse does not parse");
  CHECK(error_of(wire::decode_view(garbage)) == "ClusterView does not parse");
}

TEST_CASE("A reply that was cut off anywhere is an error") {
  const std::string put = from_hex("0a 05 08 01 10 9601");
  for (std::size_t size = 0; size < put.size(); ++size) CHECK_FALSE(wire::decode_put(put.substr(0, size)));
  const std::string remove = from_hex("08 01  12 05 08 01 10 9601");
  for (std::size_t size = 0; size < remove.size(); ++size) CHECK_FALSE(wire::decode_remove(remove.substr(0, size)));
  // Of a get nothing at all is left out of this: that is how the server says that a key is missing.
  const std::string get = from_hex("0a 03 76616c  12 05 08 01 10 9601");
  for (std::size_t size = 1; size < get.size(); ++size) CHECK_FALSE(wire::decode_get(get.substr(0, size)));
}

TEST_CASE("Random bytes never crash and never read as a missing key") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes(1 + random() % 12, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    INFO("bytes " << to_hex(bytes));
    const auto found = wire::decode_get(bytes);
    // A lone meta map is the one thing that may stand beside a missing key.
    if (found && !found->has_value()) REQUIRE(bytes.front() == '\x1a');
    static_cast<void>(wire::decode_put(bytes));
    static_cast<void>(wire::decode_remove(bytes));
    static_cast<void>(wire::decode_view(bytes));
  }
}

TEST_CASE("Random fields of a reply to a get mean what they mean to protobuf") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string pieces[] = {from_hex("0a 00"),
                                from_hex("0a 02 7631"),
                                from_hex("0a 8200 7632"),
                                from_hex("12 00"),
                                from_hex("12 02 10 07"),
                                from_hex("12 04 08 02 10 09"),
                                from_hex("12 02 08 01"),
                                from_hex("12 04 10 07 08 02"),
                                from_hex("12 03 10 8700"),
                                from_hex("12 02 18 05"),
                                from_hex("12 03 10 07"),
                                from_hex("12 02 10 87"),
                                from_hex("1a 04 0a 00 12 00"),
                                from_hex("08 01"),
                                from_hex("7a 01 78"),
                                from_hex("12 0b 10 ffffffffffffffffff01"),
                                from_hex("0a 7f 78")};
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (std::size_t left = random() % 4; left > 0; --left) bytes += pieces[random() % std::size(pieces)];
    INFO("bytes " << to_hex(bytes));
    pb::GetResponse message;
    const bool parses = message.ParseFromString(bytes);
    const auto found = wire::decode_get(bytes);
    if (!parses) REQUIRE_FALSE(found);
    if (parses && message.has_version() && !message.value().empty()) REQUIRE(found);
    if (!found || !found->has_value()) continue;
    REQUIRE((*found)->value == message.value());
    REQUIRE((*found)->version == Version{message.version().term(), message.version().index()});
  }
}

TEST_CASE("Random fields of a reply to a write mean what they mean to protobuf") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string pieces[] = {from_hex("0a 00"),    from_hex("0a 02 10 07"), from_hex("0a 04 08 02 10 09"),
                                from_hex("12 00"),    from_hex("12 02 10 07"), from_hex("12 04 08 02 10 09"),
                                from_hex("08 00"),    from_hex("08 01"),       from_hex("08 8200"),
                                from_hex("7a 01 78"), from_hex("12 02 10 87"), from_hex("0a 03 10 07")};
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (std::size_t left = random() % 4; left > 0; --left) bytes += pieces[random() % std::size(pieces)];
    INFO("bytes " << to_hex(bytes));
    pb::PutResponse put;
    const auto written = wire::decode_put(bytes);
    REQUIRE(written.has_value() == (put.ParseFromString(bytes) && put.has_version()));
    if (written) REQUIRE(*written == Version{put.version().term(), put.version().index()});
    pb::DeleteResponse remove;
    const auto removed = wire::decode_remove(bytes);
    REQUIRE(removed.has_value() == (remove.ParseFromString(bytes) && remove.has_version()));
    if (removed) REQUIRE(*removed == Version{remove.version().term(), remove.version().index()});
  }
}

TEST_CASE("A value of any bytes and of the largest size passes unchanged") {
  std::string value(max_value_size, '\0');
  for (std::size_t at = 0; at < value.size(); ++at) value[at] = static_cast<char>(at * 31);
  pb::GetResponse reply;
  reply.set_value(value);
  reply.mutable_version()->set_index(1);
  const auto found = wire::decode_get(reply.SerializeAsString());
  REQUIRE(found);
  CHECK((*found)->value == value);
}

TEST_CASE("A view gives epoch, nodes and shards in order") {
  const std::string bytes = from_hex(
      "08 ac02"
      "12 0c 0a 02 6e30  12 03 613a31  1a 01 75"
      "12 04 0a 02 6e31"
      "1a 08 12 06 0a 02 6e30 10 01"
      "1a 0c 08 03  12 04 0a 02 6e31  12 02 10 01");
  const auto view = wire::decode_view(bytes);
  REQUIRE(view);
  CHECK(view->epoch == 300);
  REQUIRE(view->nodes.size() == 2);
  CHECK(view->nodes[0].id == "n0");
  CHECK(view->nodes[0].address == "a:1");
  CHECK(view->nodes[0].role == "u");
  CHECK(view->nodes[1].id == "n1");
  CHECK(view->nodes[1].address.empty());
  REQUIRE(view->shards.size() == 2);
  CHECK(view->shards[0].id == 0);
  REQUIRE(view->shards[0].replicas.size() == 1);
  CHECK(view->shards[0].replicas[0].node_id == "n0");
  CHECK(view->shards[0].replicas[0].leader);
  CHECK(view->shards[1].id == 3);
  REQUIRE(view->shards[1].replicas.size() == 2);
  CHECK_FALSE(view->shards[1].replicas[0].leader);
  CHECK(view->shards[1].replicas[1].leader);
}

TEST_CASE("An empty view is a view") {
  const auto view = wire::decode_view("");
  REQUIRE(view);
  CHECK(view->epoch == 0);
  CHECK(view->nodes.empty());
  CHECK(view->shards.empty());
}

TEST_CASE("A view of 65536 shards with three replicas each is decoded whole") {
  pb::ClusterView message;
  for (std::uint32_t id = 0; id < 65536; ++id) {
    pb::ShardInfo& shard = *message.add_shards();
    shard.set_id(id);
    for (std::uint32_t node = 0; node < 3; ++node) {
      pb::ShardReplica& replica = *shard.add_replicas();
      replica.set_node_id("node" + std::to_string(node));
      replica.set_leader(id % 3 == node);
    }
  }
  const auto view = wire::decode_view(message.SerializeAsString());
  REQUIRE(view);
  REQUIRE(view->shards.size() == 65536);
  for (std::uint32_t id = 0; id < 65536; ++id) {
    const wire::Shard& shard = view->shards[id];
    REQUIRE(shard.id == id);
    REQUIRE(shard.replicas.size() == 3);
    REQUIRE(shard.replicas[id % 3].leader);
    REQUIRE(shard.replicas[2].node_id == "node2");
  }
}
