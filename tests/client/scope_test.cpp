#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "client/guest.hpp"

// Scopes: operations that end with an object.
using namespace norikv;
using namespace norikv::test;

namespace {

/// Makes callbacks that note what becomes of them. [any thread]
class Callbacks {
 public:
  /// One that runs `then` when it is called.
  template <class Then>
  [[nodiscard]] auto make(Then then) {
    ++made_;
    return [alive = std::make_unique<Alive>(this), then](auto&&...) mutable {
      ++alive->to->called_;
      then();
    };
  }
  [[nodiscard]] auto make() {
    return make([] {});
  }
  [[nodiscard]] int called() const { return called_; }
  [[nodiscard]] bool all_destroyed() const { return destroyed_ == made_; }
  /// Destroyed on another thread than the one that this test turns the loop on.
  [[nodiscard]] int destroyed_elsewhere() const { return destroyed_elsewhere_; }
  void expect_thread(std::thread::id thread) { thread_ = thread; }

 private:
  struct Alive {
    explicit Alive(Callbacks* callbacks) : to(callbacks) {}
    ~Alive() {
      if (std::this_thread::get_id() != to->thread_.load()) ++to->destroyed_elsewhere_;
      ++to->destroyed_;
    }
    Callbacks* to;
  };
  std::atomic<int> made_{0}, called_{0}, destroyed_{0}, destroyed_elsewhere_{0};
  std::atomic<std::thread::id> thread_{std::this_thread::get_id()};
};

[[nodiscard]] bool wait_for_all_destroyed(Guest& guest, const Callbacks& callbacks) {
  return guest.loop().run_until([&] { return callbacks.all_destroyed(); });
}

/// A cluster whose shards find no leader while a test lasts, so that operations on cold shards stay pending.
[[nodiscard]] Cluster start_without_leaders() { return start({.election = 60s}); }

}  // namespace

TEST_CASE("The operations of a scope call back as always while it lasts") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const Scope scope;
  const PutOutcome put, refused;
  const GetOutcome get;
  const RemoveOutcome removed;
  const ReadyOutcome ready;
  guest->wait_ready({.scope = scope}, ready.callback());
  guest->put("key", "value", {.scope = scope}, put.callback());
  guest->put(std::string(2000, 'k'), "value", {.scope = scope}, refused.callback());
  REQUIRE(guest.wait(put));
  guest->get("key", {.scope = scope}, get.callback());
  REQUIRE(guest.wait(get));
  guest->remove("key", {.scope = scope}, removed.callback());
  REQUIRE(guest.wait(removed));
  CHECK(ended(ready) == "ok");
  CHECK(ended(put) == "ok");
  CHECK(ended(refused) == "invalid_argument");
  CHECK(value_of(get.result()) == "value");
  CHECK(ended(removed) == "ok");
  CHECK(scope.operations() == 0);
  CHECK_FALSE(scope.ended());
}

TEST_CASE("A scope that ends cancels its operations and destroys their callbacks uncalled, later") {
  Cluster cluster = start_without_leaders();
  // The Vector service needs no leader, and one that is not there says so.
  const testing::Fault silent = cluster.delay(60s, {.method = testing::Method::vector});
  Guest guest{cluster};
  Callbacks callbacks;
  const GetOutcome other;
  {
    const Scope scope;
    guest->put(key_of(1), "value", {.scope = scope}, callbacks.make());
    guest->put(key_of(1), "queued behind it", {.scope = scope}, callbacks.make());
    guest->get(key_of(2), {.scope = scope}, callbacks.make());
    guest->remove(key_of(3), {.scope = scope}, callbacks.make());
    guest->vectors().get("index", "id", {.scope = scope}, callbacks.make());
    guest->admin().snapshot_shard(1, {.scope = scope}, callbacks.make());
    guest->get(key_of(2), {.timeout = 30s}, other.callback());
    REQUIRE(guest.loop().run_until([&] { return cluster.counters().not_leader > 2; }));
    CHECK(scope.operations() == 6);
    CHECK(callbacks.called() == 0);
  }
  CHECK_FALSE(callbacks.all_destroyed());
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(callbacks.called() == 0);
  CHECK(callbacks.destroyed_elsewhere() == 0);
  CHECK_FALSE(other.came());
  CHECK(guest->stats().operations == 1);
  CHECK(guest->stats().cancelled == 6);
}

