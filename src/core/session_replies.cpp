#include <algorithm>
#include <utility>

#include "core/grpc_status.hpp"
#include "core/session.hpp"
#include "util/text.hpp"
#include "wire/vectors.hpp"

// What an answer means for the operation, and for what is known about the cluster.
namespace norikv::core {
namespace {

// A name of the leader in a reply's metadata; empty if there is none.
std::string_view leader_hint(const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if ((key == "leader-hint" || key == "x-norikv-leader") && !value.empty()) return value;
  }
  return {};
}

template <class T>
wire::Decoded<Success> as_success(wire::Decoded<T>&& decoded) {
  return std::move(decoded).map([](T&& value) { return Success{std::in_place_type<T>, std::move(value)}; });
}

wire::Decoded<Success> decode(wire::Method method, std::uint32_t shard, std::string&& body) {
  switch (method) {
    case wire::Method::put:
      return as_success(wire::decode_put(body));
    case wire::Method::get:
      return as_success(wire::decode_get(std::move(body)));
    case wire::Method::remove:
      return as_success(wire::decode_remove(body));
    case wire::Method::vector_create_index:
      return as_success(wire::decode_index_created(body));
    case wire::Method::vector_drop_index:
      return as_success(wire::decode_index_dropped(body));
    case wire::Method::vector_insert:
      return as_success(wire::decode_inserted(body));
    case wire::Method::vector_remove:
      return as_success(wire::decode_vector_removed(body));
    case wire::Method::vector_search:
      return as_success(wire::decode_matches(body));
    case wire::Method::vector_get:
      return as_success(wire::decode_vector(body));
    case wire::Method::snapshot_shard:
    case wire::Method::transfer_shard: {
      auto info = wire::decode_shard(body);
      if (info && info->id != shard) return tl::unexpected<std::string>("ShardInfo is about another shard");
      return as_success(std::move(info));
    }
    case wire::Method::watch_cluster:
      break;
  }
  return tl::unexpected<std::string>("there is no such call");
}

// What a read brings back that found nothing.
Success nothing(wire::Method method) {
  if (method == wire::Method::vector_get) return std::optional<std::vector<float>>{};
  return std::optional<Entry>{};
}

// Whether the answer to a write that nobody waits for leaves open what became of it.
bool outcome_unknown(wire::Method method, std::uint32_t shard, Reply& reply) {
  if (reply.status != 0) return classify(reply, method).applied_unknown;
  return !reply.body || !decode(method, shard, std::move(*reply.body));
}

}  // namespace

// Counted for each operation: here, so that it is inlined.
inline void Session::count_come_home(const CallRecord& call) {
  const Node& node = nodes_[call.node];
  node.counters->in_flight.set(node.on_wire);
  if (!call.operation) node.counters->ghosts.set(node.counters->ghosts.value() - 1);
}
inline void Session::count_success(const CallRecord& call, TimePoint now) {
  nodes_[call.node].counters->latency.record(now - call.started);
}

void Session::on_reply(Reply reply, TimePoint now) {
  const auto found = calls_.find(reply.id);
  if (found == calls_.end()) return;
  const auto taken = calls_.extract(found);
  CallRecord& call = taken.mapped();
  timers_.cancel(call.moved_timer);
  Node& node = nodes_[call.node];
  --node.on_wire;
  if (call.trial) --node.trials;
  if (reply.status == 0) tokens_.on_accepted(call.token);
  if (reply.status == grpc_status::unauthenticated) tokens_.on_refused(call.token, now, random_.unit());
  if (observable) count_come_home(call);
  if (RequestOp* op = call.operation ? find(*call.operation) : nullptr) {
    op->drop_call(reply.id);
    take_reply(*op, call, reply, now);
  } else {
    if (reply.status == 0 || classify(reply, call.method).node_answered) {
      node_answered(call.node, now);
    } else {
      router_.breaker(call.node).on_abandoned();
      if (observable) count_breaker(call.node);
    }
    const bool unknown = effect_of(call.method) == Effect::write && outcome_unknown(call.method, call.shard, reply);
    if (unknown && !lanes_.lifted() && !failing_all_) node.settling.push_back(now + options_.writes.lane_settle);
    if (call.in_lane) release_lane(call.lane, unknown, now);
    if (call.key_lock) {
      const ShardLanes::Leave how = unknown ? ShardLanes::Leave::settle : ShardLanes::Leave::at_once;
      leave_key(call.key_lock->key, call.key_lock->holder, how, now);
    }
  }
  release_confirmed(now);
  start_queued(call.node, now);
}

