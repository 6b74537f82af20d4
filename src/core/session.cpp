#include "core/session.hpp"

#include <algorithm>
#include <utility>

namespace norikv::core {
namespace {

std::uint64_t number(OpId id) { return static_cast<std::uint64_t>(id); }

Error ready_error(ErrorCode code, std::string_view message) {
  Error error;
  error.code = code;
  error.message = message;
  return error;
}

}  // namespace

Session::Session(const ClientOptions& options, std::uint64_t seed)
    : options_(options),
      random_(seed),
      cluster_(options.nodes, options.total_shards),
      router_(cluster_),
      lanes_(options.writes),
      dialects_(options.nodes.size(), Dialect::server),
      silent_calls_(options.nodes.size(), 0) {
  if (!options.connection.watch_topology) return;
  watches_.reserve(options.nodes.size());
  for (std::size_t node = 0; node < options.nodes.size(); ++node)
    watches_.push_back({WatchOp{options.connection}, {}, {}, false});
}

void Session::start(TimePoint now) {
  for (std::size_t node = 0; node < watches_.size(); ++node) carry_out(node, watches_[node].op.start(now), {}, now);
}

void Session::submit(Request request, Callback callback, TimePoint now) {
  const OpId id = request.id;
  const std::uint32_t shard = request.shard;
  auto owned = std::make_unique<RequestOp>(std::move(request), std::move(callback), RequestOp::Origin::user);
  RequestOp& op = *owned;
  op.wants_leader = op.request.effect() == Effect::write || needs_leader(op.request.consistency);
  op.generation = first_generation_ + generations_.size() - 1;
  ++generations_.back().live;
  operations_.emplace(id, std::move(owned));
  if (closing_) return fail(id, ErrorCode::closed, "the client is closed; the operation ended", now);

  counters_.submitted.add();
  if (op.request.deadline <= now) return fail(id, ErrorCode::deadline_exceeded, "out of time", now);
  op.deadline_timer = timers_.schedule(op.request.deadline, {TimerKind::operation_deadline, number(id)});
  if (op.is_read()) return route(op, now);

  switch (lanes_.enter(shard, id, op.request.deadline, now)) {
    case ShardLanes::Entry::started:
      op.in_lane = true;
      return route(op, now);
    case ShardLanes::Entry::queued:
      return start_from_lane(shard, now);
    case ShardLanes::Entry::full:
      return fail(id, ErrorCode::overloaded, "too many writes wait for this shard (WriteOptions::queued_per_shard)",
                  now);
    case ShardLanes::Entry::too_late:
      return fail(id, ErrorCode::overloaded, "the writes that wait for this shard would outlast the operation's time",
                  now);
  }
}

void Session::wait_ready(Need need, TimePoint deadline, ReadyCallback callback) {
  const std::uint64_t id = next_ready_++;
  ReadyWaiter& waiter = ready_[id];
  waiter.need = need;
  waiter.callback = std::move(callback);
  if (closing_) return end_ready(id, tl::make_unexpected(ready_error(ErrorCode::closed, "the client is closed")));
  waiter.timer = timers_.schedule(deadline, {TimerKind::ready_deadline, id});
  check_ready();
}

void Session::drain(Task callback) {
  if (generations_.size() == 1 && generations_.back().live == 0) {
    return defer(std::move(callback));
  }
  generations_.back().barriers.push_back(std::move(callback));
  generations_.emplace_back();
}

void Session::refuse(Callback callback, Error error) {
  counters_.failed.add();
  if (error.code == ErrorCode::overloaded) counters_.overloaded.add();
  deliveries_.emplace_back(Completion{std::move(callback), tl::make_unexpected(std::move(error)), std::nullopt});
}

void Session::advance_to(TimePoint now) {
  while (const std::optional<TimerToken> token = timers_.take_due(now)) on_timer(*token, now);
}

void Session::close(Duration grace, TimePoint now) {
  if (!std::exchange(closing_, true)) {
    for (Watch& watch : watches_) {
      timers_.cancel(watch.timer);
      if (watch.stream) actions_.emplace_back(CancelWatch{*watch.stream});
    }
    while (!ready_.empty())
      end_ready(ready_.begin()->first, tl::make_unexpected(ready_error(ErrorCode::closed, "the client was closed")));
    grace_ends_ = now + grace;
  } else if (now + grace >= grace_ends_) {
    return;  // the shortest grace counts
  }
  grace_ends_ = now + grace;
  timers_.cancel(grace_timer_);
  if (grace <= Duration{0}) return fail_all(now);
  grace_timer_ = timers_.schedule(grace_ends_, {TimerKind::close_grace, 0});
}

bool Session::busy() const {
  return !operations_.empty() || !ready_.empty() || !deliveries_.empty() || generations_.size() > 1;
}

RequestOp* Session::find(OpId id) {
  const auto found = operations_.find(id);
  return found == operations_.end() ? nullptr : found->second.get();
}

void Session::finish(OpId id, Outcome outcome, TimePoint now) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  const std::unique_ptr<RequestOp> op = std::move(found->second);
  operations_.erase(found);
  timers_.cancel(op->deadline_timer);
  timers_.cancel(op->wake_timer);
  leave_discovery(*op);

