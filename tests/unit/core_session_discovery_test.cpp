#include "support/session_script.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

// Its topology stream ends twice.
void take_down(Script& script, std::size_t node) {
  script.end_stream(node);
  while (!script.streaming(node)) script.wait(10ms);
  script.end_stream(node);
  REQUIRE(script.session().cluster()->nodes[node].health == NodeHealth::down);
}

}  // namespace

TEST_CASE("A write to a shard without a known leader sends one probe for its key, and waits") {
  Script script{nodes(1)};
  const auto write = script.put(7);
  const auto probe = script.expect(a_get, 0);
  CHECK(probe.is_about(write));
  CHECK(probe.level.empty());
  CHECK(script.quiet());
  CHECK(script.counters().probes.value() == 1);
}

TEST_CASE("The answer to a probe sends the write to the node that answered") {
  Script script{nodes(3)};
  const auto write = script.put(7);
  const auto probe = script.expect(a_get);
  script.answer(probe, missing());
  const auto request = script.expect(a_put, probe.node);
  script.answer(request, written(4));
  CHECK(write.succeeded());
  CHECK(write.version() == Version{0, 4});
}

TEST_CASE("A cold shard's first write succeeds after the election, as if nothing had been") {
  Script script{nodes(1)};
  const auto write = script.put(3);
  const TimePoint elected = script.now() + 360ms;
  std::vector<TimePoint> asked;
  for (;;) {
    const auto probe = script.expect(a_get, 0);
    asked.push_back(probe.started);
    if (script.now() >= elected) {
      script.answer(probe, missing());
      break;
    }
    script.answer(probe, not_leader());
    while (script.quiet()) script.wait(1ms);
  }
  script.answer(script.expect(a_put, 0), written(1));
  CHECK(write.succeeded());
  REQUIRE(asked.size() >= 3);
  for (std::size_t i = 1; i < asked.size(); ++i) {
    INFO("pause " << i);
    CHECK(asked[i] - asked[i - 1] <= std::min<Duration>(20ms * (1 << std::min<std::size_t>(i - 1, 10)), 250ms));
  }
}

TEST_CASE("A probe's pauses grow to 250 ms and no further") {
  auto options = nodes(1);
  Script script{options};
  const auto write = script.put(3, {.timeout = 60s});
  Duration longest{0};
  for (int i = 0; i < 200; ++i) {
    script.answer(script.expect(a_get), not_leader());
    const TimePoint refused = script.now();
    while (script.quiet()) script.wait(1ms);
    longest = std::max(longest, Duration{script.now() - refused});
  }
  CHECK(longest <= 251ms);
  CHECK(longest > 200ms);
}

TEST_CASE("Any number of operations on a cold shard have one probe in flight") {
  Script script{nodes(3)};
  std::vector<Submitted> operations;
  for (int i = 0; i < 20; ++i) {
    operations.push_back(script.put(5));
    operations.push_back(script.get(5));
  }
  static_cast<void>(script.expect(a_get));
  CHECK(script.quiet());
  CHECK(script.unanswered().size() == 1);
}

TEST_CASE("Those who wait for a leader are released together, in the order in which they came") {
  auto options = nodes(2);
  options.writes.in_flight_per_shard = 0;
  Script script{options};
  std::vector<Submitted> writes;
  for (int i = 0; i < 5; ++i) writes.push_back(script.put(5));
  const auto probe = script.expect(a_get);
  script.answer(probe, missing());
  for (const Submitted& write : writes) CHECK(script.expect(a_put, probe.node).is_about(write));
  CHECK(script.quiet());
}

TEST_CASE("A get that waits probes itself: its answer is no extra request") {
  Script script{nodes(1)};
  const auto read = script.get(2);
  const auto request = script.expect(a_get);
  CHECK(request.is_about(read));
  script.answer(request, found("value", 3));
  REQUIRE(read.entry());
  CHECK(read.entry()->value == "value");
  CHECK(script.quiet());
  CHECK(script.counters().probes.value() == 0);
}