void Session::take_reply(RequestOp& op, const CallRecord& call, Reply& reply, TimePoint now) {
  const Effect effect = effect_of(call.method);
  if (reply.status != 0) {
    Verdict verdict = classify(reply, call.method);
    if (tokens_.enabled() && !reply.message.empty()) {
      // Nobody else sees what a server says of a token. All of it is looked at: what is left of one at a cut is
      // unknown.
      tokens_.redact(reply.message);
      verdict.detail = util::one_line(reply.message);
    }
    if (call.given_up && !verdict.node_answered) verdict.detail = "no answer yet, and another node leads the shard now";
    if (verdict.code == ErrorCode::unauthenticated && reply.message.empty())
      verdict.detail = call.token != 0 ? "the server refused the token" : "the server wants a token, and none was sent";
    if (verdict.failure == Failure::missing) return on_success(op, call, nothing(call.method), now);
    return on_failure(op, call, verdict, reply.metadata, now);
  }
  if (!reply.body) return on_failure(op, call, malformed("the reply has no message", effect), reply.metadata, now);
  wire::Decoded<Success> success = decode(call.method, call.shard, std::move(*reply.body));
  if (!success) return on_failure(op, call, malformed(std::move(success.error()), effect), reply.metadata, now);
  on_success(op, call, std::move(*success), now);
}

void Session::on_success(RequestOp& op, const CallRecord& call, Success success, TimePoint now) {
  const OpId id = op.request.id;
  const std::uint32_t shard = op.request.shard;
  op.last_outcome_unknown = false;
  if (observable) count_success(call, now);
  if (observed()) observe_attempt_end(op, call, std::nullopt, now);
  leave_discovery(op);
  leave_queue(op);  // a second request of it may have waited for a place
  if (const Version* version = std::get_if<Version>(&success)) {
    lanes_.observe(call.lane, now - call.started);
    detect_collision(op, call, *version, now);
    cluster_.on_written(shard, call.node, now);
  }
  budget_.on_success(now);
  node_answered(call.node, now);
  if (op.proves_leader()) {
    apply(cluster_.on_leader_answer(shard, call.node, call.started, now), now);
    settle_discovery(shard, now);
  }
  if (op.request.conditional && op.effect() == Effect::read) {
    // Another look may be on the wire, or planned: it has nothing to say to the write that follows.
    timers_.cancel(op.wake_timer);
    timers_.cancel(op.second_timer);
    drop_calls(op, ErrorCode::cancelled, now);
    return on_looked(op, std::get<std::optional<Entry>>(std::move(success)), now);
  }
  if (op.request.conditional && op.request.conditional->kind == Conditional::Kind::update)
    success = Updated{std::get<Version>(success), true, op.request.conditional->rounds};
  finish(id, std::move(success), now);
}

