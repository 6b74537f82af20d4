#include <utility>

#include "core/session.hpp"

// What an observer is told, and what is counted for each node. Nothing here decides anything.
namespace norikv::core {
namespace {

// What every fact about an operation begins with.
template <class Facts>
Facts facts_of(const RequestOp& op) {
  Facts facts;
  facts.operation = static_cast<std::uint64_t>(op.request.id);
  facts.kind = op.internal ? OperationKind::probe : op.request.kind();
  facts.shard = op.request.shard;
  facts.trace = op.request.trace;
  return facts;
}

// None if the failure is the end, whoever is asked.
std::optional<RetryCause> cause_of(const Verdict& verdict) {
  switch (verdict.failure) {
    case Failure::not_leader:
      return RetryCause::not_leader;
    case Failure::unavailable:
      return RetryCause::unavailable;
    case Failure::ambiguous:
      return RetryCause::ambiguous;
    case Failure::throttled:
      return RetryCause::throttled;
    case Failure::unknown_level:
      return RetryCause::consistency_level;
    case Failure::permanent:
      if (verdict.code == ErrorCode::precondition_failed) return RetryCause::version_mismatch;
      if (verdict.code == ErrorCode::unauthenticated) return RetryCause::unauthenticated;
      return RetryCause::unfit;
    case Failure::missing:
      break;
  }
  return std::nullopt;
}

std::uint64_t number(Breaker::State state) {
  switch (state) {
    case Breaker::State::closed:
      return static_cast<std::uint64_t>(BreakerState::closed);
    case Breaker::State::open:
      return static_cast<std::uint64_t>(BreakerState::open);
    case Breaker::State::half_open:
      return static_cast<std::uint64_t>(BreakerState::half_open);
  }
  return 0;
}

}  // namespace

void Session::observe_start(const RequestOp& op, TimePoint now) {
  auto start = facts_of<OperationStart>(op);
  start.at = now;
  start.queued = now - op.request.submitted;
  start.deadline = op.request.deadline;
  deliveries_.emplace_back(Observation{std::move(start)});
}

void Session::observe_attempt(const RequestOp& op, const CallRecord& call, AttemptReason reason) {
  auto start = facts_of<AttemptStart>(op);
  start.number = call.number;
  start.reason = reason;
  start.node = cluster_.address(call.node);
  start.at = call.started;
  deliveries_.emplace_back(Observation{std::move(start)});
}

void Session::observe_attempt_end(const RequestOp& op, const CallRecord& call, std::optional<ErrorCode> error,
                                  TimePoint now) {
  auto end = facts_of<AttemptEnd>(op);
  end.number = call.number;
  end.node = cluster_.address(call.node);
  end.error = error;
  end.at = now;
  end.duration = now - call.started;
  deliveries_.emplace_back(Observation{std::move(end)});
}

void Session::observe_retry(const RequestOp& op, const CallRecord& call, const Verdict& verdict,
                            const RequestOp::Decision& decision, TimePoint now) {
  const std::optional<RetryCause> cause = cause_of(verdict);
  if (!cause) return;
  auto retry = facts_of<RetryPlan>(op);
  retry.after = call.number;
  retry.node = cluster_.address(call.node);
  retry.cause = *cause;
  retry.error = verdict.code;
  retry.at = now;
  if (decision.kind == RequestOp::Decision::Kind::wait) retry.pause = decision.until - now;
  deliveries_.emplace_back(Observation{std::move(retry)});
}

void Session::observe_end(const RequestOp& op, const Outcome& outcome, TimePoint now) {
  auto end = facts_of<OperationEnd>(op);
  if (!outcome) {
    end.error = outcome.error().code;
    end.maybe_applied = outcome.error().maybe_applied;
  }
  end.phase = op.phase;
  end.attempts = op.launched;
  if (op.node) end.node = cluster_.address(*op.node);
  end.at = now;
  end.duration = now - op.request.submitted;
  deliveries_.emplace_back(Observation{std::move(end)});
}

// --- nodes ---

NodeCounterList Session::node_counters() const {
  NodeCounterList list;
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (cluster_.present(node)) list.push_back(nodes_[node].counters);
  }
  return list;
}

void Session::count_given_up(const CallRecord& call) {
  nodes_[call.node].counters->ghosts.add();
  nodes_[call.node].counters->failures.add();
}

void Session::count_failure(const CallRecord& call, const Verdict& verdict, TimePoint now) {
  nodes_[call.node].counters->failures.add();
  if (verdict.node_answered) nodes_[call.node].counters->latency.record(now - call.started);
}

void Session::count_queue(std::size_t node) { nodes_[node].counters->queued.set(nodes_[node].queue.size()); }

void Session::count_breaker(std::size_t node) {
  nodes_[node].counters->breaker.set(number(router_.breaker(node).state()));
}

}  // namespace norikv::core
