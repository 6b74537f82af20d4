#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <thread>

#include "client/guest.hpp"

// Threads and order: who starts before whom, and where callbacks run.
using namespace norikv;
using namespace norikv::test;

namespace {

/// A client with a thread of its own, and a way to hold that thread.
class Host {
 public:
  explicit Host(ClientOptions options) : client_(made(create(std::move(options)))) {}
  Client* operator->() { return &client_; }

  /// Runs a task on the loop's thread and waits for it.
  void on_loop(std::function<void()> task) {
    const ReadyOutcome done;
    client_.post([task = std::move(task), tell = done.callback()]() mutable {
      task();
      tell({});
    });
    REQUIRE(done.wait());
  }

 private:
  Client client_;
};

}  // namespace

TEST_CASE("Operations of several threads keep the order of each thread") {
  // Each thread writes numbers to a key of its own; writes of one shard start in submission order, so the answers come
  // in that order too.
  const Cluster cluster = start({.overlap_window = 0ms});
  ClientOptions options = cluster.client_options();
  options.writes.queued_per_shard = 1000;
  options.timeout = 60s;
  Host host{options};
  constexpr int threads = 4;
  constexpr int writes = 150;
  std::map<int, std::vector<int>> answered;  // on the loop's thread alone
  std::atomic<int> left{threads * writes};
  std::vector<std::thread> producers;
  for (int thread = 0; thread < threads; ++thread) {
    producers.emplace_back([&, thread] {
      for (int i = 0; i < writes; ++i) {
        host->put(key_of(static_cast<std::uint32_t>(thread)), std::to_string(i), [&, thread, i](Result<Written>) {
          answered[thread].push_back(i);
          --left;
        });
      }
    });
  }
  for (auto& producer : producers) producer.join();
  const ReadyOutcome drained;
  host->drain([tell = drained.callback()]() mutable { tell({}); });
  REQUIRE(drained.wait(60s));
  CHECK(left == 0);
  for (int thread = 0; thread < threads; ++thread) {
    CHECK(std::is_sorted(answered[thread].begin(), answered[thread].end()));
    CHECK(cluster.stored(key_of(static_cast<std::uint32_t>(thread))) == std::to_string(writes - 1));
  }
}

TEST_CASE("Operations handed over between two threads start in the order of the handover") {
  const Cluster cluster = start({.overlap_window = 0ms});
  ClientOptions options = cluster.client_options();
  options.writes.queued_per_shard = 1000;
  options.timeout = 60s;
  Host host{options};
  constexpr int rounds = 100;
  std::atomic<int> turn{0};
  std::vector<PutOutcome> writes(rounds);
  const auto produce = [&](int mine) {
    for (int i = mine; i < rounds; i += 2) {
      while (turn != i) std::this_thread::yield();
      host->put("key", std::to_string(i), writes[static_cast<std::size_t>(i)].callback());
      turn = i + 1;
    }
  };
  std::thread even{produce, 0};
  std::thread odd{produce, 1};
  even.join();
  odd.join();
  for (const auto& write : writes) REQUIRE(write.wait(60s));
  CHECK(cluster.stored("key") == std::to_string(rounds - 1));
}

TEST_CASE("Operations before the loop's first turn start in order") {
  const Cluster cluster = start();
  Guest guest{cluster};
  std::vector<int> order;
  guest->put("key", "one", [&](Result<Written>) { order.push_back(1); });
  std::thread{[&] { guest->put("key", "two", [&](Result<Written>) { order.push_back(2); }); }}.join();
  guest->put("key", "three", [&](Result<Written>) { order.push_back(3); });
  CHECK_FALSE(guest->on_loop_thread());
  REQUIRE(guest.loop().run_until([&] { return order.size() == 3; }));
  CHECK(order == std::vector{1, 2, 3});
  CHECK(cluster.stored("key") == "three");
  CHECK(guest->on_loop_thread());
}

