#include "core/cluster_state.hpp"

#include <map>

#include "support/catch.hpp"
#include "util/random.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1h};

using Leads = std::map<std::uint32_t, std::string>;  // shard -> id of the leader; "" = listed, without one

/// Two nodes, "a:1" and "b:1", four shards, and a clock that moves by a millisecond with every input.
struct Cluster {
  ClusterState state{{"a:1", "b:1"}, 4};
  TimePoint now = start;
  std::uint64_t epoch = 0;

  TimePoint tick() { return now += 1ms; }
  ClusterState::Change apply(ClusterState::Change change) {
    state.publish(change);
    return change;
  }
  void open(std::size_t node) { state.on_stream_opened(node, tick()); }
  ClusterState::Change show(std::size_t node, const Leads& leads) {
    const std::string self = "node" + std::to_string(node);
    wire::View view{++epoch, {{self, "0.0.0.0:7447", "unknown"}}, {}};
    for (const auto& [shard, leader] : leads) {
      view.shards.push_back({shard, {{leader.empty() ? self : leader, !leader.empty()}}});
    }
    return apply(state.on_view(node, view, tick()));
  }
  ClusterState::Change answer(std::uint32_t shard, std::size_t node, TimePoint asked) {
    return apply(state.on_leader_answer(shard, node, asked, tick()));
  }
  ClusterState::Change hint(std::uint32_t shard, std::size_t node, TimePoint asked) {
    return apply(state.on_hint(shard, node, asked, tick()));
  }
  ClusterState::Change refuse(std::uint32_t shard, std::size_t node, TimePoint asked) {
    return apply(state.on_refusal(shard, node, "refusal", asked, tick()));
  }
  [[nodiscard]] std::int32_t leader(std::uint32_t shard) const { return state.leader(shard); }
  [[nodiscard]] const NodeView& node(std::size_t index) const { return state.snapshot()->nodes[index]; }
};

wire::View about(std::vector<wire::Node> nodes) { return {1, std::move(nodes), {}}; }

}  // namespace

TEST_CASE("In the beginning nothing is known") {
  const Cluster cluster;
  REQUIRE(cluster.state.snapshot());
  CHECK(cluster.state.snapshot()->generation == 0);
  CHECK(cluster.state.snapshot()->shards.size() == 4);
  CHECK(cluster.leader(0) == -1);
  CHECK(cluster.node(1).address == "b:1");
  CHECK(cluster.node(1).health == NodeHealth::unknown);
  CHECK(cluster.state.nodes_heard_of() == 0);
}

TEST_CASE("A view makes its node known and its claims believed") {
  Cluster cluster;
  const auto change = cluster.show(0, {{1, "node0"}, {2, ""}});
  CHECK(change.nodes == std::vector<std::size_t>{0});
  REQUIRE(change.leaders.size() == 1);
  CHECK(change.leaders[0].shard == 1);
  CHECK(change.leaders[0].before.empty());
  CHECK(change.leaders[0].after == "a:1");
  CHECK(cluster.leader(1) == 0);
  CHECK(cluster.leader(2) == -1);
  CHECK(cluster.node(0).id == "node0");
  CHECK(cluster.node(0).role == "unknown");
  CHECK(cluster.node(0).incarnation == 1);
  CHECK(cluster.state.nodes_heard_of() == 1);
}

TEST_CASE("A repeated claim is no news, even after another node claimed the same") {
  Cluster cluster;
  cluster.show(0, {{1, "node0"}});
  cluster.show(1, {{1, "node1"}});
  CHECK(cluster.leader(1) == 1);
  CHECK(cluster.show(0, {{1, "node0"}}).empty());
  CHECK(cluster.leader(1) == 1);
}

TEST_CASE("A claim that is taken back leaves the shard without a leader") {
  Cluster cluster;
  cluster.show(0, {{1, "node0"}});
  const auto change = cluster.show(0, {{1, ""}});
  REQUIRE(change.leaders.size() == 1);
  CHECK(change.leaders[0].before == "a:1");
  CHECK(change.leaders[0].after.empty());
  CHECK(cluster.leader(1) == -1);
}

TEST_CASE("A claim that is taken back does not touch another node's leadership") {
  Cluster cluster;
  cluster.show(0, {{1, "node0"}});
  cluster.show(1, {{1, "node1"}});
  CHECK(cluster.show(0, {{1, ""}}).leaders.empty());
  CHECK(cluster.leader(1) == 1);
}

TEST_CASE("A node that starts without claiming takes nothing back") {
  Cluster cluster;
  cluster.answer(1, 0, start);
  CHECK(cluster.show(1, {{1, ""}}).leaders.empty());
  CHECK(cluster.leader(1) == 0);
}

