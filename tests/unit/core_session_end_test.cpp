#include "support/session_script.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

struct Led : Script {
  explicit Led(ClientOptions options = watched_nodes(1)) : Script(std::move(options)) { claims(0, {0, 1}); }
};

/// Brings an operation into each phase, and ends them all by `end`.
template <class End>
std::vector<std::pair<Phase, Submitted>> in_each_phase(Script& script, End end) {
  std::vector<std::pair<Phase, Submitted>> operations;
  operations.emplace_back(Phase::sent, script.put(0, {.timeout = 1s}));
  static_cast<void>(script.expect(a_put));
  operations.emplace_back(Phase::queued, script.put(0, {.timeout = 1s}));
  operations.emplace_back(Phase::awaiting_leader, script.put(5, {.timeout = 1s}));
  static_cast<void>(script.expect(a_get));
  operations.emplace_back(Phase::backing_off, script.put(1, {.timeout = 1s, .idempotent = true}));
  script.answer(script.expect(a_put), status(13, "Put failed: Io"));
  end(operations);
  return operations;
}

}  // namespace

TEST_CASE("The deadline ends an operation in every phase, and says how far it was") {
  Led script;
  const auto operations = in_each_phase(script, [&](const auto&) { script.oversleep(1s); });
  for (const auto& [phase, operation] : operations) {
    INFO(to_string(phase));
    CHECK(operation.failed_with(ErrorCode::deadline_exceeded));
    CHECK(operation.error().phase == phase);
    CHECK(operation.error().maybe_applied == (phase == Phase::sent || phase == Phase::backing_off));
    CHECK(operation.error().shard.has_value());
  }
}

TEST_CASE("Cancelling ends an operation in every phase, and says how far it was") {
  Led script;
  const auto operations = in_each_phase(script, [&](const auto& all) {
    for (auto operation = all.rbegin(); operation != all.rend(); ++operation) script.cancel(operation->second);
  });
  for (const auto& [phase, operation] : operations) {
    INFO(to_string(phase));
    CHECK(operation.failed_with(ErrorCode::cancelled));
    CHECK(operation.error().phase == phase);
    CHECK(operation.error().maybe_applied == (phase == Phase::sent || phase == Phase::backing_off));
  }
  CHECK(script.session().held().operations == 0);
  CHECK(script.counters().cancelled.value() == 4);
}

TEST_CASE("Closing ends an operation in every phase, in the order of submission") {
  Led script;
  const auto operations = in_each_phase(script, [&](const auto&) { script.close(); });
  for (const auto& [phase, operation] : operations) {
    INFO(to_string(phase));
    CHECK(operation.failed_with(ErrorCode::closed));
    CHECK(operation.error().phase == phase);
  }
  CHECK(script.session().closed());
}

TEST_CASE("An operation that is submitted out of time is not sent") {
  Led script;
  const auto read = script.get(0, {.timeout = 0ms});
  const auto write = script.put(0, {.timeout = -1s});
  CHECK(read.failed_with(ErrorCode::deadline_exceeded));
  CHECK(write.failed_with(ErrorCode::deadline_exceeded));
  CHECK(write.error().phase == Phase::queued);
  CHECK(script.quiet());
}

TEST_CASE("The error of an operation that ended on the wire names the node and lists the attempt") {
  Led script;
  const auto write = script.put(0, {.timeout = 1s});
  static_cast<void>(script.expect(a_put));
  script.wait(1s);
  CHECK(write.error().node == address_of(0));
  REQUIRE(write.error().attempts.size() == 1);
  CHECK(write.error().attempts_made == 1);
  CHECK(write.error().attempts[0].outcome == ErrorCode::deadline_exceeded);
  CHECK(write.error().attempts[0].duration == 1s);
}

TEST_CASE("The answer to an operation that has ended is dropped") {
  Led script;
  const auto read = script.get(0);
  const auto request = script.expect(a_get);
  script.cancel(read);
  script.answer(request, found("late"));
  CHECK(read.failed_with(ErrorCode::cancelled));
  CHECK(script.session().held().calls == 0);
}

TEST_CASE("An operation that has ended can be cancelled again") {
  Led script;
  const auto read = script.get(0);
  script.answer(script.expect(a_get), missing());
  script.cancel(read);
  CHECK(read.succeeded());
}

