#include "support/catch.hpp"
#include "testing/model_world.hpp"

using namespace model_tests;

namespace {

ClusterConfig three_nodes() {
  ClusterConfig config;
  config.profile = Profile::replicated;
  config.nodes = 3;
  return config;
}

ClusterConfig slow_nodes() {
  ClusterConfig config = three_nodes();
  config.commit_delay = true;
  return config;
}

std::vector<std::optional<NodeIndex>> leaders(World& world) {
  std::vector<std::optional<NodeIndex>> found;
  for (std::uint32_t shard = 0; shard < 4; ++shard) found.push_back(world.model().leader(shard, world.now()));
  return found;
}

using Leaders = std::vector<std::optional<NodeIndex>>;

}  // namespace

TEST_CASE("Replicated: leaders are dealt out round robin at the start") {
  World world(three_nodes());
  CHECK(leaders(world) == Leaders{0, 1, 2, 0});
}

TEST_CASE("Replicated: a node that does not lead names the leader") {
  World world(three_nodes());
  const std::string key = world.key_of(1);
  CHECK(world.write(0, {WriteKind::put, key, "v"}).error() ==
        Refusal{StatusCode::unavailable, "NOT_LEADER", "127.0.0.1:7448"});
  CHECK(world.write(0, put_if(key, "v", {1, 1})).error() ==
        Refusal{StatusCode::unavailable, "NOT_LEADER: CAS requires leader", "127.0.0.1:7448"});
  CHECK(world.read(key, 0).error() ==
        Refusal{StatusCode::unavailable, "NOT_LEADER: strong consistency requires leader", "127.0.0.1:7448"});
}

TEST_CASE("Replicated: followers answer stale and bounded reads") {
  World world(three_nodes());
  REQUIRE(world.write(1, {WriteKind::put, world.key_of(1), "v"}));
  CHECK(world.value(world.key_of(1), 0, "eventual") == "v");
  CHECK(world.value(world.key_of(1), 2, "bounded_staleness") == "v");
}

TEST_CASE("Replicated: Put and Get tell the same version, with a term and an index that grows") {
  World world(three_nodes());
  const std::string key = world.key_of(0);
  CHECK(world.put(key, "a") == Version{1, 1});
  CHECK(world.put(key, "b") == Version{1, 2});
  CHECK(world.read(key).value()->version == Version{1, 2});
}

TEST_CASE("Replicated: of two conditional puts at the same time one succeeds") {
  World world(slow_nodes());
  const std::string key = world.key_of(0);
  const Version seen = world.put(key, "v").value();
  const WriteTicket one = world.begin(0, put_if(key, "one", seen));
  const WriteTicket two = world.begin(0, put_if(key, "two", seen));
  world.pass(200ms);
  CHECK(*world.poll(one) == Version{1, 2});
  CHECK(world.poll(two)->error().text == "Version mismatch: expected term=1 index=1, got term=1 index=2");
  CHECK(world.value(key) == "one");
}

TEST_CASE("Replicated: a remove keeps to its condition") {
  World world(three_nodes());
  const Version seen = world.put(world.key_of(0), "v").value();
  CHECK(world.write({WriteKind::remove, world.key_of(0), {}, {}, {}, Version{7, 9}}).error().code ==
        StatusCode::failed_precondition);
  CHECK(world.value(world.key_of(0)) == "v");
  CHECK(world.write({WriteKind::remove, world.key_of(0), {}, {}, {}, seen}));
  CHECK(world.value(world.key_of(0)) == std::nullopt);
}

TEST_CASE("Replicated: a repeated idempotency key is recognised by the next leader too") {
  World world(three_nodes());
  const Version first = world.write(put_once(world.key_of(0), "a", "token")).value();
  REQUIRE(world.model().move_leader(0, 2, world.now()));
  CHECK(world.write(2, put_once(world.key_of(0), "b", "token")) == first);
  CHECK(world.value(world.key_of(0), 2) == "a");
}

TEST_CASE("Replicated: two requests with one idempotency key at the same time are applied once") {
  World world(slow_nodes());
  const WriteTicket one = world.begin(0, put_once(world.key_of(0), "a", "token"));
  const WriteTicket two = world.begin(0, put_once(world.key_of(0), "a", "token"));
  world.pass(200ms);
  CHECK(*world.poll(one) == Version{1, 1});
  CHECK(*world.poll(two) == Version{1, 1});
  CHECK(world.model().applied_writes(world.now()) == 1);
}

