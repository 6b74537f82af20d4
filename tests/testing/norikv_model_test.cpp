#include <algorithm>

#include "support/catch.hpp"
#include "testing/model_world.hpp"

using namespace model_tests;

namespace {

ClusterConfig one_node() { return {}; }

ClusterConfig slow_node() {
  ClusterConfig config;
  config.commit_delay = true;
  return config;
}

}  // namespace

TEST_CASE("A shard other than 0 says NOT_LEADER from its first touch until its election is over") {
  World world(one_node());
  const std::string key = world.key_of(1);
  CHECK(world.put(key, "v").error() == Refusal{StatusCode::unavailable, "NOT_LEADER"});
  world.pass(300ms - 1ns);
  CHECK(world.read(key).error() == Refusal{StatusCode::unavailable, "NOT_LEADER"});
  world.pass(1ns);
  CHECK(world.put(key, "v").has_value());
}

TEST_CASE("Shard 0 has its leader from the start") {
  World world(one_node());
  CHECK(world.put(world.key_of(0), "v").has_value());
}

TEST_CASE("A conditional put to a cold shard says why it needs the leader") {
  World world(one_node());
  CHECK(world.write(put_if(world.key_of(1), "v", {})).error().text == "NOT_LEADER: CAS requires leader");
}

TEST_CASE("Put and Get number a key alike in a fresh process, with term 0") {
  World world(one_node());
  const std::string key = world.key_of(0);
  CHECK(world.put(key, "a") == Version{0, 1});
  CHECK(world.put(key, "b") == Version{0, 2});
  CHECK(world.read(key).value()->version == Version{0, 2});
}

TEST_CASE("Put versions start again after a restart while Get versions go on") {
  World world(one_node());
  const std::string key = world.key_of(0);
  for (int i = 0; i < 3; ++i) REQUIRE(world.put(key, "v"));
  world.model().stop(0, world.now());
  world.model().restart(0, world.now());
  CHECK(world.put(key, "w") == Version{0, 1});
  CHECK(world.read(key).value()->version == Version{0, 4});
}

TEST_CASE("Shards are cold again after a restart") {
  World world(one_node());
  world.warm(1);
  REQUIRE(world.put(world.key_of(1), "v"));
  world.model().stop(0, world.now());
  world.model().restart(0, world.now());
  CHECK(is_not_leader(world.read(world.key_of(1)).error()));
  world.pass(300ms);
  CHECK(world.value(world.key_of(1)) == "v");
}

TEST_CASE("Two writes of one shard within the window get one version and the later one wins") {
  World world(one_node());
  const WriteTicket earlier = world.begin(world.key_of(0, 0), "earlier");
  world.pass(4ms);
  const WriteTicket later = world.begin(world.key_of(0, 1), "later");
  world.pass(5ms);
  CHECK(*world.poll(earlier) == Version{0, 1});
  CHECK(*world.poll(later) == Version{0, 1});
  CHECK(world.value(world.key_of(0, 0)) == std::nullopt);
  CHECK(world.value(world.key_of(0, 1)) == "later");
  CHECK(world.model().lost_writes() == 1);
  CHECK(world.model().applied_writes(world.now()) == 1);
}

TEST_CASE("Two writes of one shard that are the window apart are both applied") {
  World world(one_node());
  const WriteTicket earlier = world.begin(world.key_of(0, 0), "earlier");
  world.pass(5ms);
  const WriteTicket later = world.begin(world.key_of(0, 1), "later");
  world.pass(5ms);
  CHECK(*world.poll(earlier) == Version{0, 1});
  CHECK(*world.poll(later) == Version{0, 2});
  CHECK(world.value(world.key_of(0, 0)) == "earlier");
  CHECK(world.model().lost_writes() == 0);
}

TEST_CASE("Two writes of one shard in the same slow commit are both applied if they are the window apart") {
  World world(slow_node());
  const WriteTicket earlier = world.begin(world.key_of(0, 0), "earlier");
  world.pass(6ms);
  const WriteTicket later = world.begin(world.key_of(0, 1), "later");
  world.pass(200ms);
  CHECK(*world.poll(earlier) == Version{0, 1});
  CHECK(*world.poll(later) == Version{0, 2});
  CHECK(world.value(world.key_of(0, 0)) == "earlier");
}

