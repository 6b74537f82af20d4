#include <algorithm>
#include <unordered_set>
#include <utility>

#include "core/session.hpp"

// From an operation to a request: which node is asked, and when.
namespace norikv::core {
namespace {

/// How long an attempt may take that can be repeated. A crowd of requests to one node gets up to three times as long,
/// one more than the other: if the node hangs they run out of time one after the other, and not all in one moment that
/// the requests to other nodes have to wait for.
Duration attempt_time(const ClientOptions& options, std::size_t on_wire) {
  constexpr std::size_t crowd = 64;
  const Duration time = options.retry.attempt_timeout;
  if (on_wire <= crowd) return time;
  const auto limit = static_cast<Duration::rep>(options.limits.in_flight_per_node);
  return time + 2 * time / limit * static_cast<Duration::rep>(on_wire - crowd);
}

}  // namespace

void Session::route(RequestOp& op, TimePoint now) {
  timers_.cancel(op.wake_timer);
  if (op.twice_on_wire()) return;
  if (!may_send(op.refused_token, now)) return await_token(op, now);
  const std::uint32_t shard = op.request.shard;
  const std::optional<std::size_t> leader = router_.leader(shard);
  std::optional<std::size_t> preferred = std::exchange(op.prefer, std::nullopt);
  if (preferred && !cluster_.present(*preferred)) preferred.reset();
  // A repeated write goes where its idempotency key may be known, past a new leader even.
  if (preferred && op.effect() == Effect::write) return send(op, *preferred, now);
  if (leader && cluster_.leader_is_confirmed(shard)) return send(op, *leader, now);
  // A leader that is only hinted at, or whose node is down, is tried by those who got the hint and by the search, not
  // by everybody; and not by those whom it has just refused.
  if (op.hinted && cluster_.present(*op.hinted)) return send(op, *op.hinted, now);
  const bool may_try = op.probing || !op.wants_leader;
  if (leader && may_try && !op.refused_by(*leader) && takes(op, *leader, now)) return send(op, *leader, now);
  if (preferred && router_.breaker_state(*preferred) == Breaker::State::closed) return send(op, *preferred, now);
  if (!may_try) return await_leader(op, now);
  std::size_t next = router_.next(shard, op.rotation, now);
  while (!takes(op, next, now) && !router_.round_over(op.rotation, now)) next = router_.next(shard, op.rotation, now);
  // A new round waits for its pause if it began only because all others are unfit.
  if (!takes(op, next, now) || op.refused_by(next)) {
    if (const std::optional<TimePoint> again = next_round(op, now)) return pause(op, *again);
  }
  send(op, next, now);
}

/// Whether there is no reason to pass the node by: it is asked already, is full, or has asked for time.
bool Session::takes(const RequestOp& op, std::size_t node, TimePoint now) const {
  return !asks(op, node) && has_place(node) && op.not_before(node) <= now;
}

/// When an operation that found nobody more to ask in this round begins the next one: after a pause if a node takes it,
/// or once one does that has asked for time. None if all are full or asked already: it waits for one of them.
std::optional<TimePoint> Session::next_round(RequestOp& op, TimePoint now) {
  std::optional<TimePoint> earliest;
  for (const std::size_t node : router_.candidates(now)) {
    if (asks(op, node) || !has_place(node)) continue;
    const TimePoint wished = op.not_before(node);
    const TimePoint at = wished > now ? wished : op.after_round(options_.retry.not_leader, now, random_.unit());
    earliest = earliest ? std::min(*earliest, at) : at;
  }
  return earliest;
}

bool Session::asks(const RequestOp& op, std::size_t node) const {
  const auto at = [&](CallId call) { return call != CallId{} && calls_.at(call).node == node; };
  return at(op.call) || at(op.second_call);
}

void Session::send(RequestOp& op, std::size_t node, TimePoint now) {
  const Request& request = op.request;
  // Out of time: its timer is due and ends it. Not done here, where it would start the next one's probe, and so on down
  // the queue.
  if (request.deadline <= now) return;
  if (asks(op, node)) return;  // the answer to come says how to go on
  if (!may_send(op.refused_token, now)) return await_token(op, now);
  leave_queue(op);  // it waits for one node at a time: a search that goes on may have waited for another one
  const bool writes = op.effect() == Effect::write;
  TimePoint earliest = op.not_before(node);
  if (writes) earliest = std::max(earliest, lanes_.next_send(request.lane()));
  if (now < earliest) return pause(op, earliest);
  const bool has_turn = op.has_turn_at == node || nodes_[node].queue.empty();
  if (!has_turn || !has_place(node)) {
    op.phase = Phase::queued;
    op.queued_at = node;
    nodes_[node].queue.push_back({request.id, request.shard});
    if (observable) count_queue(node);
    return start_queued(node, now);
  }
  if (writes) lanes_.sent(request.lane(), now);
  launch(op, node, std::exchange(op.reason, AttemptReason::first), now);
  schedule_second(op, now);
}

void Session::pause(RequestOp& op, TimePoint until) {
  if (!op.on_wire()) op.phase = Phase::backing_off;
  timers_.cancel(op.wake_timer);
  op.wake_timer = timers_.schedule(until, {TimerKind::operation_wake, static_cast<std::uint64_t>(op.request.id)});
}

// Counted for each operation: here, so that it is inlined.
inline void Session::count_sent(const CallRecord& call) {
  const Node& node = nodes_[call.node];
  node.counters->attempts.add();
  node.counters->in_flight.set(node.on_wire);
}

void Session::launch(RequestOp& op, std::size_t node, AttemptReason reason, TimePoint now) {
  const Request& request = op.request;
  Call call;
  call.id = CallId{next_call_++};
  call.address = cluster_.address(node);
  call.method = op.step.method;
  call.payload = op.step.payload;
  call.deadline = request.deadline;
  if (op.repeatable()) call.deadline = std::min(call.deadline, now + attempt_time(options_, nodes_[node].on_wire));
  const Dialect dialect = nodes_[node].dialect;
  if (op.effect() == Effect::read) {
    call.suffix = wire::encode_consistency(request.consistency_text ? std::string_view{*request.consistency_text}
                                                                    : consistency_text(request.consistency, dialect),
                                           op.step.method);
  }
  if (observable && request.trace) {
    call.metadata.emplace_back("traceparent", request.trace->traceparent);
    if (!request.trace->tracestate.empty()) call.metadata.emplace_back("tracestate", request.trace->tracestate);
  }
  // A hint after the last node of a round begins no new one.
  const auto in_round = [&] { return op.rotation.asked.empty() || !router_.round_over(op.rotation, now); };
  if (op.asks_around() || (op.probing && in_round())) router_.count_in(node, op.rotation, now);
  const std::uint64_t token = add_token(call.metadata, now);
  op.phase = Phase::sent;
  op.node = node;
  op.hinted.reset();
  op.add_call(call.id);
  CallRecord& record = calls_
                           .emplace(call.id, CallRecord{request.id, node, request.shard, request.lane(), call.method,
                                                        dialect, ++op.launched, false, false, false, now, token})
                           .first->second;
  ++nodes_[node].on_wire;
  if (Breaker& breaker = router_.breaker(node); breaker.state() != Breaker::State::closed) {
    // What waits for its answer for as long as the operation has time does not keep others from trying.
    record.trial = op.repeatable();
    if (record.trial) ++nodes_[node].trials;
    breaker.on_sent(now);
    count_breaker(node);
  }
  if (observable) count_sent(record);
  if (observed()) observe_attempt(op, record, reason);
  counters_.attempts.add();
  if (op.attempts_made > 0 || op.twice_on_wire()) counters_.retries.add();
  actions_.emplace_back(std::move(call));
}

// --- a second request beside the first ---

void Session::schedule_second(RequestOp& op, TimePoint now) {
  timers_.cancel(op.second_timer);
  const bool hedged = op.effect() == Effect::read && !op.wants_leader;
  const Duration after = op.probing ? options_.retry.join_probe_after : options_.retry.hedge_after;
  if ((!op.probing && !hedged) || op.twice_on_wire() || after <= Duration{0}) return;
  op.second_timer =
      timers_.schedule(now + after, {TimerKind::operation_second, static_cast<std::uint64_t>(op.request.id)});
}

void Session::send_second(RequestOp& op, TimePoint now) {
  if (!op.on_wire() || op.twice_on_wire() || op.request.deadline <= now || !may_send(op.refused_token, now)) return;
  if (op.probing) {
    const std::size_t node = router_.next(op.request.shard, op.rotation, now);
    if (!takes(op, node, now)) return;
    counters_.joined_probes.add();
    return launch(op, node, AttemptReason::joined, now);
  }
  const std::optional<std::size_t> node = router_.other_replica(op.request.shard, *op.node, now);
  if (!node || !has_place(*node) || now < op.not_before(*node) || !budget_.try_take(now)) return;
  counters_.hedges.add();
  launch(op, *node, AttemptReason::hedge, now);
}

// --- a node's places ---

bool Session::has_place(std::size_t index) const {
  const Node& node = nodes_[index];
  if (node.on_wire + node.settling.size() >= options_.limits.in_flight_per_node) return false;
  // A node that does not answer is asked by as many as it took to notice; when one of them gets an answer the others
  // follow. All of them would run out of time together, and again.
  return router_.breaker_state(index) == Breaker::State::closed || node.trials < options_.retry.breaker.failures;
}

void Session::start_queued(std::size_t index, TimePoint now) {
  if (failing_all_) return;
  std::deque<TimePoint>& settling = nodes_[index].settling;
  while (!settling.empty() && settling.front() <= now) settling.pop_front();
  timers_.cancel(nodes_[index].slot_timer);
  if (nodes_[index].queue.empty()) return;  // nearly always
  while (!nodes_[index].queue.empty() && has_place(index)) {
    const OpId id = nodes_[index].queue.front().id;
    nodes_[index].queue.pop_front();
    RequestOp* op = find(id);
    if (op == nullptr) continue;
    op->queued_at.reset();
    op->has_turn_at = index;
    route(*op, now);  // to this node, or wherever its shard's leader is by now
    op = find(id);
    if (op != nullptr) op->has_turn_at.reset();
  }
  if (observable) count_queue(index);
  Node& node = nodes_[index];
  if (!node.queue.empty() && !node.settling.empty())
    node.slot_timer = timers_.schedule(node.settling.front(), {TimerKind::node_slot, index});
}

void Session::leave_queue(RequestOp& op) {
  if (!op.queued_at) return;
  const std::size_t node = *std::exchange(op.queued_at, std::nullopt);
  take_out(nodes_[node].queue, op.request.id, &Queued::id);
  if (observable) count_queue(node);
}

void Session::reroute_queued(const ClusterState::Change& change, TimePoint now) {
  if (std::ranges::all_of(nodes_, [](const Node& node) { return node.queue.empty(); })) return;
  std::unordered_set<std::uint32_t> moved;
  for (const LeaderChange& leader : change.leaders) moved.insert(leader.shard);
  std::vector<OpId> ids;
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    std::erase_if(nodes_[node].queue, [&](const Queued& queued) {
      if (!moved.contains(queued.shard)) return false;
      ids.push_back(queued.id);
      return true;
    });
    if (observable) count_queue(node);
  }
  for (const OpId id : ids) find(id)->queued_at.reset();
  for (const OpId id : ids) {
    if (RequestOp* op = find(id)) route(*op, now);
  }
}