TEST_CASE("A get that any replica may answer does not wait for a leader") {
  Script script{nodes(2)};
  static_cast<void>(script.get(2, {.consistency = Consistency::stale}));
  static_cast<void>(script.get(2, {.consistency = Consistency::bounded}));
  static_cast<void>(script.expect(a_get, 0));
  static_cast<void>(script.expect(a_get, 0));
}

TEST_CASE("A get with a level of its own text proves no leader, so it does not probe") {
  Script script{nodes(1)};
  const auto read = script.get(2, {.text = "whatever"});
  CHECK(script.expect(a_get).level.empty());  // a probe of the session's own
  CHECK(script.counters().probes.value() == 1);
}

TEST_CASE("When a prober is cancelled the next one who waits probes") {
  Script script{nodes(1)};
  const auto first = script.get(2);
  const auto second = script.get(2);
  const auto probe = script.expect(a_get);
  CHECK(probe.is_about(first));
  script.cancel(first);
  CHECK(script.cancelled(probe));
  CHECK(script.expect(a_get).is_about(second));
}

TEST_CASE("When a prober runs out of time the next one who waits probes") {
  Script script{nodes(1)};
  const auto first = script.get(2, {.timeout = 300ms});
  const auto second = script.get(2);
  CHECK(script.expect(a_get).is_about(first));
  script.wait(300ms);
  CHECK(first.failed_with(ErrorCode::deadline_exceeded));
  CHECK(script.expect(a_get).is_about(second));
}

TEST_CASE("A probe is called off when nobody waits any more") {
  Script script{nodes(1)};
  const auto write = script.put(2);
  const auto probe = script.expect(a_get);
  script.cancel(write);
  CHECK(script.cancelled(probe));
  CHECK(script.session().held().operations == 0);
}

TEST_CASE("A leader that a view names releases those who wait, and calls the probe off") {
  Script script{watched_nodes(2)};
  const auto write = script.put(6);
  const auto probe = script.expect(a_get, 0);
  script.claims(1, {6});
  CHECK(script.cancelled(probe));
  CHECK(script.expect(a_put, 1).is_about(write));
}

TEST_CASE("A get that probes is not called off by a view, and its late refusal sends it to the leader") {
  Script script{watched_nodes(2)};
  const auto read = script.get(6);
  const auto probe = script.expect(a_get, 0);
  script.wait(1ms);
  script.claims(1, {6});
  CHECK_FALSE(script.cancelled(probe));
  script.answer(probe, not_leader());
  script.answer(script.expect(a_get, 1), found("value"));
  CHECK(read.succeeded());
}

TEST_CASE("A get that probes and pauses goes to the leader as soon as a view names it") {
  Script script{watched_nodes(1)};
  const auto read = script.get(6);
  script.answer(script.expect(a_get, 0), not_leader());
  CHECK(script.quiet());
  script.claims(0, {6});
  CHECK(script.expect(a_get, 0).is_about(read));
}

TEST_CASE("A search goes to each node once per round and pauses after the round") {
  Script script{nodes(3)};
  const auto write = script.put(4);
  std::vector<std::size_t> order;
  for (int i = 0; i < 3; ++i) {
    const auto probe = script.expect(a_get);
    order.push_back(probe.node);
    CHECK(probe.started == script.now());
    script.answer(probe, not_leader());
  }
  CHECK(order == std::vector<std::size_t>{1, 2, 0});  // shard 4 of three nodes begins at node 1
  CHECK(script.quiet());
  script.wait(80ms);  // the third refusal's longest pause
  static_cast<void>(script.expect(a_get, 1));
}

TEST_CASE("A search that nobody else is left for pauses before it asks the node that has just refused") {
  Script script{nodes(1)};
  lead(script, 4, 0);
  const auto get = script.get(4);
  script.answer(script.expect(a_get, 0), not_leader());
  CHECK(script.quiet());
  script.wait(20ms);
  script.answer(script.expect(a_get, 0), missing());
  CHECK(get.succeeded());
}

TEST_CASE("A search leaves out nodes that are down") {
  Script script{watched_nodes(3)};
  take_down(script, 1);
  static_cast<void>(script.put(4));
  script.answer(script.expect(a_get, 2), not_leader());
  script.answer(script.expect(a_get, 0), not_leader());
  CHECK(script.quiet());
}

