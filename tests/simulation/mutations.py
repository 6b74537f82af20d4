"""The client, broken on purpose: one change of src/core per line of the design, which the simulation has to notice.

`find` is found exactly once in its file; `replacement` takes its place where the mutation is active. Both are
expressions, or with `statement=True` one or more statements. docs/simulation.md tells what each one breaks.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    name: str  # what the broken client does
    policy: str  # of the design
    file: str  # in src/core
    find: str
    replacement: str
    statement: bool = False


MUTATIONS = [
    Mutation("a completion is dropped", "one exit", "session.cpp",
             "deliveries_.emplace_back(Completion{std::move(op->callback), std::move(outcome), op->request.ticket});",
             "if (random_.below(20) != 0) deliveries_.emplace_back(Completion{std::move(op->callback), std::move(outcome), op->request.ticket});",
             statement=True),
    Mutation("a completion is duplicated", "one exit", "session.cpp",
             "count(*op, outcome, now);",
             "count(*op, outcome, now); if (auto* get = std::get_if<GetCallback>(&op->callback); get != nullptr && random_.below(20) == 0) "
             "{ auto twice = std::make_shared<GetCallback>(std::move(*get)); "
             "*get = [twice](Result<std::optional<Entry>> result) { (*twice)(result); (*twice)(std::move(result)); }; }",
             statement=True),
    Mutation("a lane is released before it has settled", "lane settle", "shard_lanes.cpp",
             "lane.settling.push_back(lane.quiet);", "(void)0;", statement=True),
    Mutation("a lane takes one write more than its limit", "lanes", "shard_lanes.cpp",
             "lifted() || taken < options_.in_flight_per_shard", "lifted() || taken <= options_.in_flight_per_shard"),
    Mutation("a ghost gives its place in the lane away at once", "lanes", "session.cpp",
             "calls_.at(call).in_lane = writing && op->in_lane;",
             "if (writing && op->in_lane) release_lane(lane, false, now);", statement=True),
    Mutation("writes are not spaced on the wire", "write spacing", "shard_lanes.cpp",
             "lanes_[shard].next_send = now + options_.spacing", "lanes_[shard].next_send = now"),
    Mutation("a stale incarnation is believed: a new stream does not begin afresh", "topology", "cluster_state.cpp",
             "std::exchange(nodes_[index].fresh_stream, false)",
             "nodes_[index].view.incarnation == 0 && std::exchange(nodes_[index].fresh_stream, false)"),
    Mutation("a view that was overtaken is news", "topology", "cluster_state.cpp",
             "view.epoch < nodes_[index].view.epoch", "false"),
    Mutation("what a stream that ended had claimed is kept", "topology", "cluster_state.cpp",
             "if (first) forget_unconfirmed(index, now, change);", "(void)now;", statement=True),
    Mutation("the generation does not grow", "topology", "cluster_state.cpp",
             "(counts ? 1 : 0)", "0"),
    Mutation("what was sent is taken for not sent", "was it sent", "status_policy.cpp",
             "reply.sent == Sent::unknown", "reply.sent == Sent::unknown && reply.message != \"connection reset\""),
    Mutation("what was not sent is taken for sent", "was it sent", "status_policy.cpp",
             "verdict_of(Failure::unavailable, late ? ErrorCode::deadline_exceeded : ErrorCode::unavailable, false, false)",
             "verdict_of(Failure::unavailable, late ? ErrorCode::deadline_exceeded : ErrorCode::unavailable, true, false)"),
    Mutation("the known leader is not asked first", "routing", "session_routing.cpp",
             "if (leader && may_try) return send(op, *leader, now);",
             "if (leader && may_try) return send(op, router_.next(shard, op.rotation, now), now);", statement=True),
    Mutation("everybody looks for the leader", "single-flight discovery", "session_routing.cpp",
             "if (op.probing || !op.wants_leader) return send(op, router_.next(shard, op.rotation, now), now);",
             "return send(op, router_.next(shard, op.rotation, now), now);", statement=True),
    Mutation("who waits for a leader is not released", "single-flight discovery", "session_discovery.cpp",
             "if (cluster_.leader_is_confirmed(shard)) return release_waiters(shard, now);",
             "if (cluster_.leader_is_confirmed(shard) && discovery.waiters.empty()) return release_waiters(shard, now);",
             statement=True),
    Mutation("NOT_LEADER ends the operation", "NOT_LEADER", "request_op.cpp",
             "if (round_goes_on || (!searches && refusals_ == 1)) return go_on;", "return {};", statement=True),
    Mutation("a hint leads back to the node that refused", "hints", "session_replies.cpp",
             "node == call.node || op.refused_by(node)", "node == call.node"),
    Mutation("a refusal does not void the belief in a leader", "NOT_LEADER", "session_replies.cpp",
             "return apply(cluster_.on_refusal(shard, call.node, \"refusal of \" + address, call.started, now), now);",
             "return;", statement=True),
    Mutation("what was not sent is not tried again", "retry class: unavailable", "request_op.cpp",
             "return wait(retry.unavailable, unreachable_ - 1, Duration{0}, situation);", "return {};", statement=True),
    Mutation("a write without key is repeated after an unknown outcome", "retry class: ambiguous", "request_op.cpp",
             "if (!repeatable()) return {};", "(void)0;", statement=True),
    Mutation("what may be repeated is not", "retry class: ambiguous", "request_op.cpp",
             "return wait(backoff, ambiguous_ - 1, std::max(settled, verdict.pause), situation);", "return {};", statement=True),
    Mutation("a repeated write does not wait until its lane has settled", "lane settle", "request_op.cpp",
             "verdict.applied_unknown ? situation.settle : Duration{0}", "Duration{0}"),
    Mutation("a server's pushback is not honoured", "retry class: throttled", "status_policy.cpp",
             "verdict.pause = parse_pushback(reply.metadata);", "(void)0;", statement=True),
    Mutation("a permanent failure is tried again", "retry class: permanent", "status_policy.cpp",
             "return refused(Failure::permanent, ErrorCode::out_of_range);",
             "return refused(Failure::unavailable, ErrorCode::out_of_range);", statement=True),
    Mutation("an attempt is not bounded by attempt_timeout", "budget", "session_routing.cpp",
             "if (op.repeatable()) call.deadline = std::min(call.deadline, now + options_.retry.attempt_timeout);",
             "(void)0;", statement=True),
    Mutation("an attempt may outlast its operation", "deadline", "session_routing.cpp",
             "call.deadline = request.deadline;", "call.deadline = request.deadline + std::chrono::milliseconds{1};", statement=True),
    Mutation("a request starts with a spent budget", "deadline", "session_routing.cpp",
             "if (request.deadline <= now) return;", "(void)0;", statement=True),
    Mutation("a deadline is forgotten", "deadline", "session.cpp",
             "op.deadline_timer = timers_.schedule(op.request.deadline, {TimerKind::operation_deadline, number(id)});",
             "if (id != OpId{7}) op.deadline_timer = timers_.schedule(op.request.deadline + std::chrono::milliseconds{300}, "
             "{TimerKind::operation_deadline, number(id)});", statement=True),
    Mutation("lost writes are not reported", "collision detector", "session_replies.cpp",
             "if (!other) return;", "return;", statement=True),
    Mutation("any two writes are reported as lost", "collision detector", "collision_detector.cpp",
             "overlapped && earlier.node == write.node && earlier.version == write.version", "overlapped"),
    Mutation("a mismatch after an unknown outcome is called definite", "ambiguity in conditional writes", "request_op.cpp",
             "outcome_unknown = outcome_unknown || verdict.applied_unknown;", "outcome_unknown = verdict.applied_unknown;", statement=True),
    Mutation("a write on the wire is said not to be applied", "honest about writes", "request_op.cpp",
             "outcome_unknown || (on_wire() && effect() == Effect::write)", "outcome_unknown"),
    Mutation("lease reads are hedged", "hedging", "session_routing.cpp",
             "op.effect() == Effect::read && !op.wants_leader", "op.effect() == Effect::read"),
    Mutation("an operation that ends gives no place back", "admission", "session.cpp",
             "return fail(id, ErrorCode::deadline_exceeded, \"out of time\", now);", "return;", statement=True),
    Mutation("RESOURCE_EXHAUSTED is called out of range", "status mapping", "status_policy.cpp",
             "uncertain(Failure::throttled, ErrorCode::throttled, effect)", "uncertain(Failure::throttled, ErrorCode::out_of_range, effect)"),
    Mutation("ABORTED means that a write was not applied", "status mapping", "status_policy.cpp",
             "uncertain(Failure::permanent, ErrorCode::aborted, effect)", "refused(Failure::permanent, ErrorCode::aborted)"),
    Mutation("a refused level is not asked for in the other dialect", "dialect", "request_op.cpp",
             "if (request.consistency_text || ++dialects_refused_ == 2) return {};", "return {};", statement=True),
    Mutation("a node's dialect is not remembered, and a level is asked for in a refused one", "dialect", "session_replies.cpp",
             "node.dialect = other(call.dialect);", "(void)0;", statement=True),
    Mutation("a breaker stays open", "breaker", "router.cpp",
             "node >= breakers_.size() || breakers_[node].allows(now)", "node >= breakers_.size() || breakers_[node].state() == Breaker::State::closed"),
    Mutation("retries are not bounded by back-off", "back-off", "request_op.cpp",
             "situation.now + std::max(backoff_delay(backoff, retry, situation.fraction), at_least)", "situation.now + at_least"),
    Mutation("the close forgets who waits", "close", "session.cpp",
             "for (const OpId id : ids) fail(id, ErrorCode::closed, \"the client was closed\", now);",
             "for (const OpId id : ids) { if (find(id)->phase != Phase::backing_off) fail(id, ErrorCode::closed, \"the client was closed\", now); }",
             statement=True),
]
