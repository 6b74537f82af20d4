#include "wire/view.hpp"

#include <random>

#include "norikv.pb.h"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace norikv;

namespace {

namespace pb = norikv::v1;

/// Three nodes; the leaders of the shards in turn.
pb::ClusterView view_of(std::uint32_t shards) {
  pb::ClusterView view;
  view.set_epoch(300);
  for (const char* id : {"node0", "node1", "node2"}) {
    pb::ClusterNode& node = *view.add_nodes();
    node.set_id(id);
    node.set_addr(std::string{id} + ":7447");
    node.set_role("unknown");
  }
  for (std::uint32_t id = 0; id < shards; ++id) {
    pb::ShardInfo& shard = *view.add_shards();
    shard.set_id(id);
    for (std::uint32_t node = 0; node < 3; ++node) {
      pb::ShardReplica& replica = *shard.add_replicas();
      replica.set_node_id("node" + std::to_string(node));
      replica.set_leader(id % 3 == node);
    }
  }
  return view;
}

bool same(const wire::LeaderView& a, const wire::LeaderView& b) {
  const auto node = [](const wire::Node& x, const wire::Node& y) {
    return x.id == y.id && x.address == y.address && x.role == y.role;
  };
  const auto shard = [](const wire::LeaderView::Shard& x, const wire::LeaderView::Shard& y) {
    return x.id == y.id && x.leader == y.leader;
  };
  return a.epoch == b.epoch && std::equal(a.nodes.begin(), a.nodes.end(), b.nodes.begin(), b.nodes.end(), node) &&
         a.leaders == b.leaders &&
         std::equal(a.shards.begin(), a.shards.end(), b.shards.begin(), b.shards.end(), shard);
}

}  // namespace

TEST_CASE("Decoded in pieces of any size a view is what protobuf finds in it") {
  const std::string bytes = view_of(100).SerializeAsString();
  const wire::LeaderView expected = wire::decode_view(bytes).value();
  for (const std::size_t piece : {1, 7, 100, 1'000'000}) {
    wire::ViewDecoder decoder{bytes};
    while (!decoder.advance(piece)) {
    }
    const auto view = decoder.take();
    REQUIRE(view);
    CHECK(same(*view, expected));
  }
}

TEST_CASE("A piece of a view is about as large as it was asked for") {
  const std::string bytes = view_of(65536).SerializeAsString();
  constexpr std::size_t piece = 64 * 1024;
  wire::ViewDecoder decoder{bytes};
  std::size_t pieces = 1;
  while (!decoder.advance(piece)) ++pieces;
  CHECK(pieces == (bytes.size() + piece - 1) / piece);
  CHECK(decoder.take()->shards.size() == 65536);
}

TEST_CASE("Of a shard it counts who is said to lead it, each one of several, or nobody") {
  pb::ClusterView message;
  const auto add = [&](std::uint32_t id) -> pb::ShardInfo& {
    pb::ShardInfo& shard = *message.add_shards();
    shard.set_id(id);
    return shard;
  };
  const auto replica = [](pb::ShardInfo& shard, const std::string& id, bool leads) {
    shard.add_replicas()->set_node_id(id);
    shard.mutable_replicas()->rbegin()->set_leader(leads);
  };
  add(0);
  replica(add(7), "a", false);
  pb::ShardInfo& two = add(8);
  replica(two, "a", true);
  replica(two, "b", true);
  const auto view = wire::decode_leaders(message.SerializeAsString());
  REQUIRE(view);
  CHECK(view->leaders == std::vector<std::string>{"a", "b"});
  REQUIRE(view->shards.size() == 4);
  CHECK(view->shards[0].leader == wire::LeaderView::nobody);
  CHECK((view->shards[1].id == 7 && view->shards[1].leader == wire::LeaderView::nobody));
  CHECK((view->shards[2].id == 8 && view->shards[2].leader == 0));
  CHECK((view->shards[3].id == 8 && view->shards[3].leader == 1));
}

TEST_CASE("Fields of a shard may come in any order, and unknown ones among them") {
  // shard: field 9 = "x", replica {leader, node_id "n"}, id 5; then field 12 of the view, a fixed32
  const std::string bytes =
      tests::from_hex("1a 0c  4a 01 78  12 05 10 01 0a 01 6e  08 05") + tests::from_hex("65 01020304");
  const auto view = wire::decode_leaders(bytes);
  REQUIRE(view);
  REQUIRE(view->shards.size() == 1);
  CHECK(view->shards[0].id == 5);
  CHECK(view->leaders == std::vector<std::string>{"n"});
}

TEST_CASE("An empty message is an empty view") {
  const auto view = wire::decode_leaders("");
  REQUIRE(view);
  CHECK(view->epoch == 0);
  CHECK(view->nodes.empty());
  CHECK(view->shards.empty());
}

TEST_CASE("A view that was cut off is an error wherever protobuf finds one") {
  const std::string bytes = view_of(4).SerializeAsString();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO("size " << size);
    REQUIRE(wire::decode_leaders(bytes.substr(0, size)).has_value() ==
            wire::decode_view(bytes.substr(0, size)).has_value());
  }
  CHECK(wire::decode_leaders("<html>502 Bad Gateway</html>").error() == "ClusterView does not parse");
}

TEST_CASE("A view with random changes never crashes, and what is read is what protobuf reads") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string bytes = view_of(8).SerializeAsString();
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = bytes;
    for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      changed[random() % changed.size()] = static_cast<char>(random() % 128);  // mostly good UTF-8
    }
    INFO("bytes " << tests::to_hex(changed));
    const auto ours = wire::decode_leaders(changed);
    const auto theirs = wire::decode_view(changed);
    if (ours && theirs) REQUIRE(same(*ours, *theirs));
  }
}
