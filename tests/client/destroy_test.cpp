#include <atomic>
#include <optional>
#include <thread>

#include "client/guest.hpp"

// Destroying a client: with operations pending, inside its own callbacks, on a borrowed and on its own loop.
using namespace norikv;
using namespace norikv::test;

namespace {

/// Tells when it is destroyed, and on which thread.
class Sentinel {
 public:
  explicit Sentinel(std::atomic<std::thread::id>& where) : where_(&where) {}
  Sentinel(Sentinel&& other) noexcept : where_(std::exchange(other.where_, nullptr)) {}
  ~Sentinel() {
    if (where_ != nullptr) *where_ = std::this_thread::get_id();
  }

 private:
  std::atomic<std::thread::id>* where_;
};

}  // namespace

TEST_CASE("Destroying a client on a borrowed loop leaves its callbacks to the loop") {
  const Cluster cluster = start({.election = 10s});
  LoopFixture loop;
  std::optional<Client> client = made(create(loop.loop(), cluster.client_options()));
  std::vector<PutOutcome> writes(5);
  for (const auto& write : writes) client->put(key_of(1), "value", write.callback());
  loop.run_for(20ms);
  client.reset();
  for (const auto& write : writes) CHECK_FALSE(write.came());
  REQUIRE(loop.run_until_idle());
  for (const auto& write : writes) CHECK(ended(write) == "closed");
}

TEST_CASE("Destroying a client that never had a turn works") {
  const Cluster cluster = start();
  LoopFixture loop;
  const PutOutcome written;
  made(create(loop.loop(), cluster.client_options())).put("key", "value", written.callback());
  REQUIRE(loop.run_until_idle());
  CHECK(ended(written) == "closed");
}

TEST_CASE("Destroying a client on a borrowed loop inside its callback works") {
  const Cluster cluster = start();
  LoopFixture loop;
  std::optional<Client> client = made(create(loop.loop(), cluster.client_options()));
  const GetOutcome pending;
  bool inside = false;
  client->put("key", "value", [&](Result<Written>) {
    client->get(key_of(1), pending.callback());
    client.reset();
    inside = true;
    CHECK_FALSE(pending.came());
  });
  REQUIRE(loop.run_until_idle());
  CHECK(inside);
  CHECK(ended(pending) == "closed");
}

TEST_CASE("Destroying a client inside its drain, its posted task or its room callback works") {
  const Cluster cluster = start();
  for (int way = 0; way < 4; ++way) {
    LoopFixture loop;
    std::optional<Client> client = made(create(loop.loop(), cluster.client_options()));
    const GetOutcome pending;
    client->get(key_of(1), pending.callback());
    if (way == 0) client->post([&] { client.reset(); });
    if (way == 1) client->drain([&] { client.reset(); });
    if (way == 2) client->when_room(1, [&](Result<void>) { client.reset(); });
    if (way == 3) client->wait_ready({}, [&](Result<void>) { client.reset(); });
    REQUIRE(loop.run_until_idle());
    CHECK_FALSE(client.has_value());
    CHECK(pending.calls() == 1);
  }
}

TEST_CASE("Destroying a client inside its close callback works") {
  const Cluster cluster = start();
  LoopFixture loop;
  std::optional<Client> client = made(create(loop.loop(), cluster.client_options()));
  client->close([&] { client.reset(); });
  REQUIRE(loop.run_until_idle());
  CHECK_FALSE(client.has_value());
}

TEST_CASE("Destroying a client inside a subscriber works, with its replay and with a change") {
  const Cluster cluster = start();
  for (int after : {1, 2}) {
    LoopFixture loop;
    std::optional<Client> client = made(create(loop.loop(), cluster.client_options()));
    const GetOutcome pending;
    int events = 0;
    int ends = 0;
    client->topology()
        .subscribe(
            [&](const TopologyEvent&) {
              if (++events == after) client.reset();
            },
            [&] { ++ends; })
        .detach();
    client->get(key_of(1), pending.callback());
    REQUIRE(loop.run_until_idle());
    CHECK_FALSE(client.has_value());
    CHECK(pending.calls() == 1);
    CHECK(ends == 1);
  }
}