void Session::on_failure(RequestOp& op, const CallRecord& call, const Verdict& verdict, const Metadata& metadata,
                         TimePoint now) {
  const OpId id = op.request.id;
  if (observable) count_failure(call, verdict, now);
  if (observed()) observe_attempt_end(op, call, verdict.code, now);
  record_attempt(op, call, verdict.code, util::one_line(verdict.detail), now);
  const std::optional<std::size_t> hint = usable_hint(op, call, verdict, metadata);
  op.hinted = hint;
  RequestOp::Situation situation{options_.retry, router_, call.node};
  situation.hinted = hint.has_value();
  situation.moved = call.given_up;
  situation.token = call.token;
  situation.settle = lanes_.lifted() ? Duration{0} : options_.writes.lane_settle;
  situation.now = now;
  situation.fraction = random_.unit();
  RequestOp::Decision decision = op.after(verdict, situation);
  if (looks_again_after(op, verdict)) {
    look_again(op);
    if (verdict.code == ErrorCode::precondition_failed) decision = {RequestOp::Decision::Kind::route, now};
  }
  // Another request of this operation may be on the wire, and then it is the one to wait for.
  if (decision.kind != RequestOp::Decision::Kind::finish && (op.probing || !op.on_wire())) {
    op.reason = hint ? AttemptReason::hint : call.given_up ? AttemptReason::moved : AttemptReason::retry;
    if (observed()) observe_retry(op, call, verdict, decision, now);
  }
  Node& node = nodes_[call.node];
  if (verdict.failure == Failure::unknown_level && !op.request.consistency_text && node.dialect == call.dialect)
    node.dialect = other(call.dialect);
  if (!verdict.node_answered) count_node_failure(call.node, now);

  const CallId other_call = op.call;
  learn_from_failure(op, call, verdict, hint, decision, now);
  // What was learned may have ended this operation (a probe whose question is answered) or sent it on its way.
  if (RequestOp* still = find(id); still != nullptr && still->call == other_call)
    carry_out(*still, call, decision, now);
}

void Session::record_attempt(RequestOp& op, const CallRecord& call, ErrorCode code, std::string_view detail,
                             TimePoint now) {
  op.record_attempt(cluster_.address(call.node), code, detail, now - call.started);
  if (!op.probing) return;
  Discovery& discovery = discoveries_.at(op.request.shard);
  append_attempt(discovery.attempts, op.attempts.back());
  ++discovery.attempts_made;
}

std::optional<std::size_t> Session::usable_hint(const RequestOp& op, const CallRecord& call, const Verdict& verdict,
                                                const Metadata& metadata) const {
  if (verdict.failure != Failure::not_leader || op.hint_hops() >= options_.retry.max_hint_hops) return std::nullopt;
  const std::int32_t hinted = cluster_.find(verdict.leader.empty() ? leader_hint(metadata) : verdict.leader);
  if (hinted < 0) return std::nullopt;
  const auto node = static_cast<std::size_t>(hinted);
  if (node == call.node || op.refused_by(node) || asks(op, node)) return std::nullopt;
  return node;
}

void Session::learn_from_failure(RequestOp& op, const CallRecord& call, const Verdict& verdict,
                                 std::optional<std::size_t> hint, const RequestOp::Decision& decision, TimePoint now) {
  const std::uint32_t shard = op.request.shard;
  const std::string& address = cluster_.address(call.node);
  if (verdict.node_answered) {
    if (verdict.code != ErrorCode::unauthenticated) tokens_.on_accepted(call.token);
    node_answered(call.node, now);
  }
  switch (verdict.failure) {
    case Failure::not_leader: {
      counters_.not_leader.add();
      if (hint) {
        counters_.hints_followed.add();
        return apply(cluster_.on_hint(shard, *hint, call.started, now), now);
      }
      return apply(cluster_.on_refusal(shard, call.node, "refusal of " + address, call.started, now), now);
    }
    case Failure::unavailable:
      if (verdict.node_answered) return;
      return apply(cluster_.on_refusal(shard, call.node, "no connection to " + address, call.started, now), now);
    case Failure::ambiguous:
      if (op.probing && verdict.node_answered) break;
      // A lost connection says so at once; silence only the second time.
      if (verdict.node_answered) return;
      if (verdict.code == ErrorCode::deadline_exceeded) return on_silence(call, now);
      return apply(cluster_.on_refusal(shard, call.node, "no answer of " + address, call.started, now), now);
    case Failure::throttled:
      return;
    case Failure::unknown_level:
      if (!op.every_dialect_refused()) return;
      break;
    case Failure::missing:
      break;
    case Failure::permanent:
      if (decision.kind != RequestOp::Decision::Kind::finish) return;  // the probe asks other nodes
      break;
  }
  // A node that fails a probe in any other way has at least tried to serve the shard: let those who wait ask it
  // themselves.
  if (!op.probing) return;
  apply(cluster_.on_leader_answer(shard, call.node, call.started, now), now);
  settle_discovery(shard, now);
}

