#include <algorithm>
#include <future>

#include "support/catch.hpp"
#include "support/resources.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;
using norikv::test::descriptors;
using norikv::test::threads;

namespace {

/// Far below what is waited for in these tests, and enough for a busy machine.
constexpr Duration soon = 1s;

/// Writes are not answered in the time of a test.
ClusterConfig endless() {
  ClusterConfig config;
  config.overlap_window = 1h;
  return config;
}

ClusterConfig slow() {
  ClusterConfig config;
  config.commit_delay = true;
  return config;
}

}  // namespace

TEST_CASE("A node stops while requests wait for their commit, without delay") {
  Fixture on(endless());
  const std::string key = on.key_of(0);
  std::vector<std::thread> clients;
  std::atomic<int> broken{0};
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back([&] {
      const auto reply = on.node().put(key, "v");
      if (reply.code == grpc::UNAVAILABLE && !is_not_leader(reply)) ++broken;
    });
  }
  REQUIRE(eventually([&] { return on.cluster.counters().puts == 50; }));
  const auto start = Clock::now();
  on.cluster.stop(0);
  CHECK(Clock::now() - start < soon);
  for (std::thread& client : clients) client.join();
  CHECK(broken == 50);
}

TEST_CASE("A node stops while streams are open, and they end") {
  ClusterConfig config = replicated();
  config.view_interval = 1h;
  Fixture on(config);
  Watch watch(on.node(0));
  REQUIRE(watch.next());
  const auto start = Clock::now();
  on.cluster.stop(0);
  CHECK(Clock::now() - start < soon);
  CHECK(eventually([&] { return !watch.next(); }));
}

TEST_CASE("A frozen node with held requests stops without delay") {
  Fixture on(instant());
  on.cluster.freeze(0);
  auto held = std::async(std::launch::async, [&] { return on.node().get("key"); });
  REQUIRE(eventually([&] { return on.cluster.counters().gets == 1; }));
  const auto start = Clock::now();
  on.cluster.stop(0);
  CHECK(Clock::now() - start < soon);
  CHECK(held.get().code == grpc::UNAVAILABLE);
}

TEST_CASE("A stopped node refuses connections") {
  Fixture on(instant());
  on.cluster.stop(0);
  CHECK(on.node().get("key").code == grpc::UNAVAILABLE);
  CHECK(on.cluster.counters().gets == 0);
}

TEST_CASE("A node comes back on its port a hundred times, and answers at once") {
  Fixture on(instant());
  const std::string address = on.cluster.addresses()[0];
  REQUIRE(on.node().put("key", "v").ok());
  for (int i = 0; i < 100; ++i) {
    on.cluster.stop(0);
    REQUIRE(on.cluster.restart(0));
    const auto reply = Stub(address).get("key");
    CHECK(reply.text == "");
    CHECK(reply.body.value() == "v");
  }
}

TEST_CASE("A node comes back on its port while clients keep trying to reach it") {
  Fixture on(instant());
  std::atomic<bool> done{false};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      Stub stub(on.cluster.addresses()[0]);
      while (!done) (void)stub.get("key");
    });
  }
  for (int i = 0; i < 20; ++i) {
    on.cluster.stop(0);
    CHECK(on.cluster.restart(0));
  }
  done = true;
  for (std::thread& client : clients) client.join();
}

TEST_CASE("Stop and restart may be called twice, and for a node that does not exist") {
  Fixture on(instant());
  on.cluster.stop(0);
  on.cluster.stop(0);
  CHECK(on.cluster.restart(0));
  CHECK(on.cluster.restart(0));
  on.cluster.stop(7);
  CHECK_FALSE(on.cluster.restart(7));
  CHECK(eventually([&] { return on.node().get("key").ok(); }));
}

TEST_CASE("A frozen node is silent, and carries out what it held when it thaws") {
  Fixture on(instant());
  on.cluster.freeze(0);
  auto held = std::async(std::launch::async, [&] { return on.node().put("held", "v"); });
  REQUIRE(eventually([&] { return on.cluster.counters().puts == 1; }));
  CHECK(Stub(on.cluster.addresses()[0]).get("key", "", 50ms).code == grpc::DEADLINE_EXCEEDED);
  CHECK(held.wait_for(0s) == std::future_status::timeout);
  CHECK(on.cluster.stored("held") == std::nullopt);
  on.cluster.thaw(0);
  CHECK(held.get().ok());
  CHECK(on.cluster.stored("held") == "v");
}