TEST_CASE("Destroying a client with its own loop waits until every callback has come") {
  const Cluster cluster = start({.election = 10s});
  std::vector<PutOutcome> writes(5);
  {
    Client client = made(create(cluster.client_options()));
    for (const auto& write : writes) client.put(key_of(1), "value", write.callback());
  }
  for (const auto& write : writes) CHECK(ended(write) == "closed");
}

TEST_CASE("Destroying a client with its own loop inside its callback works") {
  const Cluster cluster = start();
  auto client = std::make_unique<Client>(made(create(cluster.client_options())));
  const GetOutcome pending;
  const ReadyOutcome destroyed;
  client->put("key", "value", [&, tell = destroyed.callback()](Result<Written>) mutable {
    client->get(key_of(1), pending.callback());
    client.reset();
    tell({});
  });
  REQUIRE(destroyed.wait());
  REQUIRE(pending.wait());
  CHECK(ended(pending) == "closed");
}

TEST_CASE("Destroying a client with its own loop inside a subscriber works") {
  const Cluster cluster = start();
  auto client = std::make_unique<Client>(made(create(cluster.client_options())));
  const ReadyOutcome over;
  client->topology()
      .subscribe([&](const TopologyEvent&) { client.reset(); }, [tell = over.callback()]() mutable { tell({}); })
      .detach();
  REQUIRE(over.wait());
}

TEST_CASE("Callbacks and subscribers are destroyed on the loop's thread") {
  const Cluster cluster = start();
  std::atomic<std::thread::id> loop_thread, callback, refused, subscriber, dropped, task;
  {
    Client client = made(create(cluster.client_options()));
    client.post([&] { loop_thread = std::this_thread::get_id(); });
    client.put("key", "value", [sentinel = Sentinel(callback)](Result<Written>) {});
    client.put(std::string(2000, 'k'), "value", [sentinel = Sentinel(refused)](Result<Written>) {});
    client.topology().subscribe([sentinel = Sentinel(subscriber)](const TopologyEvent&) {}).detach();
    auto subscription = client.topology().subscribe([sentinel = Sentinel(dropped)](const TopologyEvent&) {});
    subscription.unsubscribe();
    client.post([sentinel = Sentinel(task)] {});
  }
  REQUIRE(loop_thread.load() != std::thread::id{});
  CHECK(loop_thread.load() != std::this_thread::get_id());
  for (const auto* where : {&callback, &refused, &subscriber, &dropped, &task}) CHECK(*where == loop_thread.load());
}

TEST_CASE("A subscription and an observable outlive their client") {
  const Cluster cluster = start();
  Subscription subscription;
  std::optional<Observable<TopologyEvent>> source;
  Operation operation;
  int ends = 0;
  {
    Guest guest{cluster};
    source = guest->topology();
    subscription = source->subscribe([](const TopologyEvent&) {}, [&] { ++ends; });
    operation = guest->get("key", [](Result<std::optional<Entry>>) {});
  }
  CHECK(ends == 1);
  CHECK_FALSE(subscription.active());
  operation.cancel();
  subscription.unsubscribe();
  const auto late = source->subscribe([](const TopologyEvent&) {}, [&] { ++ends; });
  CHECK(ends == 2);
  CHECK_FALSE(late.active());
}

TEST_CASE("Clients come and go on one loop without a trace") {
  const Cluster cluster = start();
  LoopFixture loop;
  for (int round = 0; round < 20; ++round) {
    Client client = made(create(loop.loop(), cluster.client_options()));
    const PutOutcome written;
    client.put("key", "value", written.callback());
    if (round % 2 == 0) REQUIRE(loop.run_until([&] { return written.came(); }));
  }
  CHECK(loop.run_until_idle());
}