TEST_CASE("A wait for readiness ends with its scope, and holds the loop no longer") {
  ClientOptions options{.nodes = {"127.0.0.1:1"}};
  Guest guest{options};
  Callbacks callbacks;
  Scope scope;
  guest->wait_ready({.timeout = 60s, .scope = scope}, callbacks.make());
  guest.loop().run_for(1ms);
  CHECK_FALSE(guest.loop().idle());
  scope.end();
  CHECK(guest.loop().run_until_idle());
  CHECK(callbacks.all_destroyed());
  CHECK(callbacks.called() == 0);
  guest->wait_ready({.timeout = 60s, .scope = scope}, callbacks.make());
  CHECK(guest.loop().run_until_idle());
  CHECK(callbacks.all_destroyed());
  CHECK(callbacks.called() == 0);
}

TEST_CASE("No callback runs after its scope ended inside one of them") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  const auto before = guest->stats().attempts;
  Callbacks callbacks;
  Scope scope;
  for (int i = 0; i < 16; ++i) guest->get("key", {.scope = scope}, callbacks.make([&] { scope.end(); }));
  // One turn sends them all; the next one finds all the answers.
  REQUIRE(guest.loop().run_until([&] { return guest->stats().attempts == before + 16; }));
  if (chosen_transport() == TransportKind::h2) uv_run(guest.loop().loop(), UV_RUN_NOWAIT);  // writes when it turns
  // (The first answer may have come in that turn already: then the others may not have been served any more.)
  while (cluster.counters().gets < 16 && callbacks.called() == 0) std::this_thread::yield();
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(callbacks.called() == 1);
  CHECK(scope.operations() == 0);
}

TEST_CASE("A scope that ends before the loop turned: nothing is sent") {
  const Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.connection.watch_topology = false;
  Guest guest{options};
  Callbacks callbacks;
  Scope scope;
  for (int i = 0; i < 3; ++i) guest->put("key", "value", {.scope = scope}, callbacks.make());
  scope.end();
  CHECK(guest->stats().operations == 3);
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(callbacks.called() == 0);
  CHECK(guest->stats().attempts == 0);
  CHECK(guest->stats().operations == 0);
  CHECK(guest->stats().bytes == 0);
  CHECK(cluster.counters().puts == 0);
}

TEST_CASE("A scope that has ended takes no operation: nothing is sent, the callback is destroyed uncalled") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.ready()) == "ok");
  Callbacks callbacks;
  Scope scope;
  scope.end();
  CHECK(scope.ended());
  CHECK(guest->put("key", "value", {.scope = scope}, callbacks.make()).id() == 0);
  guest->get("key", {.scope = scope}, callbacks.make());
  guest->get_many({"a", "b"}, {.scope = scope}, callbacks.make());
  guest->remove(std::string(2000, 'k'), {.scope = scope}, callbacks.make());
  CHECK_FALSE(callbacks.all_destroyed());  // not inside the call
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(callbacks.called() == 0);
  CHECK(guest->stats().attempts == 0);
  CHECK(guest->stats().operations == 0);
}

TEST_CASE("A write that was on the wire when its scope ended may still be applied") {
  Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "before")) == "ok");
  const testing::Fault slow = cluster.delay(100ms, {.method = testing::Method::put});
  Callbacks callbacks;
  {
    const Scope scope;
    guest->put("key", "after", {.scope = scope}, callbacks.make());
    REQUIRE(guest.loop().run_until([&] { return cluster.counters().puts == 2; }));
  }
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(callbacks.called() == 0);
  CHECK(guest->stats().maybe_applied == 1);
  // Its shard stays held like after every unknown outcome: the next write comes after it.
  CHECK(ended(guest.put("key", "last")) == "ok");
  CHECK(cluster.stored("key") == "last");
}

