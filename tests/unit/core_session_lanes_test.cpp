#include "support/session_script.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

/// One node that leads the shards 0 and 1.
struct Led : Script {
  explicit Led(ClientOptions options = watched_nodes(1)) : Script(std::move(options)) { claims(0, {0, 1}); }
};

ClientOptions with_writes(WriteOptions writes) {
  ClientOptions options = watched_nodes(1);
  options.writes = writes;
  return options;
}

}  // namespace

TEST_CASE("One write of a shard is on the wire, and the others follow in the order of submission") {
  Led script;
  std::vector<Submitted> writes;
  for (int i = 0; i < 5; ++i) writes.push_back(i % 2 == 0 ? script.put(0) : script.remove(0));
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const auto request = script.expect(i % 2 == 0 ? a_put : a_remove);
    CHECK(request.is_about(writes[i]));
    CHECK(script.quiet());
    script.answer(request, i % 2 == 0 ? written(i + 1) : removed(i + 1));
    CHECK(writes[i].succeeded());
  }
}

TEST_CASE("Each shard has a lane of its own") {
  Led script;
  static_cast<void>(script.put(0));
  static_cast<void>(script.put(1));
  static_cast<void>(script.expect(a_put));
  static_cast<void>(script.expect(a_put));
}

TEST_CASE("Reads do not wait for writes") {
  Led script;
  static_cast<void>(script.put(0));
  static_cast<void>(script.expect(a_put));
  static_cast<void>(script.get(0));
  static_cast<void>(script.expect(a_get));
}

TEST_CASE("A definite refusal frees the lane at once") {
  Led script;
  static_cast<void>(script.put(0));
  const auto next = script.put(0);
  script.answer(script.expect(a_put), status(9, "CAS failed: key does not exist"));
  CHECK(script.expect(a_put).is_about(next));
  CHECK(script.counters().lanes_settling.value() == 0);
}

