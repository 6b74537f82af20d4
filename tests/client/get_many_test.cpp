#include <array>
#include <list>
#include <thread>

#include "client/guest.hpp"

// Many gets with one callback.
using namespace norikv;
using namespace norikv::test;

namespace {

using Results = std::vector<Result<std::optional<Entry>>>;

/// What the callback of a `get_many` was given.
struct Many {
  int calls = 0;
  std::thread::id thread;
  Results results;

  [[nodiscard]] auto callback() {
    return [this](Results given) {
      ++calls;
      thread = std::this_thread::get_id();
      results = std::move(given);
    };
  }
  [[nodiscard]] std::vector<std::string> endings() const {
    std::vector<std::string> words;
    for (const auto& result : results) words.push_back(ended(result));
    return words;
  }
};

[[nodiscard]] bool wait(Guest& guest, const Many& many) {
  return guest.loop().run_until([&] { return many.calls > 0; });
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("A get_many has one result for each key, in their order, in one callback on the loop") {
  const Cluster cluster = start();
  Guest guest{cluster};
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back("key-" + std::to_string(i));
  for (int i = 0; i < 100; i += 2) {  // on all shards, and every second one missing
    REQUIRE(ended(guest.put(keys[static_cast<std::size_t>(i)], "value of " + std::to_string(i))) == "ok");
  }
  Many many;
  guest->get_many(keys, {.consistency = Consistency::linearizable}, many.callback());
  CHECK(many.calls == 0);
  REQUIRE(wait(guest, many));
  REQUIRE(many.results.size() == 100);
  for (std::size_t i = 0; i < 100; ++i) {
    REQUIRE(ended(many.results[i]) == "ok");
    CHECK(many.results[i]->has_value() == (i % 2 == 0));
    if (i % 2 == 0) CHECK(value_of(many.results[i]) == "value of " + std::to_string(i));
  }
  CHECK(many.thread == std::this_thread::get_id());
  guest.loop().run_for(5ms);
  CHECK(many.calls == 1);
}

TEST_CASE("A get_many without a key calls back with nothing, on the loop") {
  const Cluster cluster = start();
  Guest guest{cluster};
  Many none, braces;
  const Operation operation = guest->get_many(std::vector<std::string>{}, none.callback());
  guest->get_many({}, {}, braces.callback());
  bool drained = false;
  guest->drain([&] { drained = none.calls == 1; });
  operation.cancel();
  CHECK(operation.id() == 0);
  CHECK(none.calls == 0);
  REQUIRE(wait(guest, none));
  REQUIRE(wait(guest, braces));
  CHECK(none.results.empty());
  REQUIRE(guest.loop().run_until([&] { return drained; }));
}

TEST_CASE("A get_many takes any container of texts, and reads a key that is named twice twice") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("a", "1")) == "ok");
  REQUIRE(ended(guest.put("b", "2")) == "ok");
  const auto read = [&](const Keys& keys) {
    Many many;
    guest->get_many(keys, many.callback());
    REQUIRE(wait(guest, many));
    std::string values;
    for (const auto& result : many.results) values += value_of(result).value_or("-");
    return values;
  };
  const std::string b = "b";
  CHECK(read({"a", b, std::string_view{"c"}, "a"}) == "12-1");
  CHECK(read({b}) == "2");
  CHECK(read(std::vector<std::string>{"b", "a"}) == "21");
  CHECK(read(std::vector<std::string_view>{"b", "b"}) == "22");
  CHECK(read(std::list<std::string>{"a", "a", "a"}) == "111");
  CHECK(read(std::array<const char*, 2>{"a", "x"}) == "1-");
  STATIC_REQUIRE_FALSE(std::is_convertible_v<std::string, Keys>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<std::vector<int>, Keys>);
}

TEST_CASE("A get_many keeps nothing of the caller's keys") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  Many many;
  {
    const std::vector<std::string> gone{"key", std::string(100, 'x')};
    guest->get_many(gone, many.callback());
  }
  REQUIRE(wait(guest, many));
  CHECK(value_of(many.results[0]) == "value");
  CHECK(many.endings() == Words{"ok", "ok"});
}

