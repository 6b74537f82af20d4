#include <utility>

#include "core/session.hpp"

// Writes that look at their key first: read, decide, write, and hold the lane all the time.
namespace norikv::core {

// A lane of one keeps all writes of a key apart, and in order. Wider ones let others in between look and write.
bool Session::locks_key(const RequestOp& op) const {
  return op.request.conditional && options_.writes.in_flight_per_shard != 1;
}

void Session::leave_key(const std::string& key, OpId holder, ShardLanes::Leave how, TimePoint now) {
  if (how == ShardLanes::Leave::settle && !failing_all_) {
    // Who looks now may not see what is still to come, and would write over it.
    const auto settled = now + options_.writes.lane_settle;
    const TimerId timer = timers_.schedule(settled, {TimerKind::key, static_cast<std::uint64_t>(holder)});
    settling_keys_.emplace(holder, SettlingKey{key, timer});
    return;
  }
  const std::optional<OpId> next = key_locks_.leave(key, holder);
  if (!next || failing_all_) return;
  key_turns_.push_back(*next);
  // Who is let in may be refused by the lane, and be followed by the next one: in a loop, not ever deeper.
  if (key_turns_.size() > 1) return;
  for (; !key_turns_.empty(); key_turns_.pop_front()) {
    if (RequestOp* waiting = find(key_turns_.front())) enter_lane(*waiting, now);
  }
}

void Session::on_key_settled(OpId holder, TimePoint now) {
  const std::string key = std::move(settling_keys_.extract(holder).mapped().key);
  leave_key(key, holder, ShardLanes::Leave::at_once, now);
}

void Session::look_again(RequestOp& op) {
  op.step = {wire::Method::get, op.request.conditional->look};
  op.request.conditional->server_checks = false;
}

void Session::on_looked(RequestOp& op, std::optional<Entry> found, TimePoint now) {
  Conditional& conditional = *op.request.conditional;
  if (conditional.kind == Conditional::Kind::update) {
    op.phase = Phase::queued;
    ++conditional.rounds;
    deliveries_.emplace_back(
        Decide{op.request.id, std::move(found), std::move(conditional.update), op.request.has_idempotency_key});
    return;
  }
  if (std::optional<Error> wrong = judge(conditional.kind, op.request.expected, found)) {
    Error error = op.ended(wrong->code, wrong->message);
    error.mismatch = wrong->mismatch;
    return finish(op.request.id, tl::make_unexpected(std::move(error)), now);
  }
  op.step = {op.request.method, op.request.payload};
  route(op, now);
}

void Session::on_decided(Decide decided, Result<Change> change, std::string_view idempotency_key, TimePoint now) {
  RequestOp* op = find(decided.operation);
  if (op == nullptr) return;
  Conditional& conditional = *op->request.conditional;
  conditional.update = std::move(decided.update);
  if (!change) {
    Error error = op->ended(change.error().code, change.error().message);
    return finish(decided.operation, tl::make_unexpected(std::move(error)), now);
  }
  std::optional<Version> version;
  if (decided.found) version = decided.found->version;
  if (!change->value()) return finish(decided.operation, Success{Updated{version, false, conditional.rounds}}, now);

  wire::PutRequest put;
  put.key = conditional.key;
  put.value = *change->value();
  put.ttl_ms = wire::ttl_in_milliseconds(change->ttl());
  put.idempotency_key = idempotency_key;
  put.if_match = version;
  op->step = {wire::Method::put, std::make_shared<const std::string>(wire::encode(put))};
  op->request.expected = version;
  conditional.server_checks = version.has_value();
  route(*op, now);
}

// Whether a write that failed may look at its key again instead: nothing of it was applied, and it is told now that the
// key has changed, or what it saw may be old by the time it is sent again.
bool Session::looks_again_after(const RequestOp& op, const Verdict& verdict) const {
  if (!op.request.conditional || op.effect() != Effect::write || op.outcome_unknown) return false;
  const Conditional& conditional = *op.request.conditional;
  if (verdict.code == ErrorCode::precondition_failed)
    return conditional.kind == Conditional::Kind::update && conditional.rounds < conditional.max_rounds;
  const bool not_applied = verdict.failure == Failure::not_leader || verdict.failure == Failure::unavailable;
  const bool may_ask = conditional.kind != Conditional::Kind::update || conditional.rounds < conditional.max_rounds;
  return not_applied && !conditional.server_checks && may_ask;
}

}  // namespace norikv::core
