// What was confirmed by talking to the real server, said again by ours over the wire, to the letter.
#include <algorithm>

#include "support/catch.hpp"
#include "support/lateness.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;

TEST_CASE("First touch of a shard: NOT_LEADER for the election time, without metadata, then OK") {
  Fixture on;
  const std::string key = on.key_of(1);
  const auto start = Clock::now();
  const auto first = on.node().put(key, "v");
  CHECK(first.code == grpc::UNAVAILABLE);
  CHECK(first.text == "NOT_LEADER");
  CHECK(first.metadata == 0);
  CHECK(eventually([&] { return on.node().put(key, "v").ok(); }, 1s));
  CHECK(Clock::now() - start >= 300ms);  // Real time: that it takes this long is what is tested.
}

TEST_CASE("Shard 0 answers at once") {
  Fixture on;
  CHECK(on.node().put(on.key_of(0), "v").ok());
}

TEST_CASE("With commit delay a warm shard's Put takes 50 to 160 ms and a Get does not wait") {
  ClusterConfig config;
  config.commit_delay = true;
  Fixture on(config);
  const std::string key = on.key_of(0);
  const norikv::test::Lateness lateness;
  for (int i = 0; i < 4; ++i) {
    const auto start = Clock::now();
    REQUIRE(on.node().put(key, "v").ok());
    const auto taken = Clock::now() - start;
    CHECK(taken >= 50ms);
    CHECK(taken < 155ms + 100ms + 10 * lateness.worst());  // On a busy machine.
  }
  // If a Get waited, the fastest of many would too.
  auto fastest = std::chrono::nanoseconds{1h};
  for (int i = 0; i < 10; ++i) {
    const auto start = Clock::now();
    CHECK(on.node().get(key).ok());
    fastest = std::min<std::chrono::nanoseconds>(fastest, Clock::now() - start);
  }
  CHECK(fastest < 50ms);
}

TEST_CASE("The SDKs' consistency names are refused by name") {
  Fixture on(instant());
  for (const std::string name : {"lease", "linearizable", "stale_ok", "STRONG"}) {
    const auto reply = on.node().get("key", name);
    CHECK(reply.code == grpc::INVALID_ARGUMENT);
    CHECK(reply.text == "Unknown consistency level: " + name);
    CHECK(reply.metadata == 0);
  }
  for (const std::string name : {"", "strong", "eventual", "bounded_staleness"}) CHECK(on.node().get("key", name).ok());
}

TEST_CASE("A Get of a missing key is OK without a version") {
  Fixture on(instant());
  const auto reply = on.node().get("missing");
  CHECK(reply.ok());
  CHECK_FALSE(reply.body.has_version());
  CHECK(reply.body.value().empty());
}

TEST_CASE("The empty key and the empty value are accepted") {
  Fixture on(instant());
  REQUIRE(on.node().put("", "").ok());
  const auto reply = on.node().get("");
  CHECK(reply.body.has_version());
  CHECK(reply.body.value().empty());
}

TEST_CASE("A key of 1024 bytes is accepted and one of 1025 is not") {
  Fixture on(instant());
  CHECK(on.node().put(std::string(1024, 'k'), "v").ok());
  const auto reply = on.node().put(std::string(1025, 'k'), "v");
  CHECK(reply.code == grpc::INVALID_ARGUMENT);
  CHECK(reply.text == "Key size 1025 exceeds limit 1024");
}

TEST_CASE("A value of 1 MiB is accepted and one byte more is not") {
  Fixture on(instant());
  CHECK(on.node().put("k", std::string(1 << 20, 'v')).ok());
  CHECK(on.node().get("k").body.value().size() == 1 << 20);
  const auto reply = on.node().put("k", std::string((1 << 20) + 1, 'v'));
  CHECK(reply.code == grpc::INVALID_ARGUMENT);
  CHECK(reply.text == "Value size 1048577 exceeds limit 1048576");
}

TEST_CASE("A message of 5 MiB is out of range") {
  Fixture on(instant());
  const auto reply = on.node().put("key", std::string(5 << 20, 'v'));
  CHECK(reply.code == grpc::OUT_OF_RANGE);
  CHECK(reply.text == "Error, message length too large: found 5242890 bytes, the limit is: 4194304 bytes");
}

TEST_CASE("A conditional put with another version is refused with both versions") {
  Fixture on(instant());
  for (int i = 0; i < 3; ++i) REQUIRE(on.node().put("k", "v").ok());
  v1::PutRequest request;
  request.set_key("k");
  request.mutable_if_match()->set_term(7);
  request.mutable_if_match()->set_index(9);
  const auto reply = on.node().put(request);
  CHECK(reply.code == grpc::FAILED_PRECONDITION);
  CHECK(reply.text == "Version mismatch: expected term=7 index=9, got term=0 index=3");
}