TEST_CASE("One key of a get_many that can't be right spoils only its own result") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  Many many;
  guest->get_many({"key", std::string(2000, 'k'), "missing"}, many.callback());
  REQUIRE(wait(guest, many));
  CHECK(many.endings() == Words{"ok", "invalid_argument", "ok"});
  Many wrong;
  guest->get_many({"a", "b"}, {.timeout = Duration{0}}, wrong.callback());
  REQUIRE(wait(guest, wrong));
  CHECK(wrong.endings() == Words{"invalid_argument", "invalid_argument"});
  CHECK(guest->stats().operations == 0);
}

TEST_CASE("The keys of a get_many count one by one against the limits") {
  const Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.limits.operations = 2;
  Guest guest{options};
  Many many, next;
  guest->get_many({"a", "b", "c", "d"}, many.callback());
  CHECK(guest->stats().operations == 2);
  CHECK_FALSE(guest->has_room());
  REQUIRE(wait(guest, many));
  CHECK(many.endings() == Words{"ok", "ok", "overloaded", "overloaded"});
  CHECK(guest->has_room());
  guest->get_many({"c", "d"}, next.callback());
  REQUIRE(wait(guest, next));
  CHECK(next.endings() == Words{"ok", "ok"});
}

TEST_CASE("The token of a get_many cancels the keys that have not ended") {
  const Cluster cluster = start({.election = 60s});
  Guest guest{cluster};
  Many many;
  const GetOutcome neighbour;
  guest->get_many({key_of(1), std::string(2000, 'k'), key_of(2)}, {.timeout = 60s}, many.callback()).cancel();
  guest->get(key_of(1), {.timeout = 30s}, neighbour.callback());
  REQUIRE(wait(guest, many));
  CHECK(many.endings() == Words{"cancelled", "invalid_argument", "cancelled"});
  CHECK_FALSE(neighbour.came());
  CHECK(guest->stats().operations == 1);
}

TEST_CASE("The slowest key decides when a get_many calls back, and its timeout bounds it") {
  // Real time: the timeout is what is tested.
  Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  const testing::Fault slow = cluster.delay(30s, {.key = "slow"});
  Many many;
  guest->get_many({"slow", "key"}, {.timeout = 200ms}, many.callback());
  REQUIRE(wait(guest, many));
  CHECK(many.endings() == Words{"deadline_exceeded", "ok"});
}

TEST_CASE("A get_many calls back with closed for what a close ends, also when it comes too late") {
  const Cluster cluster = start({.election = 60s});
  Guest guest{cluster};
  Many pending, late, later;
  guest->get_many({key_of(1), key_of(2)}, pending.callback());
  guest.loop().run_for(1ms);
  guest->close();
  guest->get_many({"a", "b"}, late.callback());
  REQUIRE(guest.loop().run_until_idle());
  CHECK(pending.endings() == Words{"closed", "closed"});
  CHECK(late.endings() == Words{"closed", "closed"});
  guest->get_many({"a", "b"}, later.callback());
  CHECK(later.endings() == Words{"closed", "closed"});
  Client moved = std::move(guest.client());
  guest->get_many({"a"}, later.callback());
  CHECK(later.endings() == Words{"closed"});
  CHECK(later.calls == 2);
}

TEST_CASE("A get_many ends with its scope: its callback is destroyed uncalled") {
  const Cluster cluster = start({.election = 60s});
  Guest guest{cluster};
  auto alive = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = alive;
  {
    const Scope scope;
    guest->get_many({key_of(1), std::string(2000, 'k'), key_of(2)}, {.timeout = 60s, .scope = scope},
                    [alive = std::move(alive)](const Results&) { FAIL_CHECK("called after the end of its scope"); });
    guest.loop().run_for(1ms);
    CHECK(scope.operations() == 1);
    CHECK(guest->stats().operations == 2);
  }
  REQUIRE(guest.loop().run_until([&] { return watched.expired(); }));
  CHECK(guest->stats().operations == 0);
}

TEST_CASE("A drain waits for every key of a get_many") {
  const Cluster cluster = start({.election = 50ms});
  Guest guest{cluster};
  Many many;
  int calls_before = -1;
  guest->get_many({key_of(1), key_of(2), key_of(1)}, many.callback());
  guest->drain([&] { calls_before = many.calls; });
  REQUIRE(guest.loop().run_until([&] { return calls_before >= 0; }));
  CHECK(calls_before == 1);
  CHECK(many.endings() == Words{"ok", "ok", "ok"});
}
