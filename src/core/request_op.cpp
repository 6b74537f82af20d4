#include "core/request_op.hpp"

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>

#include "core/backoff.hpp"

namespace norikv::core {
namespace {

using Kind = RequestOp::Decision::Kind;

constexpr std::size_t first_attempts_kept = 4;
// Errors that speak of the node, not of the request.
bool node_is_unfit(ErrorCode code) {
  return code == ErrorCode::not_supported || code == ErrorCode::protocol || code == ErrorCode::permission_denied ||
         code == ErrorCode::unauthenticated;
}

constexpr std::size_t max_detail = 200;  // of a foreign text, in an error of ours

}  // namespace

OperationKind kind_of(wire::Method method) {
  switch (method) {
    case wire::Method::put:
      return OperationKind::put;
    case wire::Method::remove:
      return OperationKind::remove;
    case wire::Method::vector_create_index:
      return OperationKind::vector_create_index;
    case wire::Method::vector_drop_index:
      return OperationKind::vector_drop_index;
    case wire::Method::vector_insert:
      return OperationKind::vector_insert;
    case wire::Method::vector_remove:
      return OperationKind::vector_remove;
    case wire::Method::vector_search:
      return OperationKind::vector_search;
    case wire::Method::vector_get:
      return OperationKind::vector_get;
    case wire::Method::snapshot_shard:
      return OperationKind::snapshot_shard;
    case wire::Method::transfer_shard:
      return OperationKind::transfer_shard;
    case wire::Method::get:
    case wire::Method::watch_cluster:
      break;
  }
  return OperationKind::get;
}

namespace {

/// What a callback for `T` is given of a success.
template <class T>
T take(Success&& success) {
  if constexpr (std::is_same_v<T, Written> || std::is_same_v<T, Removed>) {
    return T{std::get<Version>(success)};
  } else {
    return std::get<T>(std::move(success));
  }
}

template <class T>
void tell_of(UniqueFunction<void(Result<T>)>& callback, Outcome&& outcome) {
  if (callback) callback(std::move(outcome).map([](Success&& success) { return take<T>(std::move(success)); }));
}
void tell_of(std::monostate, Outcome&&) {}

}  // namespace

void tell(Callback& callback, Outcome outcome) {
  std::visit([&](auto& whom) { tell_of(whom, std::move(outcome)); }, callback);
}

RequestOp::Decision RequestOp::after(const Verdict& verdict, const Situation& situation) {
  last_verdict_ = verdict;
  last_outcome_unknown = verdict.applied_unknown;
  outcome_unknown = outcome_unknown || verdict.applied_unknown;
  // A prober goes around all nodes before it pauses.
  const bool searches = probing || asks_around();
  const bool round_goes_on = searches && !situation.router.round_over(rotation, situation.now);
  const RetryOptions& retry = situation.retry;
  const Decision go_on{Kind::route, situation.now};
  if (verdict.failure != Failure::unknown_level) std::erase(level_refused_by_, situation.node);
  if (verdict.pause > Duration{0}) wish(situation.node, situation.now + verdict.pause);

  if (verdict.code == ErrorCode::unauthenticated && situation.token != 0) {
    refused_token = std::max(refused_token, situation.token);  // an older one may be refused later
    if (first_refused_token_ == 0) first_refused_token_ = situation.token;
    // With another token; it waits for one if need be. Two requests at once may both have carried this one.
    if (situation.token == first_refused_token_) return go_on;
  }
  switch (verdict.failure) {
    case Failure::not_leader:
      wants_leader = !asks_around();
      shard_exists_ = shard_exists_ || verdict.code != ErrorCode::not_found;
      prefer.reset();
      refused_by_.push_back(situation.node);
      if (situation.hinted) {
        ++hint_hops_;
        return go_on;
      }
      ++refusals_;
      if (round_goes_on || (!searches && refusals_ == 1)) return go_on;
      if (!shard_exists_) return {};
      return wait(retry.not_leader, refusals_ - 1, Duration{0}, situation);
    case Failure::unavailable:
      prefer.reset();
      ++unreachable_;
      if (round_goes_on) return go_on;
      return wait(retry.unavailable, unreachable_ - 1, Duration{0}, situation);
    case Failure::ambiguous:
    case Failure::throttled: {
      if (!repeatable()) return {};
      ++ambiguous_;
      // The same node first: its memory of idempotency keys is its own.
      if (ambiguous_ == 1 && !probing && !situation.moved)
        prefer = situation.node;
      else
        prefer.reset();
      if (round_goes_on) return go_on;
      const Backoff& backoff = verdict.failure == Failure::throttled ? retry.throttled : retry.ambiguous;
      const Duration settled = verdict.applied_unknown ? situation.settle : Duration{0};
      // A search passes by a node that has asked for time.
      const Duration wished = searches ? Duration{0} : verdict.pause;
      return wait(backoff, ambiguous_ - 1, std::max(settled, wished), situation);
    }
    case Failure::unknown_level:
      // Each node has its own dialect: of two that are asked at once both may refuse the first one.
      every_dialect_refused_ = std::ranges::find(level_refused_by_, situation.node) != level_refused_by_.end();
      if (request.consistency_text || every_dialect_refused_) return {};
      level_refused_by_.push_back(situation.node);
      return {Kind::repeat, situation.now};
    case Failure::permanent:
      // A probe that met a node which is no use at all asks the others, as long as they are.
      if (probing && node_is_unfit(verdict.code)) {
        if (round_goes_on) return go_on;
        if (refusals_ > 0) return wait(retry.not_leader, refusals_ - 1, Duration{0}, situation);
      }
      return {};
    case Failure::missing:
      return {};
  }
  return {};
}

RequestOp::Decision RequestOp::wait(const Backoff& backoff, std::uint32_t retry, Duration at_least,
                                    const Situation& situation) {
  const TimePoint until = situation.now + std::max(backoff_delay(backoff, retry, situation.fraction), at_least);
  // A retry that the deadline can't fit is not waited for.
  if (until >= request.deadline) return {};
  pauses_ = true;
  return {Kind::wait, until};
}

TimePoint RequestOp::after_round(const Backoff& backoff, TimePoint now, double fraction) {
  pauses_ = true;
  return now + backoff_delay(backoff, refusals_ == 0 ? 0 : refusals_ - 1, fraction);
}

void RequestOp::pause_is_over() {
  if (!std::exchange(pauses_, false)) return;
  refused_by_.clear();
  hint_hops_ = 0;
}

bool RequestOp::refused_by(std::size_t asked) const {
  return std::find(refused_by_.begin(), refused_by_.end(), asked) != refused_by_.end();
}

void RequestOp::mark_nodes(std::vector<bool>& marks) const {
  for (const std::optional<std::size_t>& one : {prefer, node, hinted, queued_at, has_turn_at}) {
    if (one) marks[*one] = true;
  }
  for (const std::size_t refuser : refused_by_) marks[refuser] = true;
  for (const std::size_t refuser : level_refused_by_) marks[refuser] = true;
  for (const Wish& wish : wishes_) marks[wish.node] = true;
}

TimePoint RequestOp::not_before(std::size_t asked) const {
  const auto wish = std::ranges::find(wishes_, asked, &Wish::node);
  return wish == wishes_.end() ? TimePoint{} : wish->not_before;
}

void RequestOp::wish(std::size_t asked, TimePoint not_before) {
  const auto known = std::ranges::find(wishes_, asked, &Wish::node);
  if (known == wishes_.end())
    wishes_.push_back({asked, not_before});
  else
    known->not_before = std::max(known->not_before, not_before);
}

void RequestOp::record_attempt(const std::string& address, ErrorCode outcome, std::string_view detail,
                               Duration duration) {
  ++attempts_made;
  append_attempt(attempts, {address, outcome, std::string{detail.substr(0, max_detail)}, duration});
}

Error RequestOp::last_error() const {
  std::string message{last_verdict_.detail.substr(0, max_detail)};
  if (message.empty()) message = to_string(last_verdict_.code);
  Error error = ended(last_verdict_.code, message);
  error.mismatch = last_verdict_.mismatch;
  // "CAS failed: key does not exist" leaves out what was expected.
  if (!error.mismatch && request.expected && last_verdict_.detail.starts_with("CAS failed")) {
    error.mismatch = VersionMismatch{*request.expected, std::nullopt};
  }
  return error;
}

Error RequestOp::ended(ErrorCode code, std::string_view why) const {
  Error error;
  error.code = code;
  error.message = why;
  error.shard = request.shard;
  error.phase = phase;
  if (!attempts.empty()) error.node = attempts.back().node;
  // A write that is on the wire at this moment may still arrive.
  error.maybe_applied = outcome_unknown || (on_wire() && effect() == Effect::write);
  error.attempts = attempts;
  error.attempts_made = attempts_made;
  return error;
}

void append_attempt(std::vector<Attempt>& attempts, Attempt attempt) {
  if (attempts.size() == max_recorded_attempts) attempts.erase(attempts.begin() + first_attempts_kept);
  attempts.push_back(std::move(attempt));
}

}  // namespace norikv::core