TEST_CASE("A conditional put of a missing key is refused, also with an empty version") {
  Fixture on(instant());
  v1::PutRequest request;
  request.set_key("k");
  request.mutable_if_match();
  const auto reply = on.node().put(request);
  CHECK(reply.code == grpc::FAILED_PRECONDITION);
  CHECK(reply.text == "CAS failed: key does not exist");
}

TEST_CASE("A Delete with a wrong condition deletes") {
  Fixture on(instant());
  REQUIRE(on.node().put("k", "v").ok());
  v1::DeleteRequest request;
  request.set_key("k");
  request.mutable_if_match()->set_index(99);
  const auto reply = on.node().remove(request);
  CHECK(reply.ok());
  CHECK(reply.body.tombstoned());
  CHECK_FALSE(on.node().get("k").body.has_version());
}

TEST_CASE("A Delete of a missing key is tombstoned and takes an index") {
  Fixture on(instant());
  const auto reply = on.node().remove("k");
  CHECK(reply.body.tombstoned());
  CHECK(reply.body.version().term() == 0);
  CHECK(reply.body.version().index() == 1);
  CHECK(on.node().put("k", "v").body.version().index() == 2);
}

TEST_CASE("An idempotency token answers its first version for any key, and a Delete with it deletes nothing") {
  Fixture on(instant());
  v1::PutRequest first;
  first.set_key("a");
  first.set_value("v");
  first.set_idempotency_key("token");
  REQUIRE(on.node().put(first).body.version().index() == 1);
  v1::PutRequest second = first;
  second.set_key("b");
  CHECK(on.node().put(second).body.version().index() == 1);
  CHECK_FALSE(on.node().get("b").body.has_version());
  v1::DeleteRequest remove;
  remove.set_key("a");
  remove.set_idempotency_key("token");
  CHECK(on.node().remove(remove).body.tombstoned());
  CHECK(on.node().get("a").body.has_version());
}

TEST_CASE("A key with a time to live is readable, then missing") {
  Fixture on(instant());
  v1::PutRequest request;
  request.set_key("k");
  request.set_ttl_ms(300);
  REQUIRE(on.node().put(request).ok());
  CHECK(on.node().get("k").body.has_version());
  CHECK(eventually([&] { return !on.node().get("k").body.has_version(); }, 1s));  // Real time: the server's clock.
}

TEST_CASE("The largest time to live does not overflow") {
  Fixture on(instant());
  v1::PutRequest request;
  request.set_key("k");
  request.set_ttl_ms(~std::uint64_t{0});
  REQUIRE(on.node().put(request).ok());
  CHECK(on.node().get("k").body.has_version());
}

TEST_CASE("A request that outlives the time it was sent with is CANCELLED by the server, and applied") {
  ClusterConfig config;
  config.commit_delay = true;
  Fixture on(config);
  const std::string key = on.key_of(0);
  v1::PutRequest request;
  request.set_key(key);
  request.set_value("after");
  Duration fastest = 1h;
  // Real time: the answer comes with the time-out and not with the commit. A busy machine gets some tries.
  for (int tries = 0; tries < 20 && fastest > 45ms; ++tries) {
    REQUIRE(on.node().put(key, "before").ok());  // The next one then takes the whole tick.
    grpc::ClientContext context;
    context.AddMetadata("grpc-timeout", "20m");  // Told to the server alone: the client's own timer would win.
    const auto start = Clock::now();
    const auto reply = Stub::call_in<v1::PutResponse>(
        context, [&](auto* call, auto* response) { return on.node().kv->Put(call, request, response); });
    fastest = std::min<Duration>(fastest, Clock::now() - start);
    CHECK(reply.code == grpc::CANCELLED);
    CHECK(reply.text == "Timeout expired");
    CHECK(eventually([&] { return on.cluster.stored(key) == "after"; }));
  }
  CHECK(fastest <= 45ms);
}

TEST_CASE("A write whose client gave up is applied") {
  ClusterConfig config;
  config.commit_delay = true;
  Fixture on(config);
  const std::string key = on.key_of(0);
  REQUIRE(on.node().put(key, "before").ok());
  const auto reply = on.node().put(key, "after", 20ms);
  CHECK((reply.code == grpc::DEADLINE_EXCEEDED || reply.text == "Timeout expired"));  // Whose timer wins is open.
  CHECK(eventually([&] { return on.cluster.stored(key) == "after"; }));
}