TEST_CASE("A node may claim for another one that is known by its id") {
  Cluster cluster;
  cluster.show(1, {});
  cluster.show(0, {{2, "node1"}});
  CHECK(cluster.leader(2) == 1);
}

TEST_CASE("Of a shard that a view lists twice the first entry counts, and a repeated view is no news") {
  Cluster cluster;
  cluster.show(1, {});
  for (int i = 0; i < 3; ++i) {
    wire::View view{++cluster.epoch, {{"node0", "0.0.0.0:7447", "unknown"}}, {}};
    view.shards.push_back({1, {{"node0", true}}});
    view.shards.push_back({1, {{"node1", true}}});
    view.shards.push_back({1, {{"node0", false}}});
    const auto change = cluster.apply(cluster.state.on_view(0, view, cluster.tick()));
    CHECK(change.leaders.size() == (i == 0 ? 1 : 0));
    CHECK(cluster.leader(1) == 0);
  }
}

TEST_CASE("A claim for a node that nobody knows is no claim") {
  Cluster cluster;
  cluster.show(0, {{2, "node7"}});
  CHECK(cluster.leader(2) == -1);
}

TEST_CASE("Within one stream an older epoch is no news") {
  Cluster cluster;
  cluster.epoch = 10;
  cluster.show(0, {{1, "node0"}});
  cluster.epoch = 5;
  CHECK(cluster.show(0, {{1, ""}}).empty());
  CHECK(cluster.leader(1) == 0);
}

TEST_CASE("A new stream begins its epochs anew") {
  Cluster cluster;
  cluster.epoch = 10;
  cluster.show(0, {{1, "node0"}});
  cluster.open(0);
  cluster.epoch = 0;
  cluster.show(0, {{1, ""}});
  CHECK(cluster.leader(1) == -1);
  CHECK(cluster.node(0).incarnation == 2);
  CHECK(cluster.node(0).epoch == 1);
}

TEST_CASE("What the first view of a new stream does not repeat is void") {
  Cluster cluster;
  cluster.show(0, {{1, "node0"}, {2, "node0"}});
  cluster.answer(3, 0, cluster.tick());
  cluster.open(0);
  const auto change = cluster.show(0, {{2, "node0"}});
  CHECK(cluster.leader(1) == -1);
  CHECK(cluster.leader(2) == 0);
  CHECK(cluster.leader(3) == -1);
  CHECK(change.leaders.size() == 2);
}

TEST_CASE("What was learned after a new stream was opened survives its first view") {
  Cluster cluster;
  cluster.open(0);
  cluster.answer(3, 0, cluster.tick());
  cluster.show(0, {});
  CHECK(cluster.leader(3) == 0);
}

TEST_CASE("A refusal voids the claim of its node until the next transition") {
  Cluster cluster;
  cluster.show(0, {{1, "node0"}});
  const auto change = cluster.refuse(1, 0, cluster.tick());
  REQUIRE(change.leaders.size() == 1);
  CHECK(change.leaders[0].source == LeaderSource::refusal);
  CHECK(cluster.show(0, {{1, "node0"}}).empty());
  CHECK(cluster.leader(1) == -1);
  cluster.show(0, {{1, ""}});
  cluster.show(0, {{1, "node0"}});
  CHECK(cluster.leader(1) == 0);
}

TEST_CASE("A refusal voids the claim of its node until the next incarnation") {
  Cluster cluster;
  cluster.show(0, {{1, "node0"}});
  cluster.refuse(1, 0, cluster.tick());
  cluster.open(0);
  cluster.show(0, {{1, "node0"}});
  CHECK(cluster.leader(1) == 0);
}

TEST_CASE("A refusal of a node that was not believed to lead changes nothing") {
  Cluster cluster;
  cluster.answer(1, 0, start);
  CHECK(cluster.refuse(1, 1, cluster.tick()).empty());
  CHECK(cluster.leader(1) == 0);
}

TEST_CASE("A refusal of what was asked before the leader changed is ignored") {
  Cluster cluster;
  const TimePoint asked = cluster.tick();
  cluster.show(0, {{1, "node0"}});
  CHECK(cluster.refuse(1, 0, asked).empty());
  CHECK(cluster.leader(1) == 0);
}

TEST_CASE("An answer confirms the leader: a refusal of what was asked earlier is ignored, of what came later not") {
  Cluster cluster;
  cluster.answer(1, 0, start);
  const TimePoint early = cluster.tick();
  const TimePoint asked = cluster.tick();
  const TimePoint late = cluster.tick();
  CHECK(cluster.answer(1, 0, asked).empty());
  CHECK(cluster.refuse(1, 0, early).empty());
  CHECK_FALSE(cluster.refuse(1, 0, late).empty());
}

