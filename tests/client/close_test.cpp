#include <algorithm>
#include <atomic>
#include <thread>

#include "client/guest.hpp"

// Closing, and what comes after.
using namespace norikv;
using namespace norikv::test;

TEST_CASE("Closing twice calls both callbacks once, in order") {
  const Cluster cluster = start();
  Guest guest{cluster};
  std::vector<int> order;
  guest->close([&] { order.push_back(1); });
  guest->close([&] { order.push_back(2); });
  REQUIRE(guest.loop().run_until_idle());
  CHECK(order == std::vector{1, 2});
}

TEST_CASE("Closing before the loop's first turn works") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const PutOutcome written;
  guest->put("key", "value", written.callback());
  CHECK(guest.close());
  CHECK(ended(written) == "closed");
}

TEST_CASE("Closing inside a callback works") {
  const Cluster cluster = start();
  Guest guest{cluster};
  bool closed = false;
  const GetOutcome pending;
  guest->put("key", "value", [&](Result<Written>) {
    guest->get(key_of(1), pending.callback());
    guest->close([&] { closed = true; });
  });
  REQUIRE(guest.loop().run_until_idle());
  CHECK(closed);
  CHECK(ended(pending) == "closed");
}

TEST_CASE("Everything that is pending when the client closes ends with closed, once") {
  const Cluster cluster = start({.election = 10s});
  ClientOptions options = cluster.client_options();
  options.limits.operations = 20;
  Guest guest{options};
  std::vector<PutOutcome> writes(10);  // one in the lane, the others behind it
  for (const auto& write : writes) guest->put(key_of(1), "value", write.callback());
  std::vector<GetOutcome> reads(5);
  for (const auto& read : reads) guest->get(key_of(2), read.callback());
  const ReadyOutcome ready, room;
  guest->wait_ready({.need = Need::all_nodes}, ready.callback());
  guest->when_room(20, room.callback());
  guest.loop().run_for(30ms);
  const PutOutcome posted;  // in the mailbox still
  std::thread{[&] { guest->put("key", "value", posted.callback()); }}.join();
  CHECK(guest.close());
  for (const auto& write : writes) CHECK(ended(write) == "closed");
  for (const auto& read : reads) CHECK(ended(read) == "closed");
  CHECK(ended(room) == "closed");
  CHECK(posted.calls() == 1);
  CHECK(ready.calls() == 1);
}

TEST_CASE("An operation submitted after close ends with closed, later") {
  const Cluster cluster = start();
  Guest guest{cluster};
  guest.loop().run_for(5ms);
  bool closed = false;
  guest->close([&] { closed = true; });
  const PutOutcome late;
  guest->put("key", "value", late.callback());
  CHECK_FALSE(late.came());
  REQUIRE(guest.loop().run_until_idle());
  CHECK(closed);
  CHECK(ended(late) == "closed");
}

TEST_CASE("After the close callback a call gets closed inside the call") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(guest.close());
  const PutOutcome written, refused;
  const GetOutcome read;
  const RemoveOutcome removed;
  const ReadyOutcome ready, room;
  int done = 0;
  int posted = 0;
  const Operation operation = guest->put("key", "value", written.callback());
  guest->put(std::string(2000, 'k'), "value", refused.callback());
  guest->get("key", read.callback());
  guest->remove("key", removed.callback());
  guest->wait_ready({}, ready.callback());
  guest->when_room(1, room.callback());
  guest->drain([&] { ++done; });
  guest->close([&] { ++done; });
  guest->topology().subscribe([](const TopologyEvent&) {}, [&] { ++done; }).detach();
  guest->post([&] { ++posted; });
  operation.cancel();
  guest->ref();
  guest->unref();
  CHECK(ended(written) == "closed");
  CHECK(ended(refused) == "closed");
  CHECK(ended(read) == "closed");
  CHECK(ended(removed) == "closed");
  CHECK(ended(ready) == "closed");
  CHECK(ended(room) == "closed");
  CHECK(done == 3);
  CHECK(posted == 0);
  CHECK(guest->cluster() != nullptr);
  CHECK(guest.loop().idle());
}

TEST_CASE("A client that was moved from behaves like a closed one") {
  const Cluster cluster = start();
  Guest guest{cluster};
  Client target = std::move(guest.client());
  const GetOutcome read;
  const ReadyOutcome ready;
  int done = 0;
  guest->get("key", read.callback()).cancel();
  guest->wait_ready({}, ready.callback());
  guest->drain([&] { ++done; });
  guest->close([&] { ++done; });
  guest->topology().subscribe([](const TopologyEvent&) {}, [&] { ++done; }).detach();
  guest->post([&] { ++done; });
  guest->ref();
  CHECK(ended(read) == "closed");
  CHECK(ended(ready) == "closed");
  CHECK(done == 3);
  CHECK(guest->cluster() != nullptr);
  CHECK_FALSE(guest->has_room());
  CHECK_FALSE(guest->owns(nullptr));
  CHECK(guest->stats().submitted == 0);

  const PutOutcome written;
  target.put("key", "value", written.callback());
  REQUIRE(guest.wait(written));
  CHECK(ended(written) == "ok");
}

TEST_CASE("Assigning over a client closes the one that was there") {
  const Cluster cluster = start({.election = 10s});
  Guest guest{cluster};
  const GetOutcome of_the_old;
  guest->get(key_of(1), of_the_old.callback());
  guest.client() = made(create(guest.loop().loop(), cluster.client_options()));
  CHECK(ended(guest.put(key_of(0), "value")) == "ok");
  REQUIRE(guest.wait(of_the_old));
  CHECK(ended(of_the_old) == "closed");
}