TEST_CASE("An update ends with its scope: neither its function nor its callback runs any more, and nothing is stored") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  Callbacks functions, callbacks;
  const auto function = [&](std::function<void()> then) {
    return [called = functions.make(std::move(then))](const std::optional<Entry>&) mutable {
      called();
      return Change::store("lost");
    };
  };
  Scope scope, inside;
  guest->update("key", {.scope = scope}, function([] {}), callbacks.make());
  scope.end();
  guest->update("key", {.scope = scope}, function([] {}), callbacks.make());  // refused
  CHECK_FALSE(functions.all_destroyed());
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(functions.called() == 0);
  guest->update("key", {.scope = inside}, function([&] { inside.end(); }), callbacks.make());
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(functions.called() == 1);
  CHECK(callbacks.called() == 0);
  REQUIRE(wait_for_all_destroyed(guest, functions));
  CHECK(functions.destroyed_elsewhere() == 0);
  CHECK(cluster.stored("key") == "value");
}

TEST_CASE("Ended on another thread: at most the callback that runs goes on, and none begins later") {
  const Cluster cluster = start();
  Client client = made(create(cluster.client_options()));
  const PutOutcome stored;
  client.put("key", "value", stored.callback());
  REQUIRE(stored.wait());
  Callbacks callbacks;
  callbacks.expect_thread(stored.thread());
  for (int round = 0; round < 100; ++round) {
    std::atomic<bool> over{false};
    std::atomic<int> late{0}, drained{0};
    Scope scope;
    for (int i = 0; i < 32; ++i) client.get("key", {.scope = scope}, callbacks.make([&] { late += over; }));
    const int before = callbacks.called();
    for (int i = 0; i < 1000 && callbacks.called() < before + round % 32; ++i) std::this_thread::yield();
    scope.end();
    over = true;
    client.drain([&] { drained = 1; });
    while (drained == 0) std::this_thread::yield();
    // The loop's thread may have decided to call one and been held up before the callback's first line.
    CHECK(late <= 1);
    CHECK(callbacks.all_destroyed());
  }
  CHECK(callbacks.destroyed_elsewhere() == 0);
}

TEST_CASE("Threads that submit while another one ends their scope: nothing is called later, nothing is left") {
  const Cluster cluster = start();
  Client client = made(create(cluster.client_options()));
  Callbacks callbacks;
  const PutOutcome stored;
  client.put("key", "value", stored.callback());
  REQUIRE(stored.wait());
  callbacks.expect_thread(stored.thread());
  for (int round = 0; round < 20; ++round) {
    Scope scope;
    std::atomic<int> submitted{0};
    std::vector<std::thread> producers;
    for (int thread = 0; thread < 3; ++thread) {
      producers.emplace_back([&] {
        for (int i = 0; i < 100; ++i) {
          client.get("key", {.scope = scope}, callbacks.make());
          ++submitted;
        }
      });
    }
    while (submitted < 30) std::this_thread::yield();
    scope.end();
    for (std::thread& producer : producers) producer.join();
    std::atomic<bool> drained{false};
    client.drain([&] { drained = true; });
    while (!drained) std::this_thread::yield();
    CHECK(callbacks.all_destroyed());
    CHECK(client.stats().operations == 0);
  }
  CHECK(callbacks.destroyed_elsewhere() == 0);
}

TEST_CASE("A scope holds operations of several clients") {
  const Cluster cluster = start_without_leaders();
  Guest guest{cluster};
  Client other = made(create(guest.loop().loop(), cluster.client_options()));
  Client threaded = made(create(cluster.client_options()));
  Callbacks callbacks, on_thread;
  std::atomic<bool> known{false};
  threaded.post([&] {
    on_thread.expect_thread(std::this_thread::get_id());
    known = true;
  });
  while (!known) std::this_thread::yield();
  Scope scope;
  for (int i = 0; i < 10; ++i) {
    guest->get(key_of(1), {.scope = scope}, callbacks.make());
    other.get(key_of(1), {.scope = scope}, callbacks.make());
    threaded.get(key_of(1), {.scope = scope}, on_thread.make());
  }
  REQUIRE(guest.loop().run_until([&] { return cluster.counters().not_leader >= 3; }));
  CHECK(scope.operations() == 30);
  scope.end();
  REQUIRE(guest.loop().run_until([&] { return callbacks.all_destroyed() && on_thread.all_destroyed(); }));
  CHECK(callbacks.called() + on_thread.called() == 0);
  CHECK(callbacks.destroyed_elsewhere() + on_thread.destroyed_elsewhere() == 0);
}