TEST_CASE("Writes of different shards never overwrite each other") {
  World world(one_node());
  world.warm(1);
  const WriteTicket here = world.begin(world.key_of(0), "a");
  const WriteTicket there = world.begin(world.key_of(1), "b");
  world.pass(5ms);
  REQUIRE(world.poll(here));
  REQUIRE(world.poll(there));
  CHECK(world.model().lost_writes() == 0);
}

TEST_CASE("With a window of zero no write is lost and each is answered at once") {
  ClusterConfig config;
  config.overlap_window = 0ns;
  World world(config);
  CHECK(*world.poll(world.begin(world.key_of(0, 0), "a")) == Version{0, 1});
  CHECK(*world.poll(world.begin(world.key_of(0, 1), "b")) == Version{0, 2});
}

TEST_CASE("A slow commit takes 50, 100 or 150 ms beyond the window") {
  for (int phase = 0; phase < 300; phase += 7) {
    World world(slow_node());
    world.pass(std::chrono::milliseconds{phase});
    const TimePoint arrival = world.now();
    REQUIRE(world.put(world.key_of(0), "v"));
    const Duration taken = world.now() - arrival - 5ms;
    CHECK((taken == 50ms || taken == 100ms || taken == 150ms));
  }
}

TEST_CASE("A sequential writer with slow commits settles at 155 ms per write") {
  World world(slow_node());
  world.pass(13ms);
  REQUIRE(world.put(world.key_of(0), "first"));
  const TimePoint first = world.now();
  for (int i = 0; i < 20; ++i) REQUIRE(world.put(world.key_of(0), "v"));
  CHECK(world.now() - first >= 20 * 145ms);
  CHECK(world.now() - first <= 20 * 155ms);
}

TEST_CASE("A read sees a write from its commit on") {
  World world(slow_node());
  const WriteTicket ticket = world.begin(world.key_of(0), "v");
  world.pass(149ms);
  CHECK(world.value(world.key_of(0)) == std::nullopt);
  world.pass(1ms);
  CHECK(world.value(world.key_of(0)) == "v");
  CHECK_FALSE(world.poll(ticket));  // The server looks only every 50 ms.
}

TEST_CASE("An abandoned write is applied all the same") {
  World world(slow_node());
  const WriteTicket ticket = world.begin(world.key_of(0), "v");
  world.model().abandon_write(ticket, world.now());
  world.pass(200ms);
  CHECK(world.value(world.key_of(0)) == "v");
}

TEST_CASE("An abandoned write is not remembered by its idempotency key") {
  World world(slow_node());
  const WriteTicket ticket = world.begin(0, put_once(world.key_of(0), "v", "token"));
  world.model().abandon_write(ticket, world.now());
  world.pass(200ms);
  CHECK(world.write(put_once(world.key_of(0), "v", "token")) == Version{0, 2});
}

TEST_CASE("A write that is not committed when the process is killed is lost") {
  World world(slow_node());
  (void)world.begin(world.key_of(0), "v");
  world.model().stop(0, world.now());
  world.model().restart(0, world.now());
  world.pass(1s);
  CHECK(world.value(world.key_of(0)) == std::nullopt);
}

TEST_CASE("A repeated idempotency key answers the first version and writes nothing, whatever the key") {
  World world(one_node());
  REQUIRE(world.write(put_once(world.key_of(0, 0), "a", "token")) == Version{0, 1});
  CHECK(world.write(put_once(world.key_of(0, 1), "b", "token")) == Version{0, 1});
  CHECK(world.value(world.key_of(0, 1)) == std::nullopt);
}

TEST_CASE("A remove with the idempotency key of a put removes nothing") {
  World world(one_node());
  REQUIRE(world.write(put_once(world.key_of(0), "a", "token")));
  CHECK(world.write({WriteKind::remove, world.key_of(0), {}, {}, "token"}) == Version{0, 1});
  CHECK(world.value(world.key_of(0)) == "a");
}

TEST_CASE("Idempotency keys do not survive the process") {
  World world(one_node());
  REQUIRE(world.write(put_once(world.key_of(0), "a", "token")));
  world.model().stop(0, world.now());
  world.model().restart(0, world.now());
  REQUIRE(world.write(put_once(world.key_of(0), "b", "token")));
  CHECK(world.value(world.key_of(0)) == "b");
}