TEST_CASE("A loop that was blocked past a deadline does not start what it had queued") {
  Led script;
  const auto first = script.put(0, {.timeout = 2s});
  const auto request = script.expect(a_put);
  const auto second = script.put(0, {.timeout = 1s});
  script.wait(500ms);
  script.answer(request, lost());  // the lane settles until 1 s
  script.oversleep(1h);
  CHECK(first.failed_with(ErrorCode::unavailable));
  CHECK(second.failed_with(ErrorCode::deadline_exceeded));
  CHECK(script.quiet());
}

TEST_CASE("A loop that was blocked past a deadline does not repeat what was backing off") {
  Led script;
  const auto read = script.get(0, {.timeout = 1s});
  script.answer(script.expect(a_get), status(13));
  script.oversleep(1h);
  CHECK(read.failed_with(ErrorCode::deadline_exceeded));
  CHECK(read.error().phase == Phase::backing_off);
  CHECK(script.quiet());
}

TEST_CASE("What was refused before it became an operation is told in its turn, and counted") {
  Script script{nodes(1)};
  core::Session& session = script.session();
  std::vector<int> told;
  Error error;
  error.code = ErrorCode::overloaded;
  session.defer([&] { told.push_back(1); });
  session.refuse(PutCallback{[&](Result<Written> result) {
                   CHECK(result.error().code == ErrorCode::overloaded);
                   told.push_back(2);
                 }},
                 error, OperationKind::put, script.now());
  session.defer([&] { told.push_back(3); });
  script.wait(0ms);
  CHECK(told == std::vector<int>{1, 2, 3});
  CHECK(script.counters().failed.value() == 1);
  CHECK(script.counters().overloaded.value() == 1);
  CHECK(script.counters().submitted.value() == 0);
}

TEST_CASE("A drain with nothing pending calls back at once") {
  Led script;
  CHECK(script.drain().times() == 1);
}

TEST_CASE("A drain calls back when all that was submitted before has ended, whatever came later") {
  Led script;
  const auto before = script.get(0);
  const auto request = script.expect(a_get);
  const auto drained = script.drain();
  static_cast<void>(script.get(0));
  CHECK_FALSE(drained);
  script.answer(request, missing());
  CHECK(before.succeeded());
  CHECK(drained.times() == 1);
}

TEST_CASE("Drains call back in the order in which they were asked for") {
  Led script;
  static_cast<void>(script.get(0));
  const auto first_request = script.expect(a_get);
  const auto first = script.drain();
  const auto also_first = script.drain();
  static_cast<void>(script.get(0));
  const auto second_request = script.expect(a_get);
  const auto second = script.drain();
  script.answer(second_request, missing());
  CHECK_FALSE(first);
  CHECK_FALSE(second);
  script.answer(first_request, missing());
  CHECK(first.times() == 1);
  CHECK(also_first.times() == 1);
  CHECK(second.times() == 1);
}

TEST_CASE("A drain does not wait for probes of the session's own") {
  Script script{nodes(1)};
  const auto write = script.put(5);
  static_cast<void>(script.expect(a_get));
  const auto drained = script.drain();
  script.cancel(write);
  CHECK(drained.times() == 1);
}

TEST_CASE("Readiness for any node comes with the first answer of a node") {
  Script script{watched_nodes(2)};
  const auto any = script.wait_ready(Need::any_node);
  CHECK(any.pending());
  script.claims(1, {});
  CHECK(any.ready());
  CHECK(script.wait_ready(Need::any_node).ready());
}

TEST_CASE("Readiness for all nodes waits for the last one") {
  Script script{watched_nodes(2)};
  const auto all = script.wait_ready(Need::all_nodes);
  script.claims(1, {});
  CHECK(all.pending());
  script.claims(0, {});
  CHECK(all.ready());
}

TEST_CASE("An answer to an operation, a refusal too, shows that a node is there") {
  Script script{nodes(1)};
  const auto ready = script.wait_ready(Need::all_nodes);
  static_cast<void>(script.get(0));
  script.answer(script.expect(a_get), not_leader());
  CHECK(ready.ready());
}

TEST_CASE("A connection that can't be made shows nothing") {
  Script script{nodes(1)};
  const auto ready = script.wait_ready(Need::any_node, 1s);
  static_cast<void>(script.get(0, {.timeout = 100ms}));
  script.answer(script.expect(a_get), not_sent());
  CHECK(ready.pending());
  script.wait(1s);
  CHECK(ready.failed_with(ErrorCode::deadline_exceeded));
}

TEST_CASE("A server without topology streams is there nevertheless") {
  Script script{watched_nodes(1)};
  const auto ready = script.wait_ready(Need::all_nodes);
  script.end_stream(0, 12, "");
  CHECK(ready.ready());
}

