#include "client/guest.hpp"

// Options of single operations: time to live, conditions, idempotency keys, consistency, time.
using namespace norikv;
using namespace norikv::test;

TEST_CASE("A value with a time to live disappears") {
  // Real time: the server's clock decides.
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value", {.ttl = 150ms})) == "ok");
  CHECK(value_of(guest.get("key")) == "value");
  CHECK(guest.loop().run_until([&] { return !cluster.stored("key"); }, 5s));
  CHECK(guest.get("key").value() == std::nullopt);
}

TEST_CASE("A put without a time to live lifts the one that was there") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("other", "value", {.ttl = 60ms})) == "ok");
  REQUIRE(ended(guest.put("key", "value", {.ttl = 60ms})) == "ok");
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  CHECK(guest.loop().run_until([&] { return !cluster.stored("other"); }, 5s));
  guest.loop().run_for(60ms);  // its time would be over by now
  CHECK(value_of(guest.get("key")) == "value");
}

TEST_CASE("A time to live of less than a millisecond is one, not for ever") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value", {.ttl = 1us})) == "ok");
  CHECK(guest.loop().run_until([&] { return !cluster.stored("key"); }, 5s));
}

TEST_CASE("A time to live of ten years is taken") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value", {.ttl = max_duration})) == "ok");
  CHECK(value_of(guest.get("key")) == "value");
}

TEST_CASE("A conditional put on the version that is there succeeds") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "one")) == "ok");
  const auto found = guest.get("key");
  REQUIRE(value_of(found) == "one");
  CHECK(ended(guest.put("key", "two", {.precondition = at((*found)->version)})) == "ok");
  CHECK(value_of(guest.get("key")) == "two");
}

TEST_CASE("A conditional put on another version fails, says both versions and writes nothing") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "one")) == "ok");
  const Version actual = guest.get("key").value()->version;
  const auto written = guest.put("key", "two", {.precondition = at(Version{7, 9})});
  REQUIRE(ended(written) == "precondition_failed");
  REQUIRE(written.error().mismatch.has_value());
  CHECK(written.error().mismatch->expected == Version{7, 9});
  CHECK(written.error().mismatch->actual == actual);
  CHECK_FALSE(written.error().maybe_applied);
  CHECK(written.error().advice() == Advice::retry_now);
  CHECK(value_of(guest.get("key")) == "one");
}

TEST_CASE("A conditional put on a missing key fails, and is tried once") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.get(key_of(0))) == "ok");  // the leader is known
  const auto written = guest.put(key_of(0), "value", {.precondition = at(Version{0, 1})});
  CHECK(ended(written) == "precondition_failed");
  CHECK(written.error().attempts_made == 1);
  CHECK_FALSE(cluster.stored(key_of(0)).has_value());
}

TEST_CASE("A repeated idempotency key writes once and brings the first version") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const auto first = guest.put("key", "one", {.idempotency_key = "order-17"});
  const auto again = guest.put("key", "two", {.idempotency_key = "order-17"});
  REQUIRE(ended(first) == "ok");
  REQUIRE(ended(again) == "ok");
  CHECK(again->version == first->version);
  CHECK(value_of(guest.get("key")) == "one");
}

TEST_CASE("A remove with the idempotency key of a put removes nothing on today's server") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "one", {.idempotency_key = "order-17"})) == "ok");
  CHECK(ended(guest.remove("key", {.idempotency_key = "order-17"})) == "ok");
  CHECK(value_of(guest.get("key")) == "one");
}

TEST_CASE("Automatic idempotency keys are different for every operation") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "one", {.idempotency_key = automatic})) == "ok");
  REQUIRE(ended(guest.put("key", "two", {.idempotency_key = automatic})) == "ok");
  CHECK(value_of(guest.get("key")) == "two");
}

TEST_CASE("A reused idempotency key is no write collision") {
  const Cluster cluster = start();
  Guest guest{cluster};
  int warnings = 0;
  const auto subscription = guest->warnings().subscribe([&](const WarningEvent&) { ++warnings; });
  for (int i = 0; i < 3; ++i) REQUIRE(ended(guest.put("key", "one", {.idempotency_key = "order-17"})) == "ok");
  CHECK(warnings == 0);
  CHECK(guest->stats().write_collisions == 0);
}

