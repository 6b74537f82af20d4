#include <algorithm>
#include <utility>

#include "core/session.hpp"
#include "util/text.hpp"

namespace norikv::core {
namespace {

// A name of the leader in a reply's metadata; empty if there is none.
std::string_view leader_hint(const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if ((key == "leader-hint" || key == "x-norikv-leader") && !value.empty()) return value;
  }
  return {};
}

wire::Decoded<Success> decode(wire::Method method, std::string_view body) {
  if (method == wire::Method::get) {
    return wire::decode_get(body).map([](std::optional<Entry>&& entry) { return Success{{}, std::move(entry)}; });
  }
  const auto version = method == wire::Method::put ? wire::decode_put(body) : wire::decode_remove(body);
  return version.map([](Version decoded) { return Success{decoded, {}}; });
}

// Whether the answer to a write that nobody waits for leaves open what became of it.
bool outcome_unknown(wire::Method method, const Reply& reply) {
  if (reply.status != 0) return classify(reply, effect_of(method)).applied_unknown;
  return !reply.body || !decode(method, *reply.body);
}

}  // namespace

void Session::route(RequestOp& op, TimePoint now) {
  timers_.cancel(op.wake_timer);
  const std::uint32_t shard = op.request.shard;
  const std::optional<std::size_t> leader = router_.leader(shard);
  const std::optional<std::size_t> preferred = std::exchange(op.prefer, std::nullopt);
  // A repeated write goes where its idempotency key may be known, past a new leader even.
  if (preferred && !op.is_read()) return send(op, *preferred, now);
  if (leader) return send(op, *leader, now);
  if (preferred) return send(op, *preferred, now);
  if (op.probing || !op.wants_leader) return send(op, router_.next(shard, op.rotation), now);
  await_leader(op, now);
}

void Session::send(RequestOp& op, std::size_t node, TimePoint now) {
  const Request& request = op.request;
  // Out of time: its timer is due and ends it. Not done here, where it would start the next one's probe, and so on down
  // the queue.
  if (request.deadline <= now) return;
  if (!op.is_read()) {
    if (const TimePoint at = lanes_.next_send(request.shard); now < at) {
      op.phase = Phase::backing_off;
      op.wake_timer = timers_.schedule(at, {TimerKind::operation_wake, static_cast<std::uint64_t>(request.id)});
      return;
    }
    lanes_.sent(request.shard, now);
  }
  Call call;
  call.id = CallId{next_call_++};
  call.address = cluster_.address(node);
  call.method = request.method;
  call.payload = request.payload;
  call.deadline = request.deadline;
  if (request.repeatable()) call.deadline = std::min(call.deadline, now + options_.retry.attempt_timeout);
  op.dialect = dialects_[node];
  if (op.is_read()) {
    call.suffix =
        wire::encode_consistency(request.consistency_text ? std::string_view{*request.consistency_text}
                                                          : consistency_text(request.consistency, op.dialect));
  }
  op.phase = Phase::sent;
  op.node = node;
  op.call = call.id;
  calls_.emplace(call.id, CallRecord{request.id, node, request.shard, request.method, false, now});
  counters_.attempts.add();
  if (op.attempts_made > 0) counters_.retries.add();
  actions_.emplace_back(std::move(call));
}

void Session::await_leader(RequestOp& op, TimePoint now) {
  op.phase = Phase::awaiting_leader;
  discoveries_[op.request.shard].waiters.push_back(op.request.id);
  settle_discovery(op.request.shard, now);
}

void Session::settle_discovery(std::uint32_t shard, TimePoint now) {
  const auto found = discoveries_.find(shard);
  if (found == discoveries_.end() || failing_all_) return;
  Discovery& discovery = found->second;
  if (router_.leader(shard)) return release_waiters(shard, now);
  if (!discovery.waiters.empty()) {
    if (!discovery.prober) start_probe(shard, now);
    return;
  }
  if (!discovery.prober) {
    discoveries_.erase(found);
    return;
  }
  // A probe that nobody waits for any more.
  if (find(*discovery.prober)->internal) fail(*discovery.prober, ErrorCode::cancelled, "nobody waits", now);
}