TEST_CASE("A scope may outlive its client, whose end calls back as always") {
  const Cluster cluster = start_without_leaders();
  Callbacks callbacks;
  Scope scope;
  {
    Guest guest{cluster};
    for (int i = 0; i < 3; ++i) guest->get(key_of(1), {.scope = scope}, callbacks.make());
    guest.loop().run_for(1ms);
    REQUIRE(guest.close());
    CHECK(callbacks.called() == 3);
    guest->get(key_of(1), {.scope = scope}, callbacks.make());  // there is no loop any more
    CHECK(callbacks.called() == 4);
    scope.end();
    guest->get(key_of(1), {.scope = scope}, callbacks.make());
    CHECK(callbacks.called() == 4);
    CHECK(callbacks.all_destroyed());
  }
  CHECK(scope.operations() == 0);
}

TEST_CASE("A client that closes while its scopes end calls none of their callbacks") {
  const Cluster cluster = start_without_leaders();
  Guest guest{cluster};
  Callbacks callbacks;
  auto scope = std::make_unique<Scope>();
  for (int i = 0; i < 3; ++i) guest->get(key_of(1), {.scope = *scope}, callbacks.make());
  REQUIRE(guest.loop().run_until([&] { return guest->stats().submitted == 3; }));
  bool closed = false;
  guest->close([&] { closed = true; });  // the callbacks are on their way with `closed`
  scope.reset();
  REQUIRE(guest.loop().run_until([&] { return closed; }));
  CHECK(callbacks.called() == 0);
  CHECK(callbacks.all_destroyed());
}

TEST_CASE("A scope that was moved from has ended, and the new one holds the operations") {
  const Cluster cluster = start_without_leaders();
  Guest guest{cluster};
  Callbacks kept, refused, replaced;
  Scope first;
  guest->get(key_of(1), {.scope = first}, kept.make());
  Scope second = std::move(first);
  CHECK(first.ended());
  CHECK(first.operations() == 0);
  CHECK(second.operations() == 1);
  guest->get(key_of(1), {.scope = first}, refused.make());
  REQUIRE(wait_for_all_destroyed(guest, refused));
  CHECK(refused.called() == 0);
  first.end();
  CHECK(second.operations() == 1);

  Scope third;
  guest->get(key_of(1), {.scope = third}, replaced.make());
  third = std::move(second);  // ends what it held
  REQUIRE(wait_for_all_destroyed(guest, replaced));
  CHECK(third.operations() == 1);
  third.end();
  REQUIRE(wait_for_all_destroyed(guest, kept));
  CHECK(kept.called() + replaced.called() == 0);
}

TEST_CASE("A callback may own its scope") {
  const Cluster cluster = start();
  Guest guest{cluster};
  Callbacks callbacks;
  auto scope = std::make_shared<Scope>();
  for (int i = 0; i < 2; ++i) guest->get(key_of(1), {.scope = *scope}, callbacks.make([scope] {}));
  scope.reset();
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(callbacks.called() == 2);

  auto ended_inside = std::make_shared<Scope>();
  guest->get("key", {.scope = *ended_inside}, callbacks.make([ended_inside] { ended_inside->end(); }));
  guest->get(key_of(2), {.scope = *ended_inside}, callbacks.make([ended_inside] {}));
  ended_inside.reset();
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
}

TEST_CASE("An operation without a callback ends with its scope too") {
  const Cluster cluster = start_without_leaders();
  Guest guest{cluster};
  {
    const Scope scope;
    guest->put(key_of(1), "value", {.timeout = 60s, .scope = scope}, {});
    guest.loop().run_for(1ms);
  }
  CHECK(guest.loop().run_until_idle());
  CHECK(guest->stats().cancelled == 1);
}