TEST_CASE("On the loop's thread an operation does not overtake one that another thread submitted before") {
  const Cluster cluster = start();
  Host host{cluster.client_options()};
  std::vector<int> order;
  const ReadyOutcome done;
  host.on_loop([&] {
    std::thread{[&] { host->put("key", "other", [&](Result<Written>) { order.push_back(1); }); }}.join();
    host->put("key", "own", [&, tell = done.callback()](Result<Written>) mutable {
      order.push_back(2);
      tell({});
    });
  });
  REQUIRE(done.wait());
  CHECK(order == std::vector{1, 2});
  CHECK(cluster.stored("key") == "own");
}

TEST_CASE("On the loop's thread an operation starts before one that another thread submits after it") {
  const Cluster cluster = start();
  Host host{cluster.client_options()};
  std::vector<int> order;
  const ReadyOutcome done;
  host.on_loop([&] {
    host->put("key", "own", [&](Result<Written>) { order.push_back(1); });
    std::thread{[&, tell = done.callback()]() mutable {
      host->put("key", "other", [&order, tell = std::move(tell)](Result<Written>) mutable {
        order.push_back(2);
        tell({});
      });
    }}.join();
  });
  REQUIRE(done.wait());
  CHECK(order == std::vector{1, 2});
  CHECK(cluster.stored("key") == "other");
}

TEST_CASE("Callbacks run on the loop's thread, whoever submitted and however it ends") {
  const Cluster cluster = start();
  Host host{cluster.client_options()};
  std::thread::id loop_thread;
  host.on_loop([&] { loop_thread = std::this_thread::get_id(); });
  const PutOutcome written, refused;
  const GetOutcome read, cancelled;
  const RemoveOutcome removed;
  const ReadyOutcome ready, room, drained, closed;
  host->put("key", "value", written.callback());
  host->put(std::string(2000, 'k'), "value", refused.callback());
  host->get("key", read.callback());
  host->get(key_of(3), cancelled.callback()).cancel();
  host->remove("key", removed.callback());
  host->wait_ready({}, ready.callback());
  host->when_room(1, room.callback());
  host->drain([tell = drained.callback()]() mutable { tell({}); });
  REQUIRE(drained.wait());
  host->close([tell = closed.callback()]() mutable { tell({}); });
  REQUIRE(closed.wait());
  for (const auto thread : {written.thread(), refused.thread(), read.thread(), cancelled.thread(), removed.thread(),
                            ready.thread(), room.thread(), drained.thread(), closed.thread()}) {
    CHECK(thread == loop_thread);
  }
}

TEST_CASE("No callback runs inside a call, on the loop's thread either") {
  const Cluster cluster = start({.election = 10s});
  Guest guest{cluster};
  guest.loop().run_for(5ms);
  REQUIRE(guest->on_loop_thread());
  bool inside = false;
  int inline_calls = 0;
  int calls = 0;
  const auto count = [&](auto&&...) {
    ++calls;
    if (inside) ++inline_calls;
  };
  const auto call = [&](auto&& function) {
    inside = true;
    function();
    inside = false;
  };
  Operation operation;
  call([&] { guest->put(std::string(2000, 'k'), "value", count); });
  call([&] { guest->put("key", "value", {.timeout = 0s}, count); });
  call([&] { guest->get("key", {.deadline = TimePoint::min()}, count); });
  call([&] { guest->wait_ready({.timeout = -1s}, count); });
  call([&] { guest->when_room(1, count); });
  call([&] { guest->drain(count); });
  call([&] { guest->post(count); });
  call([&] { operation = guest->get(key_of(1), count); });
  call([&] { operation.cancel(); });
  call([&] { guest->put(key_of(1), "value", count); });
  call([&] { guest->topology().subscribe(count, count).detach(); });
  call([&] { guest->close(count); });
  call([&] { guest->get("key", count); });
  REQUIRE(guest.loop().run_until_idle());
  CHECK(inline_calls == 0);
  CHECK(calls >= 12);
}

