#include "core/request_op.hpp"

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1h};
using Kind = RequestOp::Decision::Kind;

/// An operation with five seconds, and what surrounds a decision.
struct Trial {
  explicit Trial(wire::Method method, bool keyed = false)
      : op{[&] {
             Request request;
             request.id = OpId{1};
             request.method = method;
             request.has_idempotency_key = keyed;
             request.shard = 3;
             request.deadline = start + 5s;
             return request;
           }(),
           Callback{}, RequestOp::Origin::user} {
    op.node = 0;
  }
  RequestOp::Decision fails(Failure failure, bool unknown = false, TimePoint now = start) {
    Verdict verdict;
    verdict.failure = failure;
    verdict.code = ErrorCode::server_error;
    verdict.applied_unknown = unknown;
    verdict.detail = "why";
    return after(verdict, now);
  }
  RequestOp::Decision after(const Verdict& verdict, TimePoint now = start) {
    RequestOp::Situation situation{retry, router};
    situation.settle = 500ms;
    situation.now = now;
    return op.after(verdict, situation);
  }

  ClusterState state{{"a:1", "b:1"}, 16};
  Router router{state};
  RetryOptions retry;
  RequestOp op;
};

}  // namespace

TEST_CASE("The first NOT_LEADER is followed at once, the next ones after growing pauses") {
  Trial write{wire::Method::put};
  CHECK(write.fails(Failure::not_leader).kind == Kind::route);
  for (const Duration pause : {40ms, 80ms, 160ms, 250ms, 250ms}) {
    const auto decision = write.fails(Failure::not_leader);
    CHECK(decision.kind == Kind::wait);
    CHECK(decision.until == start + pause);
  }
}

TEST_CASE("NOT_LEADER makes the leader necessary for a read that did without") {
  Trial read{wire::Method::get};
  read.op.wants_leader = false;
  static_cast<void>(read.fails(Failure::not_leader));
  CHECK(read.op.wants_leader);
}

TEST_CASE("What surely was not carried out is tried again, a write without key too") {
  Trial write{wire::Method::put};
  const auto decision = write.fails(Failure::unavailable);
  CHECK(decision.kind == Kind::wait);
  CHECK(decision.until == start + 20ms);
  CHECK_FALSE(write.op.outcome_unknown);
}

TEST_CASE("An ambiguous failure ends a write without key") {
  Trial write{wire::Method::put};
  CHECK(write.fails(Failure::ambiguous, true).kind == Kind::finish);
  CHECK(write.op.last_error().maybe_applied);
}

TEST_CASE("An ambiguous failure of a write with key waits at least for its lane to settle") {
  Trial write{wire::Method::put, true};
  const auto decision = write.fails(Failure::ambiguous, true);
  CHECK(decision.kind == Kind::wait);
  CHECK(decision.until == start + 500ms);
  CHECK(write.op.prefer == 0u);
  static_cast<void>(write.fails(Failure::ambiguous, true));
  CHECK_FALSE(write.op.prefer);
}

TEST_CASE("An ambiguous failure of a read waits for its back-off alone") {
  Trial read{wire::Method::get};
  CHECK(read.fails(Failure::ambiguous).until == start + 25ms);
  CHECK(read.fails(Failure::throttled).until == start + 200ms);
}

TEST_CASE("A pause that ends at the deadline is not waited for") {
  Trial read{wire::Method::get};
  CHECK(read.fails(Failure::ambiguous, false, start + 5s - 25ms).kind == Kind::finish);
  Trial other{wire::Method::get};
  CHECK(other.fails(Failure::ambiguous, false, start + 5s - 25ms - 1ns).kind == Kind::wait);
}

TEST_CASE("Both names of a level are tried in a row, not more") {
  Trial read{wire::Method::get};
  CHECK(read.fails(Failure::unknown_level).kind == Kind::repeat);
  CHECK(read.fails(Failure::unknown_level).kind == Kind::finish);
}

TEST_CASE("Another answer in between means another node, with both names to try") {
  Trial read{wire::Method::get};
  CHECK(read.fails(Failure::unknown_level).kind == Kind::repeat);
  CHECK(read.fails(Failure::not_leader).kind == Kind::route);
  CHECK(read.fails(Failure::unknown_level).kind == Kind::repeat);
}

TEST_CASE("A permanent failure ends the operation with what the server said") {
  Trial write{wire::Method::remove};
  CHECK(write.fails(Failure::permanent).kind == Kind::finish);
  const Error error = write.op.last_error();
  CHECK(error.code == ErrorCode::server_error);
  CHECK(error.message == "why");
  CHECK(error.shard == 3u);
  CHECK_FALSE(error.maybe_applied);
}

TEST_CASE("A compare-and-swap on a missing key tells what it expected") {
  Trial write{wire::Method::put};
  write.op.request.expected = Version{0, 7};
  Reply reply;
  reply.status = 9;
  reply.message = "CAS failed: key does not exist";
  static_cast<void>(write.after(classify(reply, Effect::write)));
  const Error error = write.op.last_error();
  REQUIRE(error.mismatch);
  CHECK(error.mismatch->expected == Version{0, 7});
  CHECK_FALSE(error.mismatch->actual);
}

TEST_CASE("An unknown outcome is not forgotten") {
  Trial write{wire::Method::put, true};
  static_cast<void>(write.fails(Failure::ambiguous, true));
  static_cast<void>(write.fails(Failure::permanent, false));
  CHECK(write.op.last_error().maybe_applied);
  CHECK_FALSE(write.op.last_outcome_unknown);
}

TEST_CASE("A write on the wire may be applied, a queued one not, and a read never") {
  Trial write{wire::Method::put};
  CHECK_FALSE(write.op.ended(ErrorCode::cancelled, "cancelled").maybe_applied);
  write.op.call = CallId{1};
  CHECK(write.op.ended(ErrorCode::cancelled, "cancelled").maybe_applied);
  Trial read{wire::Method::get};
  read.op.call = CallId{1};
  CHECK_FALSE(read.op.ended(ErrorCode::cancelled, "cancelled").maybe_applied);
}

TEST_CASE("An end from outside tells how far the operation was, once") {
  Trial write{wire::Method::put};
  write.op.phase = Phase::awaiting_leader;
  const Error error = write.op.ended(ErrorCode::deadline_exceeded, "out of time");
  CHECK(error.phase == Phase::awaiting_leader);
  CHECK(error.describe().starts_with("deadline_exceeded: out of time; while its shard had no known leader"));
  CHECK(write.op.ended(ErrorCode::overloaded, "too many").message == "too many");
}

TEST_CASE("A list of attempts keeps the first four and the last twelve") {
  std::vector<Attempt> attempts;
  for (int i = 0; i < 100; ++i) append_attempt(attempts, {"a:1", ErrorCode::unavailable, std::to_string(i), {}});
  REQUIRE(attempts.size() == max_recorded_attempts);
  CHECK(attempts[3].detail == "3");
  CHECK(attempts[4].detail == "88");
  CHECK(attempts[15].detail == "99");
}

TEST_CASE("Writes and leader reads prove a leader, other reads do not") {
  Request request;
  request.method = wire::Method::put;
  CHECK(request.proves_leader());
  request.method = wire::Method::get;
  CHECK(request.proves_leader());
  request.consistency = Consistency::stale;
  CHECK_FALSE(request.proves_leader());
  request.consistency = Consistency::lease;
  request.consistency_text = "anything";
  CHECK_FALSE(request.proves_leader());
}