TEST_CASE("After an unknown outcome the lane settles before the next write") {
  Led script;
  static_cast<void>(script.put(0));
  const auto next = script.put(0);
  script.answer(script.expect(a_put), status(13, "Put failed: CommitTimeout { elapsed_ms: 5000 }"));
  script.wait(499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  CHECK(script.expect(a_put).is_about(next));
  CHECK(script.counters().lanes_settling.value() == 1);
}

TEST_CASE("A write that was cancelled on the wire keeps its lane until it came home and settled") {
  Led script;
  const auto first = script.put(0);
  const auto next = script.put(0);
  const auto request = script.expect(a_put);
  script.cancel(first);
  CHECK(first.failed_with(ErrorCode::cancelled));
  CHECK(first.error().maybe_applied);
  CHECK(script.cancelled(request));
  script.wait(1s);
  CHECK(script.quiet());
  script.answer(request, called_off());
  script.wait(499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  CHECK(script.expect(a_put).is_about(next));
}

TEST_CASE("A write that ran out of time keeps its lane until it came home and settled") {
  Led script;
  const auto first = script.put(0, {.timeout = 100ms});
  const auto request = script.expect(a_put);
  script.wait(100ms);
  CHECK(first.failed_with(ErrorCode::deadline_exceeded));
  const auto next = script.put(0);
  script.answer(request, called_off());
  script.wait(499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  CHECK(script.expect(a_put).is_about(next));
}

TEST_CASE("A write that was cancelled but came home with a definite answer frees its lane at once") {
  for (const Answer& answer : {written(3), not_leader(), not_sent()}) {
    INFO(answer.message);
    Led script;
    const auto first = script.put(0);
    const auto next = script.put(0);
    const auto request = script.expect(a_put);
    script.cancel(first);
    script.answer(request, answer);
    CHECK(script.expect(a_put).is_about(next));
  }
}

TEST_CASE("A write that was cancelled and came home with garbage settles its lane") {
  for (const Answer& answer : {garbage(), no_message()}) {
    Led script;
    const auto first = script.put(0);
    static_cast<void>(script.put(0));
    const auto request = script.expect(a_put);
    script.cancel(first);
    script.answer(request, answer);
    CHECK(script.quiet());
    script.wait(500ms);
    static_cast<void>(script.expect(a_put));
  }
}

TEST_CASE("A write that repeats itself keeps its lane") {
  Led script;
  const auto first = script.put(0, {.idempotent = true});
  static_cast<void>(script.put(0));
  script.answer(script.expect(a_put), lost());
  script.wait(500ms);
  const auto again = script.expect(a_put);
  CHECK(again.is_about(first));
  CHECK(script.quiet());
}

TEST_CASE("A write that is cancelled while it waits to repeat itself settles its lane") {
  Led script;
  const auto first = script.put(0, {.idempotent = true});
  const auto next = script.put(0);
  script.answer(script.expect(a_put), status(13, "Put failed: Io"));
  script.wait(100ms);
  script.cancel(first);
  CHECK(first.error().phase == Phase::backing_off);
  CHECK(first.error().maybe_applied);
  script.wait(499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  CHECK(script.expect(a_put).is_about(next));
}

TEST_CASE("A write that is cancelled in the queue never starts") {
  Led script;
  const auto first = script.put(0);
  const auto second = script.put(0);
  const auto third = script.put(0);
  script.cancel(second);
  CHECK(second.failed_with(ErrorCode::cancelled));
  CHECK(second.error().phase == Phase::queued);
  CHECK_FALSE(second.error().maybe_applied);
  script.answer(script.expect(a_put), written(1));
  CHECK(script.expect(a_put).is_about(third));
}

TEST_CASE("Several writes of a shard may be in flight, so many and no more") {
  Led script{with_writes({.in_flight_per_shard = 3})};
  for (int i = 0; i < 5; ++i) static_cast<void>(script.put(0));
  const auto first = script.expect(a_put);
  static_cast<void>(script.expect(a_put));
  static_cast<void>(script.expect(a_put));
  CHECK(script.quiet());
  script.answer(first, written(1));
  static_cast<void>(script.expect(a_put));
  CHECK(script.quiet());
}

TEST_CASE("Without lanes all writes start at once, and nothing settles") {
  Led script{with_writes({.in_flight_per_shard = 0})};
  for (int i = 0; i < 100; ++i) static_cast<void>(script.put(0));
  for (int i = 0; i < 100; ++i) script.answer(script.expect(a_put), lost());
  CHECK(script.counters().lanes_settling.value() == 0);
}

TEST_CASE("Spacing keeps the starts of two writes apart") {
  Led script{with_writes({.in_flight_per_shard = 8, .spacing = 25ms})};
  const TimePoint begin = script.now();
  for (int i = 0; i < 4; ++i) static_cast<void>(script.put(0));
  script.wait(1s);
  for (int i = 0; i < 4; ++i) CHECK(script.expect(a_put).started == begin + i * 25ms);
}

TEST_CASE("A full queue refuses one more write") {
  Led script{with_writes({.queued_per_shard = 2})};
  static_cast<void>(script.put(0));
  static_cast<void>(script.put(0));
  static_cast<void>(script.put(0));
  const auto refused = script.put(0);
  CHECK(refused.failed_with(ErrorCode::overloaded));
  CHECK_FALSE(refused.error().maybe_applied);
  CHECK(script.counters().overloaded.value() == 1);
}

TEST_CASE("A write that could not make its deadline behind the queue is refused at once") {
  Led script;
  for (int i = 0; i < 2; ++i) static_cast<void>(script.put(0));
  const auto request = script.expect(a_put);
  script.wait(150ms);
  script.answer(request, written(1));  // a write takes 150 ms, and one more is on its way
  for (int i = 0; i < 2; ++i) static_cast<void>(script.put(0));
  CHECK(script.put(0, {.timeout = 300ms}).failed_with(ErrorCode::overloaded));
  CHECK(script.put(0, {.timeout = 301ms}).pending());
}

TEST_CASE("A write whose lane settles past its deadline is refused at once") {
  Led script;
  static_cast<void>(script.put(0));
  script.answer(script.expect(a_put), lost());
  CHECK(script.put(0, {.timeout = 500ms}).failed_with(ErrorCode::overloaded));
  CHECK(script.put(0, {.timeout = 501ms}).pending());
}

TEST_CASE("A write whose turn by spacing is past its deadline is refused at once") {
  Led script{with_writes({.in_flight_per_shard = 8, .spacing = 100ms})};
  static_cast<void>(script.put(0));
  CHECK(script.put(0, {.timeout = 100ms}).failed_with(ErrorCode::overloaded));
  CHECK(script.put(0, {.timeout = 101ms}).pending());
}

TEST_CASE("When the last write leaves the queue nothing wakes up for it any more") {
  auto options = with_writes({.in_flight_per_shard = 8, .spacing = 1s});
  options.connection.watch_topology = false;
  Script script{options};
  static_cast<void>(script.put(0));
  script.answer(script.expect(a_get), missing());
  script.answer(script.expect(a_put), written(1));
  const auto queued = script.put(0);
  CHECK(script.session().held().timers == 2);  // its deadline and its turn
  script.cancel(queued);
  CHECK(script.session().held().timers == 0);
}

TEST_CASE("Two acknowledged writes of one version that overlapped are reported") {
  Led script{with_writes({.in_flight_per_shard = 0})};
  const auto a = script.put(0);
  const auto b = script.put(0);
  const auto first = script.expect(a_put);
  const auto second = script.expect(a_put);
  script.wait(1ms);
  script.answer(first, written(5));
  script.answer(second, written(5));
  REQUIRE(script.warnings.size() == 1);
  const WarningEvent& warning = script.warnings.front();
  CHECK(warning.kind == WarningKind::write_collision);
  CHECK(warning.shard == 0);
  CHECK(warning.node == address_of(0));
  CHECK(warning.version == Version{0, 5});
  CHECK(warning.operations[0] == static_cast<std::uint64_t>(a.id()));
  CHECK(warning.operations[1] == static_cast<std::uint64_t>(b.id()));
  CHECK(script.counters().write_collisions.value() == 1);
}

TEST_CASE("Writes are remembered for collisions only while others of their shard are under way") {
  Led script{with_writes({.in_flight_per_shard = 2})};
  static_cast<void>(script.put(0));
  static_cast<void>(script.put(0));
  const auto first = script.expect(a_put);
  const auto second = script.expect(a_put);
  script.answer(first, written(1));
  CHECK(script.session().held().remembered_writes == 1);
  script.answer(second, written(2));
  CHECK(script.session().held().remembered_writes == 0);
}

TEST_CASE("Writes with a key of the user's may share a version") {
  Led script{with_writes({.in_flight_per_shard = 0})};
  static_cast<void>(script.put(0));
  static_cast<void>(script.put(0, {.users_idempotency = true}));
  const auto first = script.expect(a_put);
  const auto second = script.expect(a_put);
  script.wait(1ms);
  script.answer(first, written(5));
  script.answer(second, written(5));
  CHECK(script.warnings.empty());
}

TEST_CASE("Writes that waited for their shard's leader leave with the spacing between them") {
  // Without it a search of 100 ms sends what came meanwhile all at once, and the server loses all but one.
  ClientOptions options = nodes(1);
  options.writes.in_flight_per_shard = 8;
  options.writes.spacing = 25ms;
  Script script{options};
  std::vector<Submitted> writes;
  for (int i = 0; i < 3; ++i) writes.push_back(script.put(4));
  const auto probe = script.expect(a_get);
  script.wait(100ms);
  script.answer(probe, missing());
  for (std::uint64_t i = 0; i < writes.size(); ++i) {
    script.answer(script.expect(a_put), written(i + 1));
    CHECK(writes[i].succeeded());
    CHECK(script.quiet());
    script.wait(24ms);
    CHECK(script.quiet());
    script.wait(1ms);
  }
}