TEST_CASE("A leader whose node is down is asked by one for all") {
  Script script{watched_nodes(3)};
  script.claims(1, {4});
  take_down(script, 1);
  std::vector<Submitted> reads;
  for (int i = 0; i < 20; ++i) reads.push_back(script.get(4));
  const auto probe = script.expect(a_get, 1);
  CHECK(script.quiet());
  script.answer(probe, missing());
  for (std::size_t i = 1; i < reads.size(); ++i) CHECK(script.expect(a_get, 1).is_about(reads[i]));
}

TEST_CASE("A leader whose node is down and can't be reached is not asked again: the others are") {
  Script script{watched_nodes(3)};
  script.claims(1, {4});
  take_down(script, 1);
  const auto write = script.put(4);
  script.answer(script.expect(a_get, 1), not_sent());
  const auto probe = script.expect(a_get, 2);
  script.answer(probe, missing());
  script.answer(script.expect(a_put, 2), written(1));
  CHECK(write.succeeded());
}

// It shows that its node is there after all, which alone would release those who wait.
TEST_CASE("A leader whose node is down and that refuses a probe gets none of those who wait") {
  Script script{watched_nodes(3)};
  script.claims(1, {4});
  take_down(script, 1);
  static_cast<void>(script.put(4));
  script.answer(script.expect(a_get, 1), not_leader());
  static_cast<void>(script.expect(a_get, 2));
  CHECK(script.quiet());
}

TEST_CASE("A leader whose node is down and that fails the probe with an error of its own is asked by those who wait") {
  Script script{watched_nodes(3)};
  script.claims(1, {4});
  take_down(script, 1);
  const auto write = script.put(4);
  script.answer(script.expect(a_get, 1), status(13, "Get failed: Internal"));
  script.answer(script.expect(a_put, 1), written(1));
  CHECK(write.succeeded());
}

TEST_CASE("The next view of a leader whose node was down releases those who wait") {
  Script script{watched_nodes(3)};
  script.claims(1, {4});
  take_down(script, 1);
  const auto write = script.put(4);
  const auto probe = script.expect(a_get, 1);
  while (!script.streaming(1)) script.wait(10ms);
  script.claims(1, {4});
  CHECK(script.cancelled(probe));
  CHECK(script.expect(a_put, 1).is_about(write));
}

TEST_CASE("A node that can't be reached is no reason to pause while another one is left") {
  Script script{nodes(2)};
  const auto write = script.put(0);
  script.answer(script.expect(a_get, 0), not_sent());
  script.answer(script.expect(a_get, 1), missing());
  script.answer(script.expect(a_put, 1), written(1));
  CHECK(write.succeeded());
}

TEST_CASE("No leader until the deadline: the error of a write lists what its probes met") {
  Script script{nodes(2)};
  const auto write = script.put(0, {.timeout = 1s});
  while (write.pending()) {
    while (!script.quiet()) script.answer(script.expect(a_get), not_leader());
    script.wait(1ms);
  }
  const Error& error = write.error();
  CHECK(error.code == ErrorCode::deadline_exceeded);
  CHECK(error.phase == Phase::awaiting_leader);
  CHECK_FALSE(error.maybe_applied);
  REQUIRE(error.attempts.size() >= 4);
  CHECK(error.attempts_made >= error.attempts.size());
  CHECK(error.attempts.front().outcome == ErrorCode::not_leader);
  CHECK(error.attempts.front().node == address_of(0));
  CHECK_FALSE(error.node.empty());
}

TEST_CASE("No leader until the deadline: the error of a get lists its own attempts") {
  Script script{nodes(1)};
  const auto read = script.get(0, {.timeout = 1s});
  while (read.pending()) {
    while (!script.quiet()) script.answer(script.expect(a_get), not_leader());
    script.wait(1ms);
  }
  CHECK(read.failed_with(ErrorCode::not_leader));
  CHECK(read.error().attempts.size() >= 4);
}