TEST_CASE("Closing refuses what comes later, and ends who waits for readiness") {
  Script script{watched_nodes(1)};
  const auto ready = script.wait_ready(Need::any_node);
  script.close();
  CHECK(ready.failed_with(ErrorCode::closed));
  CHECK(script.put(0).failed_with(ErrorCode::closed));
  CHECK(script.get(0).failed_with(ErrorCode::closed));
  CHECK(script.wait_ready(Need::any_node).failed_with(ErrorCode::closed));
  CHECK(script.drain().times() == 1);
  CHECK(script.session().closed());
}

TEST_CASE("Closing ends the topology streams") {
  Script script{watched_nodes(3)};
  script.close();
  for (std::size_t node = 0; node < 3; ++node) CHECK_FALSE(script.streaming(node));
  script.end_cancelled_streams();
  script.wait(1h);
  CHECK(script.open_streams() == 0);
}

TEST_CASE("A view that was under way when the client closed is dropped") {
  Script script{watched_nodes(1)};
  const core::WatchId stream{1};
  script.close();
  script.session().on_view(stream, view_of(0, 1, {0}), script.now());
  CHECK(script.leader(0) == -1);
  CHECK(script.session().deliveries().empty());
}

TEST_CASE("In the grace of a close pending operations still finish") {
  Led script;
  const auto first = script.put(0);
  const auto second = script.put(0);
  script.close(1s);
  CHECK_FALSE(script.session().closed());
  script.answer(script.expect(a_put), written(1));
  script.answer(script.expect(a_put), written(2));
  CHECK(first.succeeded());
  CHECK(second.succeeded());
  CHECK(script.session().closed());
}

TEST_CASE("When the grace is over pending operations end") {
  Led script;
  const auto write = script.put(0);
  script.close(1s);
  script.wait(999ms);
  CHECK(write.pending());
  script.wait(1ms);
  CHECK(write.failed_with(ErrorCode::closed));
  CHECK(write.error().maybe_applied);
}

TEST_CASE("A second close may shorten the grace, never prolong it") {
  Led script;
  const auto write = script.put(0);
  script.close(10s);
  script.close(1s);
  script.close(20s);
  script.wait(1s);
  CHECK(write.failed_with(ErrorCode::closed));
  script.close(1s);
  script.wait(1h);
  CHECK(script.session().closed());
}

TEST_CASE("A second close without grace ends all at once") {
  Led script;
  const auto write = script.put(0);
  script.close(10s);
  script.close();
  CHECK(write.failed_with(ErrorCode::closed));
}

TEST_CASE("After a close nothing is kept and nothing wakes up") {
  Script script{nodes(1)};
  static_cast<void>(script.put(0));
  static_cast<void>(script.put(0));
  static_cast<void>(script.get(0));
  script.answer(script.expect(a_get), not_leader());
  script.close();
  for (const OnWire& request : script.unanswered()) script.answer(request, called_off());
  const auto held = script.session().held();
  CHECK(held.operations == 0);
  CHECK(held.calls == 0);
  CHECK(held.searches == 0);
  CHECK(held.timers == 0);
}

TEST_CASE("After everything has ended nothing is kept and nothing wakes up") {
  Script script{nodes(2)};
  for (std::uint32_t shard = 0; shard < 16; ++shard) {
    static_cast<void>(script.put(shard));
    static_cast<void>(script.put(shard));
    static_cast<void>(script.get(shard));
  }
  while (script.pending() > 0) {
    for (const OnWire& request : script.unanswered()) {
      script.answer(request, request.method == a_get ? missing() : written(1));
    }
  }
  const auto held = script.session().held();
  CHECK(held.operations == 0);
  CHECK(held.calls == 0);
  CHECK(held.searches == 0);
  CHECK(held.timers == 0);
  CHECK_FALSE(script.session().busy());
}

TEST_CASE("What is counted adds up") {
  Led script;
  const auto read = script.get(0);
  script.answer(script.expect(a_get), missing());
  static_cast<void>(script.put(0));
  script.answer(script.expect(a_put), lost());
  static_cast<void>(script.get(0, {.timeout = 1ms}));
  script.wait(1ms);
  const core::Counters& counters = script.counters();
  CHECK(counters.submitted.value() == 3);
  CHECK(counters.succeeded.value() == 1);
  CHECK(counters.failed.value() == 2);
  CHECK(counters.deadline_exceeded.value() == 1);
  CHECK(counters.maybe_applied.value() == 1);
  CHECK(counters.reads.snapshot().count == 1);
  CHECK(counters.writes.snapshot().count == 0);
}