TEST_CASE("Replicated: overlapping writes get versions of their own and none is lost") {
  World world(slow_nodes());
  const WriteTicket one = world.begin(world.key_of(0, 0), "a");
  const WriteTicket two = world.begin(world.key_of(0, 1), "b");
  world.pass(200ms);
  CHECK(*world.poll(one) == Version{1, 1});
  CHECK(*world.poll(two) == Version{1, 2});
  CHECK(world.model().max_overlapping_writes(0) == 2);
}

TEST_CASE("Replicated: a moved leader leads at once, in a new term, and the index goes on") {
  World world(three_nodes());
  REQUIRE(world.put(world.key_of(0), "a") == Version{1, 1});
  REQUIRE(world.model().move_leader(0, 2, world.now()));
  CHECK(world.put(world.key_of(0), "b").error().leader_hint == "127.0.0.1:7449");
  CHECK(world.write(2, {WriteKind::put, world.key_of(0), "b"}) == Version{2, 2});
}

TEST_CASE("Replicated: a write in flight is refused un-applied when the leader moves before its commit") {
  World world(slow_nodes());
  const WriteTicket ticket = world.begin(world.key_of(0), "v");
  REQUIRE(world.model().move_leader(0, 1, world.now()));
  CHECK(world.poll(ticket)->error() == Refusal{StatusCode::unavailable, "NOT_LEADER", "127.0.0.1:7448"});
  world.pass(1s);
  CHECK(world.model().stored(world.key_of(0), world.now()) == std::nullopt);
}

TEST_CASE("Replicated: a write that committed before the leader moved is acknowledged") {
  World world(slow_nodes());
  world.pass(20ms);
  const WriteTicket ticket = world.begin(world.key_of(0), "v");
  world.pass(130ms);  // The tick; the answer comes 20 ms later.
  REQUIRE_FALSE(world.poll(ticket));
  REQUIRE(world.model().move_leader(0, 1, world.now()));
  world.pass(20ms);
  CHECK(*world.poll(ticket) == Version{1, 1});
  CHECK(world.value(world.key_of(0), 1) == "v");
}

TEST_CASE("Replicated: a leader can't be moved to a node that is stopped, or that does not exist") {
  World world(three_nodes());
  world.model().stop(1, world.now());
  CHECK_FALSE(world.model().move_leader(0, 1, world.now()));
  CHECK_FALSE(world.model().move_leader(0, 3, world.now()));
  CHECK_FALSE(world.model().move_leader(4, 2, world.now()));
}

TEST_CASE("Replicated: the shards of a stopped node have no leader and no hint, then new leaders") {
  World world(three_nodes());
  world.model().stop(0, world.now());
  CHECK(leaders(world) == Leaders{std::nullopt, 1, 2, std::nullopt});
  CHECK(world.read(world.key_of(0), 1).error().leader_hint.empty());
  world.pass(300ms);
  CHECK(leaders(world) == Leaders{1, 1, 2, 1});
}

TEST_CASE("Replicated: what was acknowledged survives its leader") {
  World world(three_nodes());
  REQUIRE(world.put(world.key_of(0), "v"));
  world.model().stop(0, world.now());
  world.pass(300ms);
  CHECK(world.value(world.key_of(0), 1) == "v");
}

TEST_CASE("Replicated: a stopped node comes back as a follower with all data") {
  World world(three_nodes());
  world.model().stop(0, world.now());
  world.pass(300ms);
  REQUIRE(world.write(1, {WriteKind::put, world.key_of(0), "v"}));
  world.model().restart(0, world.now());
  CHECK(leaders(world) == Leaders{1, 1, 2, 1});
  CHECK(world.value(world.key_of(0), 0, "eventual") == "v");
}

TEST_CASE("Replicated: when all nodes were stopped the first one back leads after an election") {
  World world(three_nodes());
  for (NodeIndex node = 0; node < 3; ++node) world.model().stop(node, world.now());
  world.pass(10s);
  world.model().restart(2, world.now());
  CHECK(leaders(world) == Leaders(4, std::nullopt));
  world.pass(300ms);
  CHECK(leaders(world) == Leaders(4, 2));
}

TEST_CASE("Replicated: a frozen leader leads on until the others elect another one") {
  World world(three_nodes());
  world.model().freeze(0, world.now());
  world.pass(300ms - 1ns);
  CHECK(leaders(world) == Leaders{0, 1, 2, 0});
  CHECK(world.read(world.key_of(0), 1).error().leader_hint == "127.0.0.1:7447");
  world.pass(1ns);
  CHECK(leaders(world) == Leaders{1, 1, 2, 1});
  world.model().thaw(0, world.now());
  CHECK(leaders(world) == Leaders{1, 1, 2, 1});
}