TEST_CASE("A posted task runs on the loop's thread, in order with the operations of its thread") {
  const Cluster cluster = start();
  Host host{cluster.client_options()};
  CHECK_FALSE(host->on_loop_thread());
  bool on_loop_thread = false;
  std::vector<int> order;
  // The loop's thread is held, so that it meets all three in one turn.
  std::promise<void> submitted;
  host->post([held = submitted.get_future().share()] { held.wait(); });
  host->post([&] { order.push_back(1); });
  host->put(std::string(2000, 'k'), "value", [&](Result<Written>) { order.push_back(3); });
  host->post([&] { order.push_back(2); });
  submitted.set_value();
  host.on_loop([&] { on_loop_thread = host->on_loop_thread(); });
  const ReadyOutcome drained;
  host->drain([tell = drained.callback()]() mutable { tell({}); });
  REQUIRE(drained.wait());
  CHECK(on_loop_thread);
  // The second task was posted after the put; a task runs at once in its turn, the callback comes at the turn's end.
  CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("The hook is run around every batch of user code, and is never entered twice") {
  const Cluster cluster = start();
  int depth = 0;
  int entered = 0;
  int nested = 0;
  int outside = 0;
  ClientOptions options = cluster.client_options();
  options.around_callbacks = [&](const std::function<void()>& run) {
    if (depth > 0) ++nested;
    ++depth;
    ++entered;
    run();
    --depth;
  };
  const auto seen = [&](auto&&...) {
    if (depth != 1) ++outside;
  };
  {
    Guest guest{options};
    guest->topology().subscribe(seen, seen).detach();
    guest->connections().subscribe(seen, seen).detach();
    guest->post(seen);
    guest->wait_ready({}, seen);
    guest->put("key", "value", [&](Result<Written> written) {
      seen(written);
      guest->get("key", seen);
      guest->post(seen);
      guest->drain(seen);
    });
    bool drained = false;
    guest.loop().run_for(1ms);
    guest->drain([&] { drained = true; });
    REQUIRE(guest.loop().run_until([&] { return drained; }));
    guest->put(key_of(1), "value", seen);  // ends with the client
    guest->close(seen);
    REQUIRE(guest.loop().run_until_idle());
  }
  CHECK(entered > 0);
  CHECK(outside == 0);
  CHECK(nested == 0);
}

TEST_CASE("A hook that does not run the batch costs no callback") {
  const Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.around_callbacks = [](const std::function<void()>&) {};
  Guest guest{options};
  CHECK(ended(guest.put("key", "value")) == "ok");
}

TEST_CASE("Another thread's operation wakes a loop that idles") {
  const Cluster cluster = start();
  Guest guest{cluster};
  guest->ref();
  REQUIRE(ended(guest.get("key")) == "ok");
  std::vector<PutOutcome> writes(20);
  std::thread producer{[&] {
    for (const auto& write : writes) {
      guest->put("key", "value", write.callback());
      if (!write.wait(10s)) break;
    }
    guest->unref();
  }};
  CHECK(guest.loop().run_until_idle(30s));  // as a host: without a ticker that would wake it by itself
  producer.join();
  for (const auto& write : writes) CHECK(ended(write) == "ok");
}

TEST_CASE("What a loop has to do in one turn is bounded") {
  const Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.limits.callbacks_per_turn = 8;
  Guest guest{options};
  guest.loop().run_for(5ms);
  int calls = 0;
  for (int i = 0; i < 100; ++i) guest->put(std::string(2000, 'k'), "value", [&](Result<Written>) { ++calls; });
  int most = 0;
  while (calls < 100) {
    const int before = calls;
    uv_run(guest.loop().loop(), UV_RUN_NOWAIT);
    most = std::max(most, calls - before);
  }
  CHECK(most <= 8);
}
