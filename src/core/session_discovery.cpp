#include <algorithm>
#include <utility>

#include <norikv/routing.hpp>

#include "core/session.hpp"

// The search for a shard's leader: one asks around for all.
namespace norikv::core {

void Session::await_leader(RequestOp& op, TimePoint now) {
  op.phase = Phase::awaiting_leader;
  if (!std::exchange(op.awaits_leader, true)) discoveries_[op.request.shard].waiters.push_back(op.request.id);
  settle_discovery(op.request.shard, now);
}

void Session::settle_discovery(std::uint32_t shard, TimePoint now) {
  const auto found = discoveries_.find(shard);
  if (found == discoveries_.end() || failing_all_) return;
  Discovery& discovery = found->second;
  if (cluster_.leader_is_confirmed(shard)) return release_waiters(shard, now);
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

/// Ends searches whose leader was known all the while, and whose node is not down any more. After an input: what an
/// answer means for its own shard comes first.
void Session::release_confirmed(TimePoint now) {
  if (!std::exchange(nodes_changed_, false)) return;
  std::vector<std::uint32_t> over;
  for (const auto& [shard, discovery] : discoveries_) {
    if (cluster_.leader_is_confirmed(shard)) over.push_back(shard);
  }
  for (const std::uint32_t shard : over) settle_discovery(shard, now);
}

void Session::start_probe(std::uint32_t shard, TimePoint now) {
  Discovery& discovery = discoveries_.at(shard);
  const auto reader = std::find_if(discovery.waiters.begin(), discovery.waiters.end(), [this](OpId id) {
    const RequestOp* op = find(id);
    return op->step.method == wire::Method::get && op->proves_leader();
  });
  if (reader != discovery.waiters.end()) {
    RequestOp& op = *find(*reader);
    discovery.waiters.erase(reader);
    op.awaits_leader = false;
    discovery.prober = op.request.id;
    op.probing = true;
    for (const std::size_t node : op.refusing()) router_.count_in(node, op.rotation, now);
    return route(op, now);
  }
  const auto writer = std::find_if(discovery.waiters.begin(), discovery.waiters.end(),
                                   [this](OpId id) { return !wire::is_vector(find(id)->request.method); });
  Request request;
  request.id = OpId{probe_id_bit | next_probe_++};
  request.method = wire::Method::get;
  request.shard = shard;
  request.payload = writer != discovery.waiters.end()
                        ? std::make_shared<const std::string>(wire::encode_get_of(*find(*writer)->step.payload))
                        : get_beside_vectors();
  request.submitted = now;
  request.deadline = TimePoint::max();  // it is called off when nobody waits any more
  counters_.probes.add();
  const OpId id = request.id;
  RequestOp& op = add(std::move(request), Callback{}, RequestOp::Origin::session);
  op.probing = true;
  discovery.prober = id;
  if (observed()) observe_start(op, now);
  route(op, now);
}

// Vectors have no key. They are kept in shard 0, so the search for their leader asks for a key of that shard; finding
// one takes about as many tries as there are shards.
wire::Payload Session::get_beside_vectors() {
  if (vector_probe_ != nullptr) return vector_probe_;
  std::string key(sizeof(std::uint64_t), '\0');
  for (std::uint64_t number = 0; shard_of(key, options_.total_shards) != 0; ++number) {
    for (std::size_t at = 0; at < key.size(); ++at) key[at] = static_cast<char>(number >> (8 * at));
  }
  vector_probe_ = std::make_shared<const std::string>(wire::encode_get(key));
  return vector_probe_;
}

void Session::leave_discovery(RequestOp& op) {
  const auto found = discoveries_.find(op.request.shard);
  if (found == discoveries_.end()) return;
  if (std::exchange(op.probing, false) && found->second.prober == op.request.id) found->second.prober.reset();
  if (!std::exchange(op.awaits_leader, false)) return;
  take_out(found->second.waiters, op.request.id);
}

void Session::release_waiters(std::uint32_t shard, TimePoint now) {
  // Taken out first: what follows may begin a new search.
  const Discovery discovery = std::move(discoveries_.extract(shard).mapped());
  if (discovery.prober) {
    RequestOp& prober = *find(*discovery.prober);
    prober.probing = false;
    schedule_second(prober, now);  // what joins a search is over with it
    if (prober.internal) {
      fail(prober.request.id, ErrorCode::cancelled, "the leader is known", now);
    } else if (prober.phase == Phase::backing_off || prober.queued_at) {
      leave_queue(prober);
      route(prober, now);
    }
  }
  for (const OpId id : discovery.waiters) {
    RequestOp* const op = find(id);
    if (op == nullptr) continue;
    op->awaits_leader = false;
    route(*op, now);
  }
}

}  // namespace norikv::core