TEST_CASE("Two conditional puts at the same time can both succeed: the condition is checked before the commit") {
  World world(slow_node());
  const std::string key = world.key_of(0);
  const Version seen = world.put(key, "v").value();
  const WriteTicket one = world.begin(0, put_if(key, "one", seen));
  world.pass(20ms);
  const WriteTicket two = world.begin(0, put_if(key, "two", seen));
  world.pass(200ms);
  CHECK(*world.poll(one));
  CHECK(*world.poll(two));
}

TEST_CASE("A failed condition names both versions") {
  World world(one_node());
  REQUIRE(world.put(world.key_of(0), "v"));
  const Refusal refusal = world.write(put_if(world.key_of(0), "w", {7, 9})).error();
  CHECK(refusal ==
        Refusal{StatusCode::failed_precondition, "Version mismatch: expected term=7 index=9, got term=0 index=1"});
}

TEST_CASE("A condition on a missing key fails, also {0,0}") {
  World world(one_node());
  const Refusal refusal = world.write(put_if(world.key_of(0), "w", {0, 0})).error();
  CHECK(refusal == Refusal{StatusCode::failed_precondition, "CAS failed: key does not exist"});
}

TEST_CASE("A remove ignores its condition") {
  World world(one_node());
  REQUIRE(world.put(world.key_of(0), "v"));
  CHECK(world.write({WriteKind::remove, world.key_of(0), {}, {}, {}, Version{7, 9}}) == Version{0, 2});
  CHECK(world.value(world.key_of(0)) == std::nullopt);
}

TEST_CASE("A remove of a missing key succeeds and takes an index") {
  World world(one_node());
  CHECK(world.write(removal(world.key_of(0))) == Version{0, 1});
  CHECK(world.put(world.key_of(0), "v") == Version{0, 2});
}

TEST_CASE("A time to live counts from the commit") {
  World world(one_node());
  REQUIRE(world.write({WriteKind::put, world.key_of(0), "v", 300ms}));
  world.pass(300ms - 1ns);
  CHECK(world.value(world.key_of(0)) == "v");
  world.pass(1ns);
  CHECK(world.value(world.key_of(0)) == std::nullopt);
}

TEST_CASE("A put without time to live makes a key stay that was to expire") {
  World world(one_node());
  REQUIRE(world.write({WriteKind::put, world.key_of(0), "v", 300ms}));
  REQUIRE(world.put(world.key_of(0), "w"));
  world.pass(1h);
  CHECK(world.value(world.key_of(0)) == "w");
}

TEST_CASE("A time to live is lost with the process and the expired key comes back") {
  World world(one_node());
  REQUIRE(world.write({WriteKind::put, world.key_of(0), "v", 300ms}));
  world.pass(1s);
  world.model().stop(0, world.now());
  world.model().restart(0, world.now());
  CHECK(world.value(world.key_of(0)) == "v");
}

TEST_CASE("Sizes are checked before anything else, the key before the value") {
  World world(one_node());
  const std::string long_key(1025, 'k');
  const std::string long_value(max_value_size + 1, 'v');
  CHECK(world.put(long_key, long_value).error() ==
        Refusal{StatusCode::invalid_argument, "Key size 1025 exceeds limit 1024"});
  CHECK(world.put("k", long_value).error() ==
        Refusal{StatusCode::invalid_argument, "Value size 1048577 exceeds limit 1048576"});
  CHECK(world.read(long_key, 0, "nonsense").error().text == "Key size 1025 exceeds limit 1024");
  CHECK(world.write(removal(long_key)).error().text == "Key size 1025 exceeds limit 1024");
}

TEST_CASE("A key and a value of exactly the limits are accepted") {
  ClusterConfig config;
  config.total_shards = 1;
  World world(config);
  CHECK(world.put(std::string(max_key_size, 'k'), std::string(max_value_size, 'v')).has_value());
}

TEST_CASE("Consistency is one of four texts, with capitals as written") {
  World world(one_node());
  for (const char* known : {"", "strong", "eventual", "bounded_staleness"})
    CHECK(world.read(world.key_of(0), 0, known));
  for (const char* unknown : {"lease", "linearizable", "stale_ok", "STRONG"}) {
    CHECK(world.read(world.key_of(0), 0, unknown).error() ==
          Refusal{StatusCode::invalid_argument, std::string("Unknown consistency level: ") + unknown});
  }
}

