// A node that its clients can't reach, and that lives on.
#include <future>

#include "support/catch.hpp"
#include "support/resources.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;
using norikv::test::descriptors;

namespace {

ClusterConfig quiet() {
  ClusterConfig config = replicated();
  config.view_interval = 1h;
  return config;
}

}  // namespace

TEST_CASE("An isolated node is silent to its clients, and answers when it heals") {
  Fixture on(instant());
  REQUIRE(on.node().put("key", "v").ok());
  {
    const Fault fault = on.cluster.isolate(0);
    CHECK(on.node().get("key", "", 100ms).code == grpc::DEADLINE_EXCEEDED);
    CHECK(on.cluster.counters().gets == 0);
  }
  CHECK(on.node().get("key").body.value() == "v");
}

TEST_CASE("An isolated node does not accept either, silently") {
  Fixture on(instant());
  Fault fault = on.cluster.isolate(0);
  Stub late(on.cluster.addresses()[0]);
  CHECK(late.get("key", "", 100ms).code == grpc::DEADLINE_EXCEEDED);
  fault.heal();
  CHECK(eventually([&] { return late.get("key").ok(); }));
}

TEST_CASE("A request that arrived before the isolation is carried out, and its answer arrives after it") {
  Fixture on(instant());
  const Fault slow = on.cluster.delay(100ms, {.method = Method::put});
  auto under_way = std::async(std::launch::async, [&] { return on.node().put("key", "v"); });
  REQUIRE(eventually([&] { return slow.hits() == 1; }));
  Fault fault = on.cluster.isolate(0);
  REQUIRE(eventually([&] { return on.cluster.stored("key") == "v"; }));
  CHECK(under_way.wait_for(50ms) == std::future_status::timeout);
  fault.heal();
  CHECK(under_way.get().ok());
}

TEST_CASE("An isolated node keeps its shards, and the others know no better") {
  Fixture on(quiet());
  const Fault fault = on.cluster.isolate(1);
  CHECK(on.cluster.leader(1) == 1u);
  const auto reply = on.node(0).get(on.key_of(1));
  CHECK(is_not_leader(reply));
  CHECK(reply.hint == on.cluster.addresses()[1]);
}

TEST_CASE("A stream of an isolated node says nothing, and goes on when it heals") {
  Fixture on(quiet());
  Watch watch(on.node(0));
  REQUIRE(watch.next());
  Fault fault = on.cluster.isolate(0);
  REQUIRE(on.cluster.move_leader(0, 1));
  auto next = std::async(std::launch::async, [&] { return watch.next(); });
  CHECK(next.wait_for(100ms) == std::future_status::timeout);
  fault.heal();
  CHECK(next.get());
}

TEST_CASE("A node isolated by refusal breaks its connections and refuses new ones until it heals") {
  Fixture on(quiet());
  Watch watch(on.node(0));
  REQUIRE(watch.next());
  Fault fault = on.cluster.isolate(0, Isolation::refused);
  CHECK_FALSE(watch.next());
  CHECK(on.node(0).get(on.key_of(0)).code == grpc::UNAVAILABLE);
  CHECK(on.cluster.leader(0) == 0u);
  fault.heal();
  CHECK(eventually([&] { return on.node(0).get(on.key_of(0)).ok(); }));
}

TEST_CASE("Isolations overlap, and the node is reached again after the last") {
  Fixture on(instant());
  Fault silent = on.cluster.isolate(0, Isolation::silent);
  Fault refused = on.cluster.isolate(0, Isolation::refused);
  silent.heal();
  CHECK(on.node().get("key", "", 500ms).code != grpc::OK);
  Fault again = on.cluster.isolate(0, Isolation::silent);
  refused.heal();
  CHECK(on.node().get("key", "", 100ms).code != grpc::OK);
  again.heal();
  CHECK(eventually([&] { return on.node().get("key").ok(); }));
}

TEST_CASE("An isolated node can be stopped and started, and stays isolated") {
  Fixture on(instant());
  Fault fault = on.cluster.isolate(0, GENERATE(Isolation::silent, Isolation::refused));
  on.cluster.stop(0);
  REQUIRE(on.cluster.restart(0));
  CHECK(on.node().get("key", "", 100ms).code != grpc::OK);
  fault.heal();
  CHECK(eventually([&] { return on.node().get("key").ok(); }));
}

TEST_CASE("A node that was stopped while it was isolated stays stopped when it heals") {
  Fixture on(instant());
  Fault fault = on.cluster.isolate(0, GENERATE(Isolation::silent, Isolation::refused));
  on.cluster.stop(0);
  fault.heal();
  CHECK(on.node().get("key").code == grpc::UNAVAILABLE);
  REQUIRE(on.cluster.restart(0));
  CHECK(eventually([&] { return on.node().get("key").ok(); }));
}

TEST_CASE("Clusters with every kind of fault come and go, and leave no descriptor") {
  const auto once = [] {
    Fixture on(replicated());
    for (std::uint32_t node = 0; node < 3; ++node) REQUIRE(on.node(node).get(on.key_of(node)).ok());
    const Fault silent = on.cluster.isolate(0);
    const Fault refused = on.cluster.isolate(1, Isolation::refused);
    const Fault slow = on.cluster.delay(1h, {.node = 2, .times = 1});
    CHECK(on.node(2).get(on.key_of(2), "", 20ms).code == grpc::DEADLINE_EXCEEDED);
    on.cluster.go_away(2);
    const Fault drop = on.cluster.drop_connection(Moment::after_applied, {.node = 2});
    CHECK_FALSE(on.node(2).put(on.key_of(2), "v").ok());
  };
  once();
  // gRPC closes a client's descriptors on its own threads, soon.
  std::ptrdiff_t settled = descriptors();
  const auto quiet_down = [&] { return eventually([&, end = Clock::now() + 300ms] { return Clock::now() > end; }); };
  REQUIRE(quiet_down());
  settled = descriptors();
  for (int i = 0; i < 10; ++i) once();
  CHECK(eventually([&] { return descriptors() <= settled; }));
}