TEST_CASE("A node that froze after a write arrived does not answer it before it thaws") {
  Fixture on(slow());
  const std::string key = on.key_of(0);
  auto held = std::async(std::launch::async, [&] { return on.node().put(key, "v"); });
  REQUIRE(eventually([&] { return on.cluster.counters().puts == 1; }));
  on.cluster.freeze(0);
  CHECK(held.wait_for(300ms) == std::future_status::timeout);  // Real time: longer than the slowest commit.
  on.cluster.thaw(0);
  CHECK(held.get().ok());
}

TEST_CASE("A frozen node does not even tell that a request's time is over") {
  Fixture on(instant());
  on.cluster.freeze(0);
  grpc::ClientContext context;
  context.AddMetadata("grpc-timeout", "20m");  // Told to the server alone: the client itself waits.
  auto held = std::async(std::launch::async, [&] {
    return Stub::call_in<v1::GetResponse>(
        context, [&](auto* call, auto* response) { return on.node().kv->Get(call, v1::GetRequest(), response); });
  });
  CHECK(held.wait_for(200ms) == std::future_status::timeout);  // Real time: ten times what was asked for.
  context.TryCancel();
  CHECK(held.get().code == grpc::CANCELLED);
}

TEST_CASE("What a client gave up on while the node was frozen is not carried out") {
  Fixture on(instant());
  on.cluster.freeze(0);
  CHECK(on.node().put("abandoned", "v", 50ms).code == grpc::DEADLINE_EXCEEDED);
  // The cancellation and this answer come over one connection, in this order.
  auto later = std::async(std::launch::async, [&] { return on.node().put("kept", "v"); });
  REQUIRE(eventually([&] { return on.cluster.counters().puts == 2; }));
  on.cluster.thaw(0);
  CHECK(later.get().ok());
  CHECK(on.cluster.stored("abandoned") == std::nullopt);
}

TEST_CASE("A frozen node's stream is silent and goes on after the thaw") {
  ClusterConfig config;
  config.view_interval = 20ms;
  Fixture on(config);
  Watch watch(on.node());
  std::uint64_t last = watch.next().value().epoch();
  on.cluster.freeze(0);
  std::this_thread::sleep_for(200ms);  // Real time: ten views long nothing is sent, which the epochs tell afterwards.
  on.cluster.thaw(0);
  // A few views may have been on their way, and the first after the thaw has skipped the others.
  std::uint64_t widest = 0;
  for (int i = 0; i < 50 && widest < 9; ++i) {
    const std::uint64_t epoch = watch.next().value().epoch();
    widest = std::max(widest, epoch - last);
    last = epoch;
  }
  CHECK(widest >= 9);
}

TEST_CASE("A frozen leader is replaced after the election time and thaws as a follower") {
  ClusterConfig config = replicated();
  config.election = 50ms;
  Fixture on(config);
  on.cluster.freeze(0);
  CHECK(on.cluster.leader(0) == 0u);
  CHECK(eventually([&] { return on.cluster.leader(0) == 1u; }));
  on.cluster.thaw(0);
  CHECK(on.node(0).put(on.key_of(0), "v").hint == on.cluster.addresses()[1]);
}

TEST_CASE("A cluster is gone soon after it is destroyed, whatever is open") {
  ClusterConfig config = replicated();
  config.commit_delay = true;
  Fixture on(config);
  std::vector<std::unique_ptr<Watch>> watches;
  for (std::uint32_t i = 0; i < 30; ++i) {
    watches.push_back(std::make_unique<Watch>(on.node(i % 3)));
    REQUIRE(watches.back()->next());
  }
  on.cluster.freeze(2);
  std::vector<std::thread> clients;
  for (std::uint32_t i = 0; i < 30; ++i) {
    clients.emplace_back([&stub = on.node(i % 3), key = on.key_of(i % 3)] { (void)stub.put(key, "v"); });
  }
  REQUIRE(eventually([&] { return on.cluster.counters().puts == 30; }));
  std::optional<Cluster> destroyed(std::move(on.cluster));
  const auto start = Clock::now();
  destroyed.reset();
  CHECK(Clock::now() - start < soon);
  for (std::thread& client : clients) client.join();
}

TEST_CASE("Fifty clusters in a row leave no thread and no descriptor") {
  const auto use = [] {
    Fixture on(replicated());
    for (std::uint32_t node = 0; node < 3; ++node) CHECK(on.node(node).get("key", "eventual").text == "");
  };
  for (int i = 0; i < 5; ++i) use();
  const auto threads_before = threads();
  const auto descriptors_before = descriptors();
  for (int i = 0; i < 50; ++i) use();
  // gRPC ends some of its threads and closes some descriptors a moment later.
  CHECK(eventually([&] { return threads() <= threads_before; }, 15s));
  CHECK(eventually([&] { return descriptors() <= descriptors_before; }, 15s));
}