TEST_CASE("Every consistency needs the leader") {
  World world(one_node());
  CHECK(world.read(world.key_of(1), 0, "eventual").error().text == "NOT_LEADER");
  CHECK(world.read(world.key_of(1), 0, "strong").error().text == "NOT_LEADER");
}

TEST_CASE("A view shows only shards that were touched, with one replica each") {
  World world(one_node());
  (void)world.read(world.key_of(2));
  wire::View view = world.model().view(0, world.now());
  std::sort(view.shards.begin(), view.shards.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  REQUIRE(view.shards.size() == 2);
  CHECK(view.shards[0].id == 0);
  CHECK(view.shards[0].replicas[0].node_id == "node0");
  CHECK(view.shards[0].replicas[0].leader);
  CHECK(view.shards[1].id == 2);
  CHECK(view.shards[1].replicas.size() == 1);
  CHECK_FALSE(view.shards[1].replicas[0].leader);
}

TEST_CASE("The epoch counts intervals since the process started") {
  World world(one_node());
  CHECK(world.model().view_epoch(0, world.now()) == 0);
  world.pass(3500ms);
  CHECK(world.model().view_epoch(0, world.now()) == 3);
  CHECK(world.model().next_view(0, world.now()) == world.now() + 500ms);
  world.model().stop(0, world.now());
  world.model().restart(0, world.now());
  CHECK(world.model().view_epoch(0, world.now()) == 0);
}

TEST_CASE("Several nodes never find a leader") {
  ClusterConfig config;
  config.nodes = 3;
  World world(config);
  for (NodeIndex node = 0; node < 3; ++node) CHECK(is_not_leader(world.read(world.key_of(0), node).error()));
  world.pass(1h);
  for (NodeIndex node = 0; node < 3; ++node) CHECK(is_not_leader(world.read(world.key_of(0), node).error()));
  CHECK(world.model().leader(0, world.now()) == std::nullopt);
}

TEST_CASE("A node shows its peers by the addresses of their gossip") {
  ClusterConfig config;
  config.nodes = 2;
  World world(config);
  const wire::View view = world.model().view(1, world.now());
  REQUIRE(view.nodes.size() == 2);
  CHECK(view.nodes[0].id == "node1");
  CHECK(view.nodes[0].address == "127.0.0.1:7448");
  CHECK(view.nodes[0].role == "unknown");
  CHECK(view.nodes[1].id == "node0");
  CHECK(view.nodes[1].address == "127.0.0.1:8447");
  CHECK(view.nodes[1].role == "follower");
  REQUIRE(view.shards.size() == 1);
  CHECK_FALSE(view.shards[0].replicas[0].leader);
}

TEST_CASE("A snapshot never creates a shard, and says why it can't be taken") {
  World world(one_node());
  CHECK(world.model().snapshot_shard(0, 1, world.now()).error() ==
        Refusal{StatusCode::not_found, "Shard 1 not found: NotFound(1)"});
  (void)world.read(world.key_of(1));
  CHECK(world.model().snapshot_shard(0, 1, world.now()).error() ==
        Refusal{StatusCode::failed_precondition, "Shard 1 is not leader on this node. Leader: None"});
  world.pass(300ms);
  const wire::Shard shard = world.model().snapshot_shard(0, 1, world.now()).value();
  CHECK(shard.replicas[0].node_id == "node0-shard1");
  CHECK(shard.replicas[0].leader);
}

TEST_CASE("A seeded key is there as from an earlier process, and its shard is still cold") {
  World world(one_node());
  world.model().seed(world.key_of(1), "v", world.now());
  CHECK(world.model().stored(world.key_of(1), world.now()) == "v");
  CHECK(is_not_leader(world.read(world.key_of(1)).error()));
  world.pass(300ms);
  CHECK(world.value(world.key_of(1)) == "v");
}

TEST_CASE("Overlapping writes are counted per shard until they are answered, abandoned ones too") {
  World world(slow_node());
  const WriteTicket first = world.begin(world.key_of(0, 0), "a");
  world.model().abandon_write(first, world.now());
  world.pass(100ms);
  (void)world.begin(world.key_of(0, 1), "b");
  CHECK(world.model().max_overlapping_writes(0) == 2);
  world.pass(400ms);
  (void)world.begin(world.key_of(0, 2), "c");
  CHECK(world.model().max_overlapping_writes(0) == 2);
  CHECK(world.model().max_overlapping_writes(1) == 0);
}