TEST_CASE("An answer to what was asked before the leader changed is ignored") {
  Cluster cluster;
  const TimePoint asked = cluster.tick();
  cluster.show(1, {{1, "node1"}});
  CHECK(cluster.answer(1, 0, asked).empty());
  CHECK(cluster.leader(1) == 1);
}

TEST_CASE("A hint to what was asked before the leader changed is ignored") {
  Cluster cluster;
  const TimePoint asked = cluster.tick();
  cluster.show(1, {{1, "node1"}});
  CHECK(cluster.hint(1, 0, asked).empty());
  CHECK(cluster.leader(1) == 1);
}

TEST_CASE("The latest of view, hint and answer wins") {
  Cluster cluster;
  cluster.show(0, {{1, "node0"}});
  cluster.hint(1, 1, cluster.tick());
  CHECK(cluster.leader(1) == 1);
  cluster.answer(1, 0, cluster.tick());
  CHECK(cluster.leader(1) == 0);
  cluster.show(1, {{1, "node1"}});
  CHECK(cluster.leader(1) == 1);
  CHECK(cluster.state.snapshot()->shards[1].source == LeaderSource::view);
}

TEST_CASE("A shard beyond the configured number is told once per stream, and harms no other shard") {
  Cluster cluster;
  const auto change = cluster.show(0, {{1, "node0"}, {4, "node0"}, {4'000'000'000u, "node0"}});
  CHECK(change.shard_out_of_range == 4u);
  CHECK(cluster.leader(1) == 0);
  CHECK_FALSE(cluster.show(0, {{1, "node0"}, {4, "node0"}}).shard_out_of_range);
  cluster.open(0);
  CHECK(cluster.show(0, {{4, "node0"}}).shard_out_of_range);
}

TEST_CASE("A node recognises itself by the address that was dialled") {
  Cluster cluster;
  static_cast<void>(cluster.state.on_view(0, about({{"x", "b:1", "unknown"}, {"y", "a:1", "follower"}}), start));
  CHECK(cluster.state.find("y") == 0);
  CHECK(cluster.state.find("x") == -1);
}

TEST_CASE("A node recognises itself as the only entry, whatever its address") {
  Cluster cluster;
  static_cast<void>(cluster.state.on_view(1, about({{"x", "0.0.0.0:7447", "leader"}}), start));
  CHECK(cluster.state.find("x") == 1);
}

TEST_CASE("A node recognises itself as the only entry with the role that the 0.1.0 server gives itself") {
  Cluster cluster;
  static_cast<void>(cluster.state.on_view(
      1,
      about({{"x", "10.0.0.1:8447", "follower"}, {"y", "0.0.0.0:7447", "unknown"}, {"z", "10.0.0.3:8447", "failed"}}),
      start));
  CHECK(cluster.state.find("y") == 1);
}

TEST_CASE("A node that can't tell which entry is itself stays without a name") {
  Cluster cluster;
  static_cast<void>(cluster.state.on_view(0, about({{"x", "c:1", "unknown"}, {"y", "d:1", "unknown"}}), start));
  static_cast<void>(cluster.state.on_view(1, about({}), start));
  CHECK(cluster.state.find("x") == -1);
  CHECK(cluster.state.find("y") == -1);
  CHECK(cluster.state.find("") == -1);
}

TEST_CASE("A node that changes its id is not found by the old one") {
  Cluster cluster;
  static_cast<void>(cluster.state.on_view(0, about({{"old", "a:1", ""}}), start));
  static_cast<void>(cluster.state.on_view(0, about({{"new", "a:1", ""}}), start));
  CHECK(cluster.state.find("old") == -1);
  CHECK(cluster.state.find("new") == 0);
}

TEST_CASE("An address in a view is not dialled, and names nobody") {
  Cluster cluster;
  static_cast<void>(
      cluster.state.on_view(0, about({{"x", "0.0.0.0:7447", "unknown"}, {"y", "10.0.0.1:8447", ""}}), start));
  CHECK(cluster.state.find("0.0.0.0:7447") == -1);
  CHECK(cluster.state.find("10.0.0.1:8447") == -1);
  CHECK(cluster.state.node_count() == 2);
}

TEST_CASE("A node is found by its address, by its id, and by its id with a shard's suffix") {
  Cluster cluster;
  cluster.show(1, {});
  CHECK(cluster.state.find("b:1") == 1);
  CHECK(cluster.state.find("node1") == 1);
  CHECK(cluster.state.find("node1-shard17") == 1);
  CHECK(cluster.state.find("node1-") == -1);
}

TEST_CASE("Of many nodes that were removed the latest are remembered, and others get the slots of the rest") {
  Cluster cluster;
  const auto name = [](int number) { return "n" + std::to_string(number) + ":1"; };
  for (int number = 0; number < 200; ++number) {
    cluster.apply(cluster.state.set_nodes({"a:1", name(number)}, cluster.tick()));
    cluster.state.give_up(cluster.state.long_gone());
  }
  CHECK(cluster.state.slot_count() == 67);  // 64, the two, and the one that came before another went
  CHECK(cluster.state.node_count() == 2);
  const std::size_t slots = cluster.state.slot_count();
  cluster.apply(cluster.state.set_nodes({"a:1", name(150)}, cluster.tick()));
  CHECK(cluster.state.slot_count() == slots);
  CHECK(cluster.state.find(name(150)) >= 0);
  CHECK(cluster.state.find(name(199)) == -1);
}

TEST_CASE("A claim for a node that has the slot of one that is long gone is news") {
  Cluster cluster;
  cluster.show(1, {});
  cluster.show(0, {{2, "node1"}});
  REQUIRE(cluster.leader(2) == 1);
  const auto name = [](int number) { return "n" + std::to_string(number) + ":1"; };
  int number = 0;
  for (; number < 66; ++number) cluster.apply(cluster.state.set_nodes({"a:1", name(number)}, cluster.tick()));
  REQUIRE(cluster.state.long_gone().at(0) == 1);
  cluster.state.give_up(cluster.state.long_gone());
  cluster.apply(cluster.state.set_nodes({"a:1", "c:1"}, cluster.tick()));
  REQUIRE(cluster.state.find("c:1") == 1);
  CHECK(cluster.leader(2) == -1);
  cluster.show(1, {});
  cluster.show(0, {{2, "node1"}});
  CHECK(cluster.leader(2) == 1);
}

TEST_CASE("A change counts the generation up, a view without change gives a fresh snapshot of the same one") {
  Cluster cluster;
  cluster.show(0, {{1, "node0"}});
  const auto before = cluster.state.snapshot();
  cluster.show(0, {{1, "node0"}});
  CHECK(cluster.state.snapshot()->generation == before->generation);
  CHECK(cluster.state.snapshot()->nodes[0].last_view > before->nodes[0].last_view);
  cluster.show(0, {{1, ""}});
  CHECK(cluster.state.snapshot()->generation == before->generation + 1);
  CHECK(before->shards[1].leader == 0);  // who kept the snapshot kept the state
}

TEST_CASE("A node's health is news only when it changes") {
  Cluster cluster;
  CHECK_FALSE(cluster.state.on_health(0, NodeHealth::up, "test").empty());
  CHECK(cluster.state.on_health(0, NodeHealth::up, "test").empty());
  CHECK(cluster.state.on_health(0, NodeHealth::down, "test").cause == "test");
}

TEST_CASE("Whatever comes, each shard's changes form a chain that ends at its leader") {
  const std::uint64_t seed = GENERATE(1, 2, 3, 4);
  INFO("seed " << seed);
  util::Random random{seed};
  Cluster cluster;
  std::map<std::uint32_t, std::string> leaders;
  const auto pick_time = [&] { return cluster.now - Duration{static_cast<std::int64_t>(random.below(20'000'000))}; };
  for (int step = 0; step < 5000; ++step) {
    const std::uint32_t shard = static_cast<std::uint32_t>(random.below(4));
    const std::size_t node = random.below(2);
    ClusterState::Change change;
    switch (random.below(6)) {
      case 0:
        cluster.open(node);
        cluster.epoch = 0;
        break;
      case 1:
        change = cluster.answer(shard, node, pick_time());
        break;
      case 2:
        change = cluster.hint(shard, node, pick_time());
        break;
      case 3:
        change = cluster.refuse(shard, node, pick_time());
        break;
      default: {
        Leads leads;
        for (std::uint32_t listed = 0; listed < 5; ++listed) {
          if (random.below(2) == 0)
            leads[listed] = random.below(3) == 0 ? "" : "node" + std::to_string(random.below(3));
        }
        change = cluster.show(node, leads);
      }
    }
    std::uint32_t last = 0;
    for (const LeaderChange& leader : change.leaders) {
      REQUIRE(leader.shard >= last);
      last = leader.shard;
      REQUIRE(leader.before == leaders[leader.shard]);
      REQUIRE(leader.after != leader.before);
      leaders[leader.shard] = leader.after;
    }
    for (std::uint32_t each = 0; each < 4; ++each) {
      const NodeView* leader = cluster.state.snapshot()->leader_of(each);
      REQUIRE((leader == nullptr ? "" : leader->address) == leaders[each]);
    }
  }
}