void Session::on_silence(const CallRecord& call, TimePoint now) {
  // Once may be a slow request, or little patience; twice in a row, whoever asked, is a node to look past.
  if (++nodes_[call.node].silent_calls < 2) return;
  apply(cluster_.on_refusal(call.shard, call.node, "no answer of " + cluster_.address(call.node), call.started, now),
        now);
}

void Session::count_node_failure(std::size_t node, TimePoint now) {
  if (router_.breaker(node).on_failure(now, random_.unit())) counters_.breaker_opens.add();
  if (observable) count_breaker(node);
}

void Session::carry_out(RequestOp& op, const CallRecord& call, const RequestOp::Decision& decision, TimePoint now) {
  // A hedge that failed leaves the answer to the other request; a search goes on beside it.
  if (op.on_wire() && (!op.probing || decision.kind == RequestOp::Decision::Kind::finish)) return;
  switch (decision.kind) {
    case RequestOp::Decision::Kind::route:
      return route(op, now);
    case RequestOp::Decision::Kind::repeat:
      // The node may have been removed while it was asked.
      return cluster_.present(call.node) ? send(op, call.node, now) : route(op, now);
    case RequestOp::Decision::Kind::wait:
      return wait_until(op, decision.until, now);
    case RequestOp::Decision::Kind::finish:
      return finish(op.request.id, tl::make_unexpected(op.last_error()), now);
  }
}

void Session::wait_until(RequestOp& op, TimePoint until, TimePoint now) {
  if (!op.probing) {
    const TimePoint allowed = budget_.take(until, now);
    const TimePoint latest = now + (op.request.deadline - now) / 2;
    if (allowed > until && latest > until) {
      counters_.budget_waits.add();
      until = std::min(allowed, latest);
    }
  }
  pause(op, until);
}

void Session::detect_collision(const RequestOp& op, const CallRecord& call, Version version, TimePoint now) {
  const std::uint32_t shard = op.request.shard;
  const bool alone = lanes_.taken(call.lane) == 1;  // at its end: no write to come can have overlapped it
  if (!op.request.user_idempotency_key) {
    const CollisionDetector::Write write{static_cast<std::uint64_t>(op.request.id), call.node, version, call.started,
                                         now};
    if (const auto other = collisions_.find(shard, write)) warn_of_collision(shard, *other, write);
    if (!alone) collisions_.remember(shard, write);
  }
  if (alone) collisions_.forget(shard);
}

void Session::warn_of_collision(std::uint32_t shard, const CollisionDetector::Write& one,
                                const CollisionDetector::Write& other) {
  counters_.write_collisions.add();
  WarningEvent event;
  event.kind = WarningKind::write_collision;
  event.node = cluster_.address(other.node);
  event.shard = shard;
  event.version = other.version;
  event.operations[0] = one.operation;
  event.operations[1] = other.operation;
  event.message = "writes " + std::to_string(one.operation) + " and " + std::to_string(other.operation) + " of shard " +
                  std::to_string(shard) + " were both acknowledged as version " + std::to_string(other.version.term) +
                  ":" + std::to_string(other.version.index) + ": one of them is lost";
  deliveries_.emplace_back(std::move(event));
}

}  // namespace norikv::core