TEST_CASE("Every consistency level reads") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  for (const Consistency level :
       {Consistency::lease, Consistency::linearizable, Consistency::stale, Consistency::bounded}) {
    INFO(to_string(level));
    CHECK(value_of(guest.get("key", {.consistency = level})) == "value");
  }
}

TEST_CASE("A consistency text is sent as it is") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  CHECK(value_of(guest.get("key", {.consistency_text = "bounded_staleness"})) == "value");
}

TEST_CASE("A consistency text that the server does not know is an invalid argument in the server's words") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.get("key")) == "ok");
  const auto found = guest.get("key", {.consistency_text = "whatever"});
  CHECK(ended(found) == "invalid_argument");
  CHECK(found.error().message.find("Unknown consistency level: whatever") != std::string::npos);
  CHECK(found.error().attempts_made == 1);
}

TEST_CASE("Followers answer stale reads where the server lets them") {
  Cluster cluster = start({.nodes = 3, .profile = Profile::replicated});
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  CHECK(value_of(guest.get("key", {.consistency = Consistency::stale})) == "value");
}

TEST_CASE("An operation ends at its time-out, wherever it waits") {
  // Real time: the deadline is what is tested. The shard would elect its leader much later.
  const Cluster cluster = start({.election = 10s});
  Guest guest{cluster};
  const auto begin = std::chrono::steady_clock::now();
  const PutOutcome first, second;
  guest->put(key_of(1), "value", {.timeout = 200ms}, first.callback());   // waits for a leader
  guest->put(key_of(1), "value", {.timeout = 100ms}, second.callback());  // in the lane
  const GetOutcome read;
  guest->get(key_of(1), {.deadline = begin + 200ms}, read.callback());
  REQUIRE(guest.wait(first));
  REQUIRE(guest.wait(second));
  REQUIRE(guest.wait(read));
  CHECK(std::chrono::steady_clock::now() - begin >= 200ms);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(ended(first) == "deadline_exceeded");
  CHECK(ended(second) == "deadline_exceeded");
  CHECK(ended(read) == "deadline_exceeded");
  CHECK(first.error().phase == Phase::awaiting_leader);
  CHECK(second.error().phase == Phase::queued);
  CHECK_FALSE(first.error().maybe_applied);
}

TEST_CASE("A deadline that is over sends nothing") {
  const Cluster cluster = start();
  Guest guest{cluster};
  CHECK(ended(guest.get("key", {.deadline = std::chrono::steady_clock::now() - 1s})) == "deadline_exceeded");
  CHECK(cluster.counters().gets == 0);
}

TEST_CASE("A cancelled operation ends with cancelled, once, and its token stays harmless") {
  const Cluster cluster = start({.election = 10s});
  Guest guest{cluster};
  const GetOutcome read;
  const Operation operation = guest->get(key_of(1), read.callback());
  const Operation copy = operation;
  guest.loop().run_for(20ms);  // on its way
  operation.cancel();
  copy.cancel();
  CHECK_FALSE(read.came());
  REQUIRE(guest.wait(read));
  CHECK(ended(read) == "cancelled");
  copy.cancel();
  CHECK(ended(guest.get(key_of(0))) == "ok");
  CHECK(read.calls() == 1);
}

TEST_CASE("An operation without a callback is carried out") {
  const Cluster cluster = start();
  Guest guest{cluster};
  guest->put("key", "value", PutCallback{});
  CHECK(guest.loop().run_until([&] { return cluster.stored("key").has_value(); }));
  guest->put(std::string(2000, 'k'), "value", PutCallback{});
  guest->get("key", GetCallback{});
  guest->remove("key", RemoveCallback{});
  CHECK(guest.loop().run_until([&] { return !cluster.stored("key").has_value(); }));
}

TEST_CASE("Statistics count what happened") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  REQUIRE(ended(guest.get("key")) == "ok");
  REQUIRE(ended(guest.put("key", "value", {.precondition = at(Version{7, 7})})) == "precondition_failed");
  REQUIRE(ended(guest.put(std::string(2000, 'k'), "value")) == "invalid_argument");
  const Stats stats = guest->stats();
  CHECK(stats.submitted == 3);
  CHECK(stats.succeeded == 2);
  CHECK(stats.failed == 2);
  CHECK(stats.reads.count == 1);
  CHECK(stats.writes.count == 1);
  CHECK(stats.operations == 0);
  CHECK(stats.bytes == 0);
}
