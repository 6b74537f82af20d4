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
      cluster_(options.nodes, options.total_shards, options.address_translator),
      router_(cluster_, options.retry.breaker),
      lanes_(options.writes, &memory_),
      budget_(options.retry.budget),
      tokens_(options.tokens),
      by_shard_(options.total_shards),
      nodes_(cluster_.slot_count()),
      observed_(options.observer != nullptr) {
  if (!options.connection.watch_topology) return;
  for (Node& node : nodes_) node.watch.emplace(Watch{WatchOp{options_.connection}, {}, {}, false});
}

void Session::start(TimePoint now) {
  started_ = true;
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (nodes_[node].watch) carry_out(node, nodes_[node].watch->op.start(now), {}, now);
  }
}

void Session::submit(Request request, Callback callback, TimePoint now) {
  const OpId id = request.id;
  RequestOp& op = add(std::move(request), std::move(callback), RequestOp::Origin::user);
  op.wants_leader = !op.asks_around() && (op.uses_lane() || needs_leader(op.request.consistency));
  op.generation = first_generation_ + generations_.size() - 1;
  ++generations_.back().live;
  if (observed()) observe_start(op, now);
  if (closing_) return fail(id, ErrorCode::closed, "the client is closed; the operation ended", now);

  counters_.submitted.add();
  if (op.request.deadline <= now) return fail(id, ErrorCode::deadline_exceeded, "out of time", now);
  op.deadline_timer = timers_.schedule(op.request.deadline, {TimerKind::operation_deadline, number(id)});
  if (!op.uses_lane()) return route(op, now);

  const bool may_go = !locks_key(op) || key_locks_.acquire(op.request.conditional->key, id);
  if (may_go) enter_lane(op, now);
}

std::uint64_t Session::wait_ready(Need need, TimePoint deadline, ReadyCallback callback) {
  const std::uint64_t id = next_ready_++;
  ReadyWaiter& waiter = ready_[id];
  waiter.need = need;
  waiter.callback = std::move(callback);
  if (closing_) {
    end_ready(id, tl::make_unexpected(ready_error(ErrorCode::closed, "the client is closed")));
    return id;
  }
  waiter.timer = timers_.schedule(deadline, {TimerKind::ready_deadline, id});
  check_ready();
  return id;
}

void Session::cancel_wait(std::uint64_t id) {
  end_ready(id, tl::make_unexpected(ready_error(ErrorCode::cancelled, "cancelled")));
}

void Session::drain(Task callback) {
  if (generations_.size() == 1 && generations_.back().live == 0) {
    return defer(std::move(callback));
  }
  generations_.back().barriers.push_back(std::move(callback));
  generations_.emplace_back();
}

void Session::refuse(Callback callback, Error error, OperationKind kind, TimePoint now) {
  counters_.failed.add();
  if (observed()) {
    OperationEnd end;
    end.kind = kind;
    end.error = error.code;
    end.at = now;
    deliveries_.emplace_back(Observation{std::move(end)});
  }
  if (error.code == ErrorCode::overloaded) counters_.overloaded.add();
  if (error.code == ErrorCode::cancelled) counters_.cancelled.add();
  deliveries_.emplace_back(Completion{std::move(callback), tl::make_unexpected(std::move(error)), std::nullopt});
}

void Session::advance_to(TimePoint now) {
  while (const std::optional<TimerToken> token = timers_.take_due(now)) on_timer(*token, now);
  release_confirmed(now);
}