TEST_CASE("What a scope's end cancels makes room, and a drain waits for it") {
  const Cluster cluster = start_without_leaders();
  ClientOptions options = cluster.client_options();
  options.limits.operations = 4;
  Guest guest{options};
  Callbacks callbacks;
  Scope scope;
  for (int i = 0; i < 4; ++i) guest->get(key_of(1), {.timeout = 60s, .scope = scope}, callbacks.make());
  guest.loop().run_for(1ms);
  CHECK_FALSE(guest->has_room());
  const ReadyOutcome room;
  guest->when_room(4, room.callback());
  bool drained = false, destroyed_before = false;
  guest->drain([&] {
    drained = true;
    destroyed_before = callbacks.all_destroyed();
  });
  guest.loop().run_for(1ms);
  CHECK_FALSE(drained);
  scope.end();
  REQUIRE(guest.loop().run_until([&] { return drained && room.came(); }));
  CHECK(destroyed_before);
  CHECK(ended(room) == "ok");
  CHECK(guest->has_room());
  CHECK(callbacks.called() == 0);
}

TEST_CASE("A scope keeps nothing of operations that have ended, and ends 10,000 that have not without a request more") {
  const Cluster cluster = start_without_leaders();
  ClientOptions options = cluster.client_options();
  options.limits.operations = 20'000;
  options.limits.in_flight_per_node = 20'000;
  Guest guest{options};
  Callbacks callbacks;
  Scope scope;
  for (int round = 0; round < 10; ++round) {
    const std::string too_long(2000, 'k');
    for (int i = 0; i < 1000; ++i) guest->get(too_long, {.scope = scope}, callbacks.make());
    REQUIRE(wait_for_all_destroyed(guest, callbacks));
    CHECK(scope.operations() == 0);
  }
  CHECK(callbacks.called() == 10'000);

  for (int i = 0; i < 10'000; ++i) guest->get(key_of(1), {.timeout = 60s, .scope = scope}, callbacks.make());
  REQUIRE(guest.loop().run_until([&] { return guest->stats().submitted == 10'000; }));
  CHECK(scope.operations() == 10'000);
  const auto attempts = guest->stats().attempts;
  scope.end();
  CHECK(guest->stats().attempts <= attempts + 1);  // not one search for a leader after the other
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(callbacks.called() == 10'000);
  CHECK(scope.operations() == 0);
}

TEST_CASE("A write that waits behind another one of its scope is not sent when the scope ends") {
  Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.retry.not_leader = {60s, 60s};
  Guest guest{options};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  Callbacks callbacks;
  Scope scope;
  {
    // The first one pauses, which is not on the wire, and holds the lane of its shard: the others are next.
    const testing::Fault refused = cluster.reply_with(testing::replies::not_leader());
    for (int i = 0; i < 5; ++i) guest->put("key", "lost", {.timeout = 300s, .scope = scope}, callbacks.make());
    REQUIRE(guest.loop().run_until([&] { return refused.hits() > 0; }));
    guest.loop().run_for(50ms);
  }
  const auto attempts = guest->stats().attempts;
  scope.end();
  REQUIRE(wait_for_all_destroyed(guest, callbacks));
  CHECK(callbacks.called() == 0);
  CHECK(guest->stats().attempts == attempts);
  CHECK(cluster.counters().applied_writes == 1);
}

TEST_CASE("Many scopes that end while others go on take only their own operations along") {
  const Cluster cluster = start_without_leaders();
  Guest guest{cluster};
  Callbacks ending, staying;
  Scope kept;
  std::vector<Scope> scopes(50);
  for (int i = 0; i < 200; ++i) {
    guest->get(key_of(1), {.scope = scopes[static_cast<std::size_t>(i) % 50]}, ending.make());
    guest->get(key_of(1), {.scope = kept}, staying.make());
  }
  guest.loop().run_for(1ms);
  while (!scopes.empty()) {
    scopes.erase(scopes.begin() + static_cast<std::ptrdiff_t>(scopes.size() / 2));
    guest.loop().run_for(100us);
  }
  REQUIRE(wait_for_all_destroyed(guest, ending));
  CHECK(ending.called() == 0);
  CHECK(kept.operations() == 200);
  CHECK(staying.called() == 0);
  kept.end();
  REQUIRE(wait_for_all_destroyed(guest, staying));
}