// Without it the error of a get that waited behind another get would not say which nodes were asked.
TEST_CASE("The error of a get that waited behind another get lists what that one met") {
  Script script{nodes(2)};
  static_cast<void>(script.get(0));
  const auto waiting = script.get(0, {.timeout = 500ms});
  while (waiting.pending()) {
    while (!script.quiet()) script.answer(script.expect(a_get), not_sent());
    script.wait(1ms);
  }
  CHECK(waiting.failed_with(ErrorCode::deadline_exceeded));
  REQUIRE(waiting.error().attempts.size() >= 2);
  CHECK(waiting.error().attempts[0].node == address_of(0));
  CHECK(waiting.error().attempts[1].node == address_of(1));
}

// A probe whose next pause would end after the deadline once gave up, and was replaced at once by a new one without any
// pause: a storm of requests in the last milliseconds.
TEST_CASE("Probes keep their pauses until the very deadline") {
  Script script{nodes(1)};
  const auto write = script.put(0, {.timeout = 2s});
  int probes_late = 0;
  while (write.pending()) {
    while (!script.quiet()) {
      const auto probe = script.expect(a_get);
      if (script.now() >= TimePoint{1h} + 1500ms) ++probes_late;
      REQUIRE(probes_late < 50);
      script.answer(probe, not_leader());
    }
    script.wait(100us);
  }
  CHECK(probes_late >= 1);
  CHECK(probes_late <= 20);
}

// A server that knows neither name of the default level once drew one probe after the other, without a pause.
TEST_CASE("A server that refuses both names of the probe's level gets the write") {
  Script script{nodes(1)};
  const auto write = script.put(0);
  script.answer(script.expect(a_get), status(3, "Unknown consistency level: "));
  script.answer(script.expect(a_get), status(3, "Unknown consistency level: lease"));
  script.answer(script.expect(a_put), written(1));
  CHECK(write.succeeded());
}

TEST_CASE("A node that fails a probe with an error of its own is asked by those who wait themselves") {
  Script script{nodes(2)};
  const auto write = script.put(0);
  script.answer(script.expect(a_get, 0), status(13, "Get failed: Internal"));
  script.answer(script.expect(a_put, 0), written(1));
  CHECK(write.succeeded());
}

// One key that the server can't read must not keep all others of its shard from being asked for.
TEST_CASE("A get that probes and fails with the server's error releases those who wait behind it") {
  Script script{nodes(1)};
  const auto poisoned = script.get(0);
  const auto other = script.get(0);
  script.answer(script.expect(a_get), status(13, "Get failed: Corrupt"));
  const auto request = script.expect(a_get, 0);
  CHECK(request.is_about(other));
  script.answer(request, found("value"));
  CHECK(other.succeeded());
  CHECK(poisoned.pending());
}

TEST_CASE("Garbage as the answer to a probe ends no write") {
  Script script{nodes(1)};
  const auto write = script.put(0);
  script.answer(script.expect(a_get), garbage());
  script.answer(script.expect(a_put), written(1));
  CHECK(write.succeeded());
}

TEST_CASE("A throttled probe pauses as long as the server's class of errors asks for") {
  Script script{nodes(1)};
  static_cast<void>(script.put(0));
  script.answer(script.expect(a_get), status(8, "busy"));
  CHECK(script.quiet());
  script.wait(100ms);
  CHECK_FALSE(script.quiet());
}

// The deadline of those who wait ends them, not the attempt to start: each would start the next one's probe, a
// recursion as deep as the queue.
TEST_CASE("A loop that was blocked past every deadline ends all who waited for a leader") {
  Script script{nodes(1)};
  std::vector<Submitted> operations;
  for (int i = 0; i < 20'000; ++i) operations.push_back(script.get(1));
  const auto write = script.put(1);
  script.answer(script.expect(a_get), not_leader());
  script.oversleep(1h);
  CHECK(script.pending() == 0);
  CHECK(script.quiet());
  for (const Submitted& operation : operations) REQUIRE(operation.failed_with(ErrorCode::deadline_exceeded));
}

TEST_CASE("A loop that was blocked while a probe paused ends the write that waited") {
  Script script{nodes(1)};
  const auto write = script.put(1);
  script.answer(script.expect(a_get), not_leader());
  script.oversleep(1h);
  CHECK(write.failed_with(ErrorCode::deadline_exceeded));
  CHECK(script.quiet());
  CHECK(script.session().held().timers == 0);
}