void Session::close(Duration grace, TimePoint now) {
  if (!std::exchange(closing_, true)) {
    for (Node& node : nodes_) {
      timers_.cancel(node.view_timer);
      if (!node.watch) continue;
      timers_.cancel(node.watch->timer);
      node.watch->awaits_token = false;
      if (node.watch->stream) actions_.emplace_back(CancelWatch{*node.watch->stream});
    }
    while (!ready_.empty())
      end_ready(ready_.begin()->first, tl::make_unexpected(ready_error(ErrorCode::closed, "the client was closed")));
    watch_token_source(now);
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

Session::Held Session::held() const {
  std::size_t queued = 0;
  for (const Node& node : nodes_) queued += node.queue.size();
  return {operations_.size(), calls_.size(), discoveries_.size(), timers_.size(),
          collisions_.size(), queued,        key_locks_.size()};
}

RequestOp* Session::find(OpId id) {
  const auto found = operations_.find(id);
  return found == operations_.end() ? nullptr : &found->second;
}

RequestOp& Session::add(Request request, Callback callback, RequestOp::Origin origin) {
  const OpId id = request.id;
  RequestOp& op = operations_.try_emplace(id, std::move(request), std::move(callback), origin).first->second;
  RequestOp*& first = by_shard_[op.request.shard];
  op.behind = std::exchange(first, &op);
  if (op.behind != nullptr) op.behind->before = &op;
  return op;
}

void Session::finish(OpId id, Outcome outcome, TimePoint now) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  const auto node = operations_.extract(found);
  RequestOp& op = node.mapped();
  (op.before != nullptr ? op.before->behind : by_shard_[op.request.shard]) = op.behind;
  if (op.behind != nullptr) op.behind->before = op.before;
  timers_.cancel(op.deadline_timer);
  timers_.cancel(op.wake_timer);
  timers_.cancel(op.second_timer);
  leave_discovery(op);
  leave_queue(op);
  leave_token_waiters(op, now);

  const std::uint32_t shard = op.request.shard;
  const std::uint32_t lane = op.request.lane();
  const bool writing = op.on_wire() && op.effect() == Effect::write;
  drop_calls(op, outcome ? ErrorCode::cancelled : outcome.error().code, now);
  if (observed()) observe_end(op, outcome, now);
  if (op.in_lane && !writing) {
    release_lane(lane, op.last_outcome_unknown, now);
  } else if (op.uses_lane() && !op.in_lane) {
    lanes_.abandon(lane, id);
    start_from_lane(lane, now);  // nobody may be left to wake up for
  }
  if (locks_key(op) && !writing) {
    const bool unknown = op.last_outcome_unknown;
    leave_key(op.request.conditional->key, id, unknown ? ShardLanes::Leave::settle : ShardLanes::Leave::at_once, now);
  }
  settle_discovery(shard, now);
  if (op.internal) return;

  count(op, outcome, now);
  deliveries_.emplace_back(Completion{std::move(op.callback), std::move(outcome), op.request.ticket});
  leave_generation(op.generation);
}

// Requests stay on the wire as ghosts; a write keeps its place in the lane, and its key, until it has come home.
void Session::drop_calls(RequestOp& op, ErrorCode why, TimePoint now) {
  while (op.on_wire()) {
    CallRecord& call = calls_.at(op.call);
    if (observed()) observe_attempt_end(op, call, why, now);
    if (effect_of(call.method) == Effect::write) {
      call.in_lane = op.in_lane;
      if (locks_key(op)) call.key_lock = std::make_shared<KeyLock>(KeyLock{op.request.conditional->key, op.request.id});
    }
    make_ghost(op, op.call);
  }
}

void Session::fail(OpId id, ErrorCode code, std::string_view why, TimePoint now) {
  RequestOp* op = find(id);
  if (op == nullptr) return;
  std::vector<CallRecord> unanswered;
  for (const CallId call : {op->call, op->second_call}) {
    if (call == CallId{}) continue;
    unanswered.push_back(calls_.at(call));
    record_attempt(*op, unanswered.back(), code, "no answer yet", now);
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
  if (code != ErrorCode::deadline_exceeded) return;
  for (const CallRecord& call : unanswered) {
    count_node_failure(call.node, now);
    on_silence(call, now);
  }
}

void Session::count(const RequestOp& op, const Outcome& outcome, TimePoint now) {
  if (outcome) {
    counters_.succeeded.add();
    (op.request.effect() == Effect::read ? counters_.reads : counters_.writes).record(now - op.request.submitted);
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

void Session::run_out_of_time(OpId id, TimePoint now) {
  std::string why = "out of time";
  const RequestOp* const op = find(id);
  if (op != nullptr && op->awaits_token && !tokens_.failure().empty()) why += "; " + tokens_.failure();
  fail(id, ErrorCode::deadline_exceeded, why, now);
}

void Session::on_timer(const TimerToken& token, TimePoint now) {
  switch (token.kind) {
    case TimerKind::operation_deadline:
      return run_out_of_time(OpId{token.subject}, now);
    case TimerKind::operation_wake:
      if (RequestOp* op = find(OpId{token.subject})) {
        op->pause_is_over();
        route(*op, now);
      }
      return;
    case TimerKind::lane:
      return start_from_lane(static_cast<std::uint32_t>(token.subject), now);
    case TimerKind::key:
      return on_key_settled(OpId{token.subject}, now);
    case TimerKind::operation_second:
      if (RequestOp* op = find(OpId{token.subject})) send_second(*op, now);
      return;
    case TimerKind::moved_leader:
      return give_up_moved(CallId{token.subject}, now);
    case TimerKind::node_slot:
      return start_queued(token.subject, now);
    case TimerKind::view:
      return on_news_of(token.subject, cluster_.on_next_slice(token.subject), now);
    case TimerKind::watch:
      return carry_out(token.subject, nodes_[token.subject].watch->op.on_timer(now, random_.unit()), {}, now);
    case TimerKind::ready_deadline:
      return end_ready(token.subject, tl::make_unexpected(ready_error(ErrorCode::deadline_exceeded, why_not_ready())));
    case TimerKind::token:
      return on_token_timer(now);
    case TimerKind::close_grace:
      return fail_all(now);
  }
}

void Session::enter_lane(RequestOp& op, TimePoint now) {
  const OpId id = op.request.id;
  const std::uint32_t lane = op.request.lane();
  switch (lanes_.enter(lane, id, op.request.deadline, now, op.request.share())) {
    case ShardLanes::Entry::started:
      op.in_lane = true;
      return route(op, now);
    case ShardLanes::Entry::queued:
      return start_from_lane(lane, now);
    case ShardLanes::Entry::full:
      return fail(id, ErrorCode::overloaded, "too many writes wait for this shard (WriteOptions::queued_per_shard)",
                  now);
    case ShardLanes::Entry::too_late:
      return fail(id, ErrorCode::overloaded, "the writes that wait for this shard would outlast the operation's time",
                  now);
  }
}

void Session::start_from_lane(std::uint32_t lane, TimePoint now) {
  if (failing_all_) return;
  for (const OpId id : lanes_.take_ready(lane, now)) {
    RequestOp* op = find(id);
    if (op == nullptr) continue;
    op->in_lane = true;
    route(*op, now);
  }
  const std::optional<TimePoint> next = lanes_.next_ready(lane);
  const auto timer = lane_timers_.find(lane);
  if (timer != lane_timers_.end()) {
    timers_.cancel(timer->second);
    lane_timers_.erase(timer);
  }
  if (next) lane_timers_.emplace(lane, timers_.schedule(*next, {TimerKind::lane, lane}));
}

void Session::release_lane(std::uint32_t lane, bool outcome_unknown, TimePoint now) {
  if (outcome_unknown && !lanes_.lifted()) counters_.lanes_settling.add();
  lanes_.leave(lane, outcome_unknown ? ShardLanes::Leave::settle : ShardLanes::Leave::at_once, now);
  start_from_lane(lane, now);
}

void Session::fail_all(TimePoint now) {
  failing_all_ = true;
  std::vector<OpId> ids;
  ids.reserve(operations_.size());
  for (const auto& [id, op] : operations_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());  // in the order of submission
  for (const OpId id : ids) fail(id, ErrorCode::closed, "the client was closed", now);
  discoveries_.clear();
  for (Node& node : nodes_) timers_.cancel(node.slot_timer);
  for (auto& [shard, timer] : lane_timers_) timers_.cancel(timer);
  lane_timers_.clear();
  for (auto& [holder, settling] : settling_keys_) {
    timers_.cancel(settling.timer);
    static_cast<void>(key_locks_.leave(settling.key, holder));
  }
  settling_keys_.clear();
}

}  // namespace norikv::core