TEST_CASE("Replicated: a leader that thaws in time leads on") {
  World world(three_nodes());
  world.model().freeze(0, world.now());
  world.pass(200ms);
  world.model().thaw(0, world.now());
  world.pass(10s);
  CHECK(leaders(world) == Leaders{0, 1, 2, 0});
}

TEST_CASE("Replicated: a leader that is moved to a frozen node is replaced after an election") {
  World world(three_nodes());
  world.model().freeze(2, world.now());
  world.pass(10s);
  REQUIRE(world.model().move_leader(0, 2, world.now()));
  CHECK(world.model().leader(0, world.now()) == 2u);
  world.pass(300ms);
  CHECK(world.model().leader(0, world.now()) == 0u);
}

TEST_CASE("Replicated: a write on a frozen leader commits after a thaw in time") {
  World world(slow_nodes());
  const WriteTicket ticket = world.begin(world.key_of(0), "v");
  world.model().freeze(0, world.now());
  world.pass(290ms);
  CHECK(world.model().stored(world.key_of(0), world.now()) == std::nullopt);
  world.model().thaw(0, world.now());
  CHECK(*world.poll(ticket) == Version{1, 1});
}

TEST_CASE("Replicated: a write on a frozen leader is refused un-applied once another one leads") {
  World world(slow_nodes());
  const WriteTicket ticket = world.begin(world.key_of(0), "v");
  world.model().freeze(0, world.now());
  world.pass(300ms);
  world.model().thaw(0, world.now());
  CHECK(world.poll(ticket)->error().leader_hint == "127.0.0.1:7448");
  CHECK(world.model().stored(world.key_of(0), world.now()) == std::nullopt);
}

TEST_CASE("Replicated: a node that is alone and frozen leads on after it thaws") {
  ClusterConfig config = three_nodes();
  config.nodes = 1;
  World world(config);
  world.model().freeze(0, world.now());
  world.pass(10s);
  world.model().thaw(0, world.now());
  CHECK(world.put(world.key_of(0), "v"));
}

TEST_CASE("Replicated: with no election time a leader is replaced at once") {
  ClusterConfig config = three_nodes();
  config.election = 0ns;
  World world(config);
  world.model().stop(0, world.now());
  CHECK(leaders(world) == Leaders{1, 1, 2, 1});
}

TEST_CASE("Replicated: a write in flight on a node that is stopped leaves nothing behind") {
  World world(slow_nodes());
  const WriteTicket ticket = world.begin(world.key_of(0), "v");
  world.model().stop(0, world.now());
  world.model().abandon_write(ticket, world.now());
  world.pass(1s);
  CHECK(world.model().stored(world.key_of(0), world.now()) == std::nullopt);
  CHECK(world.model().applied_writes(world.now()) == 0);
}

TEST_CASE("Replicated: a view lists all nodes with their real addresses and all replicas") {
  World world(three_nodes());
  const wire::View view = world.model().view(1, world.now());
  REQUIRE(view.nodes.size() == 3);
  CHECK(view.nodes[2].id == "node2");
  CHECK(view.nodes[2].address == "127.0.0.1:7449");
  REQUIRE(view.shards.size() == 4);
  REQUIRE(view.shards[1].replicas.size() == 3);
  CHECK_FALSE(view.shards[1].replicas[0].leader);
  CHECK(view.shards[1].replicas[1].leader);
}

TEST_CASE("Replicated: every change of a leader is a new epoch on every node") {
  World world(three_nodes());
  const std::uint64_t before = world.model().view_epoch(2, world.now());
  REQUIRE(world.model().move_leader(0, 1, world.now()));
  CHECK(world.model().view_epoch(2, world.now()) == before + 1);
}

TEST_CASE("Replicated: a coming election is the next view") {
  World world(three_nodes());
  world.model().stop(0, world.now());
  CHECK(world.model().next_view(1, world.now()) == world.now() + 300ms);
  const std::uint64_t before = world.model().view_epoch(1, world.now());
  world.pass(300ms);
  CHECK(world.model().view_epoch(1, world.now()) > before);
}

TEST_CASE("Replicated: a snapshot names the leader's replica") {
  World world(three_nodes());
  CHECK(world.model().snapshot_shard(0, 1, world.now()).error().text ==
        "Shard 1 is not leader on this node. Leader: Some(NodeId(\"node1-shard1\"))");
  CHECK(world.model().snapshot_shard(1, 1, world.now()));
}