void Session::start_probe(std::uint32_t shard, TimePoint now) {
  Discovery& discovery = discoveries_.at(shard);
  const auto reader = std::find_if(discovery.waiters.begin(), discovery.waiters.end(), [this](OpId id) {
    const RequestOp* op = find(id);
    return op->is_read() && op->request.proves_leader();
  });
  if (reader != discovery.waiters.end()) {
    RequestOp& op = *find(*reader);
    discovery.waiters.erase(reader);
    discovery.prober = op.request.id;
    op.probing = true;
    return route(op, now);
  }
  const Request& waiting = find(discovery.waiters.front())->request;
  Request request;
  request.id = OpId{probe_id_bit | next_probe_++};
  request.method = wire::Method::get;
  request.shard = shard;
  request.payload = std::make_shared<const std::string>(wire::encode_get_of(*waiting.payload));
  request.submitted = now;
  request.deadline = TimePoint::max();  // it is called off when nobody waits any more
  counters_.probes.add();
  auto owned = std::make_unique<RequestOp>(std::move(request), Callback{}, RequestOp::Origin::session);
  RequestOp& op = *owned;
  op.probing = true;
  discovery.prober = op.request.id;
  operations_.emplace(op.request.id, std::move(owned));
  route(op, now);
}

void Session::leave_discovery(RequestOp& op) {
  const auto found = discoveries_.find(op.request.shard);
  if (found == discoveries_.end()) return;
  if (std::exchange(op.probing, false) && found->second.prober == op.request.id) found->second.prober.reset();
  if (op.phase != Phase::awaiting_leader) return;
  std::deque<OpId>& waiters = found->second.waiters;
  // Mostly it is the first one: those who wait end in the order of their deadlines.
  const auto place = std::find(waiters.begin(), waiters.end(), op.request.id);
  if (place != waiters.end()) waiters.erase(place);
}

void Session::release_waiters(std::uint32_t shard, TimePoint now) {
  // Taken out first: what follows may begin a new search.
  const Discovery discovery = std::move(discoveries_.extract(shard).mapped());
  if (discovery.prober) {
    RequestOp& prober = *find(*discovery.prober);
    prober.probing = false;
    if (prober.internal) {
      fail(prober.request.id, ErrorCode::cancelled, "the leader is known", now);
    } else if (prober.phase == Phase::backing_off) {
      route(prober, now);
    }
  }
  for (const OpId id : discovery.waiters) {
    if (RequestOp* op = find(id)) route(*op, now);
  }
}

void Session::on_reply(Reply reply, TimePoint now) {
  const auto found = calls_.find(reply.id);
  if (found == calls_.end()) return;
  const CallRecord call = found->second;
  calls_.erase(found);
  RequestOp* op = call.operation ? find(*call.operation) : nullptr;
  if (op == nullptr) {
    if (call.in_lane) release_lane(call.shard, outcome_unknown(call.method, reply), now);
    return;
  }

  op->call = CallId{};
  if (reply.status != 0) {
    const Verdict verdict = classify(reply, effect_of(call.method));
    if (verdict.failure == Failure::missing) return on_success(*op, call, {}, now);
    return on_failure(*op, call, verdict, reply.metadata, now);
  }
  if (!reply.body)
    return on_failure(*op, call, malformed("the reply has no message", effect_of(call.method)), reply.metadata, now);
  wire::Decoded<Success> success = decode(call.method, *reply.body);
  if (!success)
    return on_failure(*op, call, malformed(std::move(success.error()), effect_of(call.method)), reply.metadata, now);
  on_success(*op, call, std::move(*success), now);
}

void Session::on_success(RequestOp& op, const CallRecord& call, Success success, TimePoint now) {
  const OpId id = op.request.id;
  const std::uint32_t shard = op.request.shard;
  op.last_outcome_unknown = false;
  leave_discovery(op);
  if (!op.is_read()) {
    lanes_.observe(now - call.started);
    detect_collision(op, call, success.version, now);
    if (lanes_.taken(shard) == 1) collisions_.forget(shard);  // this one was alone at its end
  }
  node_answered(call.node, now);
  if (op.request.proves_leader()) apply(cluster_.on_leader_answer(shard, call.node, call.started, now), now);
  finish(id, std::move(success), now);
}