TEST_CASE("With grace, pending operations may finish and new ones are refused") {
  const Cluster cluster = start({.election = 100ms});
  Guest guest{cluster};
  std::vector<PutOutcome> writes(3);
  for (const auto& write : writes) guest->put(key_of(1), "value", write.callback());
  guest.loop().run_for(5ms);
  bool closed = false;
  guest->close({.grace = 30s}, [&] { closed = true; });
  const GetOutcome late;
  guest->get("key", late.callback());
  REQUIRE(guest.loop().run_until([&] { return closed; }, 20s));
  for (const auto& write : writes) CHECK(ended(write) == "ok");
  CHECK(ended(late) == "closed");
}

TEST_CASE("The longest grace there is, is a grace") {
  const Cluster cluster = start({.election = 50ms});
  Guest guest{cluster};
  const PutOutcome write;
  guest->put(key_of(1), "value", write.callback());
  guest.loop().run_for(5ms);
  REQUIRE(guest.close({.grace = Duration::max()}));
  CHECK(ended(write) == "ok");
}

TEST_CASE("The close callback comes once, whatever the hook around callbacks does") {
  const auto closed_with = [](std::function<void(const std::function<void()>&)> hook) {
    const Cluster cluster = start();
    ClientOptions options = cluster.client_options();
    options.around_callbacks = std::move(hook);
    Guest guest{options};
    int closed = 0;
    guest->close([&] { ++closed; });
    REQUIRE(guest.loop().run_until_idle());
    return closed;
  };
  CHECK(closed_with([](const std::function<void()>&) {}) == 1);
  CHECK(closed_with([](const std::function<void()>& run) { run(), run(); }) == 1);
}

TEST_CASE("When the grace is over, what is left ends with closed") {
  // Real time: the grace is what is tested.
  const Cluster cluster = start({.election = 30s});
  Guest guest{cluster};
  const GetOutcome read;
  guest->get(key_of(1), {.timeout = 30s}, read.callback());
  guest.loop().run_for(5ms);
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(guest.close({.grace = 100ms}));
  CHECK(std::chrono::steady_clock::now() - begin >= 100ms);
  CHECK(ended(read) == "closed");
}

TEST_CASE("A shorter grace later counts, a longer one does not") {
  const Cluster cluster = start({.election = 30s});
  Guest guest{cluster};
  const GetOutcome read;
  guest->get(key_of(1), {.timeout = 30s}, read.callback());
  guest.loop().run_for(5ms);
  int closed = 0;
  guest->close({.grace = 20s}, [&] { ++closed; });
  guest->close({.grace = 10ms}, [&] { ++closed; });
  guest->close({.grace = 25s}, [&] { ++closed; });
  REQUIRE(guest.loop().run_until([&] { return closed == 3; }, 10s));
  CHECK(ended(read) == "closed");
}

TEST_CASE("A drain calls back when everything submitted before it has, and not before") {
  const Cluster cluster = start({.election = 100ms});
  Guest guest{cluster};
  std::vector<std::string> order;
  const auto note = [&](std::string what) { return [&order, what](auto&&...) { order.push_back(what); }; };
  guest->drain(note("empty drain"));
  guest->put(std::string(2000, 'k'), "value", note("refused"));
  guest->get(key_of(1), note("cold get"));
  guest->put(key_of(1), "value", note("cold put"));
  guest->get(key_of(0), note("get"));
  guest->drain(note("first drain"));
  guest->get(key_of(0), note("late get"));
  guest->drain(note("second drain"));
  REQUIRE(guest.loop().run_until([&] { return order.size() == 8; }));
  const auto place = [&](const std::string& what) {
    return std::find(order.begin(), order.end(), what) - order.begin();
  };
  CHECK(place("empty drain") == 0);
  for (const char* earlier : {"refused", "cold get", "cold put", "get"}) CHECK(place(earlier) < place("first drain"));
  CHECK(place("late get") < place("second drain"));
  CHECK(place("first drain") < place("second drain"));
}

TEST_CASE("A drain is kept when the client closes, after the operations before it") {
  const Cluster cluster = start({.election = 10s});
  Guest guest{cluster};
  std::vector<int> order;
  guest->get(key_of(1), [&](Result<std::optional<Entry>>) { order.push_back(1); });
  guest->drain([&] { order.push_back(2); });
  guest->close([&] { order.push_back(3); });
  REQUIRE(guest.loop().run_until_idle());
  CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("Threads that go on submitting while the client closes get every callback once") {
  const Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.limits.operations = 64;  // what is refused is answered too; the server has a thread for each request
  for (int round = 0; round < 8; ++round) {
    Guest guest{options};
    std::atomic<int> calls{0};
    std::atomic<int> submitted{0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> producers;
    for (int thread = 0; thread < 3; ++thread) {
      producers.emplace_back([&] {
        for (int i = 0; i < 1000 && !stop; ++i) {
          ++submitted;
          guest->get("key", [&](Result<std::optional<Entry>>) { ++calls; });
        }
      });
    }
    REQUIRE(guest.loop().run_until([&] { return calls > 20; }));
    REQUIRE(guest.close());
    stop = true;
    for (auto& producer : producers) producer.join();
    CHECK(calls == submitted);
  }
}