TEST_CASE("Admin says what the real server says") {
  Fixture on;
  v1::ShardInfo shard;
  const auto transfer = [&] {
    return Stub::call<v1::ShardInfo>(
        [&](auto* context, auto* response) { return on.node().admin->TransferShard(context, shard, response); });
  };
  const auto snapshot = [&](std::uint32_t id) {
    shard.set_id(id);
    return Stub::call<v1::ShardInfo>(
        [&](auto* context, auto* response) { return on.node().admin->SnapshotShard(context, shard, response); });
  };
  CHECK(transfer().code == grpc::UNIMPLEMENTED);
  CHECK(transfer().text == "TransferShard not yet implemented - requires Raft leadership transfer API");
  const auto taken = snapshot(0);
  REQUIRE(taken.ok());
  CHECK(taken.body.id() == 0);
  CHECK(taken.body.replicas(0).node_id() == "node0-shard0");
  CHECK(taken.body.replicas(0).leader());
  CHECK(snapshot(1).code == grpc::NOT_FOUND);
  CHECK(snapshot(1).text == "Shard 1 not found: NotFound(1)");
  (void)on.node().get(on.key_of(1));
  CHECK(snapshot(1).code == grpc::FAILED_PRECONDITION);
  CHECK(snapshot(1).text == "Shard 1 is not leader on this node. Leader: None");
}

TEST_CASE("The vector service is not there, without a word") {
  Fixture on;
  const auto reply = Stub::call<v1::VectorSearchResponse>([&](auto* context, auto* response) {
    return on.node().vector->Search(context, v1::VectorSearchRequest(), response);
  });
  CHECK(reply.code == grpc::UNIMPLEMENTED);
  CHECK(reply.text.empty());
}

TEST_CASE("WatchCluster sends a view at once and then one per interval, each with the next epoch") {
  ClusterConfig config;
  config.view_interval = 50ms;
  Fixture on(config);
  Watch watch(on.node());
  const norikv::test::Lateness lateness;
  const std::uint64_t first = watch.next().value().epoch();
  const auto start = Clock::now();
  for (std::uint64_t i = 1; i <= 5; ++i) CHECK(watch.next().value().epoch() == first + i);
  const auto taken = Clock::now() - start;  // Real time: the cadence is what is tested.
  CHECK(taken > 150ms);
  CHECK(taken < 1s + 10 * lateness.worst());
}

TEST_CASE("A view names the node by its address, with role unknown, and its touched shards") {
  Fixture on;
  const v1::ClusterView view = Watch(on.node()).next().value();
  REQUIRE(view.nodes_size() == 1);
  CHECK(view.nodes(0).id() == "node0");
  CHECK(view.nodes(0).addr() == on.cluster.addresses()[0]);
  CHECK(view.nodes(0).role() == "unknown");
  REQUIRE(view.shards_size() == 1);
  CHECK(view.shards(0).id() == 0);
  CHECK(view.shards(0).replicas(0).node_id() == "node0");
  CHECK(view.shards(0).replicas(0).leader());
}

TEST_CASE("After a restart Put versions start again while Get versions go on, and shards are cold") {
  Fixture on;
  const std::string key = on.key_of(0);
  const std::string cold = on.key_of(1);
  for (int i = 0; i < 3; ++i) REQUIRE(on.node().put(key, "v").ok());
  REQUIRE(eventually([&] { return on.node().get(cold).ok(); }));
  on.cluster.stop(0);
  REQUIRE(on.cluster.restart(0));
  REQUIRE(eventually([&] { return on.node().get(key).ok(); }));
  CHECK(on.node().put(key, "v").body.version().index() == 1);
  CHECK(on.node().get(key).body.version().index() == 4);
  CHECK(is_not_leader(on.node().get(cold)));
}

TEST_CASE("Three nodes answer NOT_LEADER for ever and show their peers' gossip addresses") {
  ClusterConfig config;
  config.nodes = 3;
  config.election = 20ms;
  Fixture on(config);
  const auto start = Clock::now();
  do {
    for (std::uint32_t node = 0; node < 3; ++node) CHECK(is_not_leader(on.node(node).put("key", "v")));
  } while (Clock::now() - start < 100ms);  // Five elections long.
  const v1::ClusterView view = Watch(on.node(1)).next().value();
  REQUIRE(view.nodes_size() == 3);
  CHECK(view.nodes(0).addr() == on.cluster.addresses()[1]);
  const std::string address = on.cluster.addresses()[0];
  const int port = std::stoi(address.substr(address.find(':') + 1));
  CHECK(view.nodes(1).addr() == "127.0.0.1:" + std::to_string(port + 1000));
  CHECK(view.nodes(1).role() == "follower");
  for (const v1::ShardInfo& shard : view.shards()) CHECK_FALSE(shard.replicas(0).leader());
}