void Session::on_failure(RequestOp& op, const CallRecord& call, const Verdict& verdict, const Metadata& metadata,
                         TimePoint now) {
  const OpId id = op.request.id;
  const std::string detail = util::one_line(verdict.detail);
  op.record_attempt(cluster_.address(call.node), verdict.code, detail, now - call.started);
  if (op.probing) {
    Discovery& discovery = discoveries_.at(op.request.shard);
    append_attempt(discovery.attempts, op.attempts.back());
    ++discovery.attempts_made;
  }
  const Duration settle = lanes_.lifted() ? Duration{0} : options_.writes.lane_settle;
  const RequestOp::Decision decision = op.after(verdict, options_.retry, router_, settle, now, random_.unit());
  if (verdict.failure == Failure::unknown_level && !op.request.consistency_text && dialects_[call.node] == op.dialect)
    dialects_[call.node] = other(op.dialect);

  learn_from_failure(op, call, verdict, metadata, decision, now);
  // What was learned may have ended this operation (a probe whose question is answered) or sent it on its way.
  if (RequestOp* still = find(id); still != nullptr && still->call == CallId{}) carry_out(*still, decision, now);
}

void Session::learn_from_failure(RequestOp& op, const CallRecord& call, const Verdict& verdict,
                                 const Metadata& metadata, const RequestOp::Decision& decision, TimePoint now) {
  const std::uint32_t shard = op.request.shard;
  const std::string& address = cluster_.address(call.node);
  if (verdict.node_answered) node_answered(call.node, now);
  switch (verdict.failure) {
    case Failure::not_leader: {
      counters_.not_leader.add();
      const std::int32_t hinted = cluster_.find(leader_hint(metadata));
      if (hinted >= 0 && hinted != static_cast<std::int32_t>(call.node)) {
        return apply(cluster_.on_hint(shard, static_cast<std::size_t>(hinted), call.started, now), now);
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
  if (op.probing) apply(cluster_.on_leader_answer(shard, call.node, call.started, now), now);
}

void Session::on_silence(const CallRecord& call, TimePoint now) {
  // Once may be a slow request, or little patience; twice in a row, whoever asked, is a node to look past.
  if (++silent_calls_[call.node] < 2) return;
  apply(cluster_.on_refusal(call.shard, call.node, "no answer of " + cluster_.address(call.node), call.started, now),
        now);
}

void Session::carry_out(RequestOp& op, const RequestOp::Decision& decision, TimePoint now) {
  switch (decision.kind) {
    case RequestOp::Decision::Kind::route:
      return route(op, now);
    case RequestOp::Decision::Kind::repeat:
      return send(op, *op.node, now);
    case RequestOp::Decision::Kind::wait:
      op.phase = Phase::backing_off;
      op.wake_timer =
          timers_.schedule(decision.until, {TimerKind::operation_wake, static_cast<std::uint64_t>(op.request.id)});
      return;
    case RequestOp::Decision::Kind::finish:
      return finish(op.request.id, tl::make_unexpected(op.last_error()), now);
  }
}

void Session::detect_collision(const RequestOp& op, const CallRecord& call, Version version, TimePoint now) {
  if (op.request.user_idempotency_key) return;
  const CollisionDetector::Write write{static_cast<std::uint64_t>(op.request.id), call.node, version, call.started,
                                       now};
  const std::optional<CollisionDetector::Write> other = collisions_.acknowledge(op.request.shard, write);
  if (!other) return;
  counters_.write_collisions.add();
  WarningEvent event;
  event.kind = WarningKind::write_collision;
  event.node = cluster_.address(call.node);
  event.shard = op.request.shard;
  event.version = version;
  event.operations[0] = other->operation;
  event.operations[1] = write.operation;
  event.message = "writes " + std::to_string(other->operation) + " and " + std::to_string(write.operation) +
                  " of shard " + std::to_string(op.request.shard) + " were both acknowledged as version " +
                  std::to_string(version.term) + ":" + std::to_string(version.index) + ": one of them is lost";
  deliveries_.emplace_back(std::move(event));
}

}  // namespace norikv::core