  const std::uint32_t shard = op->request.shard;
  if (op->call != CallId{}) {
    // The request stays on the wire as a ghost, and keeps its place in the lane until it has come home.
    CallRecord& ghost = calls_.at(op->call);
    ghost.operation.reset();
    ghost.in_lane = op->in_lane;
    actions_.emplace_back(CancelCall{op->call});
  } else if (op->in_lane) {
    release_lane(shard, op->last_outcome_unknown, now);
  } else if (!op->is_read()) {
    lanes_.abandon(shard, id);
    start_from_lane(shard, now);  // nobody may be left to wake up for
  }
  settle_discovery(shard, now);
  if (op->internal) return;

  count(*op, outcome, now);
  deliveries_.emplace_back(Completion{std::move(op->callback), std::move(outcome), op->request.bytes});
  leave_generation(op->generation);
}

void Session::fail(OpId id, ErrorCode code, std::string_view why, TimePoint now) {
  RequestOp* op = find(id);
  if (op == nullptr) return;
  std::optional<CallRecord> unanswered;
  if (op->call != CallId{}) {
    unanswered = calls_.at(op->call);
    op->record_attempt(cluster_.address(unanswered->node), code, "no answer yet", now - unanswered->started);
  }
  Error error = op->ended(code, why);
  const auto discovery = discoveries_.find(op->request.shard);
  if (op->phase == Phase::awaiting_leader && discovery != discoveries_.end()) {
    // What the search met explains the wait.
    for (const Attempt& attempt : discovery->second.attempts) append_attempt(error.attempts, attempt);
    error.attempts_made += discovery->second.attempts_made;
    if (error.node.empty() && !error.attempts.empty()) error.node = error.attempts.back().node;
  }
  finish(id, tl::make_unexpected(std::move(error)), now);
  if (unanswered && code == ErrorCode::deadline_exceeded) on_silence(*unanswered, now);
}

void Session::count(const RequestOp& op, const Outcome& outcome, TimePoint now) {
  if (outcome) {
    counters_.succeeded.add();
    (op.is_read() ? counters_.reads : counters_.writes).record(now - op.request.submitted);
    return;
  }
  counters_.failed.add();
  if (outcome.error().code == ErrorCode::overloaded) counters_.overloaded.add();
  if (outcome.error().code == ErrorCode::cancelled) counters_.cancelled.add();
  if (outcome.error().code == ErrorCode::deadline_exceeded) counters_.deadline_exceeded.add();
  if (outcome.error().maybe_applied) counters_.maybe_applied.add();
}

void Session::leave_generation(std::uint64_t generation) {
  --generations_[generation - first_generation_].live;
  while (generations_.size() > 1 && generations_.front().live == 0) {
    for (Task& barrier : generations_.front().barriers) defer(std::move(barrier));
    generations_.pop_front();
    ++first_generation_;
  }
}

void Session::on_timer(const TimerToken& token, TimePoint now) {
  switch (token.kind) {
    case TimerKind::operation_deadline:
      return fail(OpId{token.subject}, ErrorCode::deadline_exceeded, "out of time", now);
    case TimerKind::operation_wake:
      if (RequestOp* op = find(OpId{token.subject})) route(*op, now);
      return;
    case TimerKind::lane:
      return start_from_lane(static_cast<std::uint32_t>(token.subject), now);
    case TimerKind::watch:
      return carry_out(token.subject, watches_[token.subject].op.on_timer(now), {}, now);
    case TimerKind::ready_deadline:
      return end_ready(token.subject, tl::make_unexpected(ready_error(ErrorCode::deadline_exceeded,
                                                                      "not enough nodes answered in time")));
    case TimerKind::close_grace:
      return fail_all(now);
  }
}

void Session::start_from_lane(std::uint32_t shard, TimePoint now) {
  if (failing_all_) return;
  for (const OpId id : lanes_.take_ready(shard, now)) {
    RequestOp* op = find(id);
    if (op == nullptr) continue;
    op->in_lane = true;
    route(*op, now);
  }
  const std::optional<TimePoint> next = lanes_.next_ready(shard);
  const auto timer = lane_timers_.find(shard);
  if (timer != lane_timers_.end()) {
    timers_.cancel(timer->second);
    lane_timers_.erase(timer);
  }
  if (next) lane_timers_.emplace(shard, timers_.schedule(*next, {TimerKind::lane, shard}));
}

void Session::release_lane(std::uint32_t shard, bool outcome_unknown, TimePoint now) {
  if (outcome_unknown && !lanes_.lifted()) counters_.lanes_settling.add();
  lanes_.leave(shard, outcome_unknown ? ShardLanes::Leave::settle : ShardLanes::Leave::at_once, now);
  start_from_lane(shard, now);
}

void Session::fail_all(TimePoint now) {
  failing_all_ = true;
  std::vector<OpId> ids;
  ids.reserve(operations_.size());
  for (const auto& [id, op] : operations_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());  // in the order of submission
  for (const OpId id : ids) fail(id, ErrorCode::closed, "the client was closed", now);
  discoveries_.clear();
  for (auto& [shard, timer] : lane_timers_) timers_.cancel(timer);
  lane_timers_.clear();
}

}  // namespace norikv::core