// --- requests to a node that does not lead any more ---

void Session::watch_moved_calls(const ClusterState::Change& change, TimePoint now) {
  for (const LeaderChange& leader : change.leaders) {
    if (leader.after.empty()) continue;
    for (const RequestOp* op = operations_of(leader.shard); op != nullptr; op = op->behind) {
      for (const CallId id : {op->call, op->second_call}) {
        if (id == CallId{}) continue;
        CallRecord& call = calls_.at(id);
        if (call.given_up) continue;
        timers_.cancel(call.moved_timer);
        if (cluster_.leader(call.shard) != static_cast<std::int32_t>(call.node)) watch_moved_call(id, now);
      }
    }
  }
}

void Session::watch_moved_call(CallId id, TimePoint now) {
  calls_.at(id).moved_timer =
      timers_.schedule(now + options_.retry.moved_patience, {TimerKind::moved_leader, static_cast<std::uint64_t>(id)});
}

void Session::give_up_moved(CallId id, TimePoint now) {
  const auto found = calls_.find(id);
  if (found == calls_.end() || !found->second.operation) return;
  const RequestOp& op = *find(*found->second.operation);
  const std::int32_t leader = cluster_.leader(found->second.shard);
  const bool moved = leader >= 0 && leader != static_cast<std::int32_t>(found->second.node);
  if (!moved || !op.repeatable() || !op.wants_leader) return;
  if (op.twice_on_wire())
    return watch_moved_call(id, now);  // the other one may bring the answer, or leave it to this one
  counters_.moved_attempts.add();
  found->second.given_up = true;  // the operation goes on when it has come home
  actions_.emplace_back(CancelCall{id});
}

void Session::make_ghost(RequestOp& op, CallId id) {
  CallRecord& call = calls_.at(id);
  call.operation.reset();
  timers_.cancel(call.moved_timer);
  if (observable) count_given_up(call);
  op.drop_call(id);
  if (!std::exchange(call.given_up, true)) actions_.emplace_back(CancelCall{id});
}

}  // namespace norikv::core
