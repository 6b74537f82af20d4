#include <norikv/routing.hpp>

#include <algorithm>
#include <span>

#include "core/consistency.hpp"
#include "simulation/judge.hpp"
#include "util/text.hpp"

// What a request that goes on the wire must keep.
namespace norikv::simulation {
namespace {

using Class = Meaning::Class;

bool is_down(const ClusterView& view, std::int32_t node) {
  const NodeView* const found = node < 0 ? nullptr : find_node(view, static_cast<std::size_t>(node));
  return found != nullptr && found->health == NodeHealth::down;
}

// A node that answers one of these is no use, whatever it is asked: a search goes on to the next one.
bool node_is_unfit(ErrorCode code) {
  return code == ErrorCode::not_supported || code == ErrorCode::protocol || code == ErrorCode::permission_denied ||
         code == ErrorCode::unauthenticated;
}

// What a node told beside a success.
void keep_result(AttemptRecord& attempt, const core::Reply& reply) {
  if (attempt.is_write()) {
    const auto version =
        attempt.method == wire::Method::put ? wire::decode_put(*reply.body) : wire::decode_remove(*reply.body);
    attempt.version = version.value();
  } else if (reply.status == 0) {
    const std::optional<Entry> entry = wire::decode_get(*reply.body).value();
    attempt.value = value_of(entry);
    if (entry) attempt.version = entry->version;
  }
}

}  // namespace

OperationRecord* Judge::started(const core::Call& call, std::size_t node, const ClusterView& before,
                                const ClusterView& after) {
  const auto [place, fresh] = on_wire_.try_emplace(call.id);
  if (!fresh) fail("call-number", "a call's number is used twice");
  OnWire& entry = place->second;
  entry.method = call.method;
  entry.node = node;
  entry.token = check_token(call.metadata);
  if (find_node(after, node) == nullptr)
    fail("absent-node", "a request goes to " + address_of_node(node) + ", which was removed");
  if (call.deadline <= agenda_.now()) fail("budget", "a request starts with a spent budget");
  // Those that were given up and have not come home count too.
  const auto to_node =
      std::count_if(on_wire_.begin(), on_wire_.end(), [node](const auto& each) { return each.second.node == node; });
  if (static_cast<std::size_t>(to_node) > scenario_.options.limits.in_flight_per_node)
    fail("node-limit", std::to_string(to_node) + " requests are on their way to " + address_of_node(node));

  const auto request = decode_request(call.method, *call.payload + call.suffix);
  if (!request) fail("foreign-request", "a request that does not parse");
  OperationRecord* const owner = owner_of(call, *request);
  if (owner == nullptr) {
    if (call.method != wire::Method::get) fail("foreign-request", "a request that no user asked for");
    entry.shard = shard_of(request->write.key, scenario_.options.total_shards);
    entry.searches = !belief_of(before, after, entry.shard).known();
    if (entry.searches) check_single_search(entry.shard);
    return nullptr;
  }
  OperationRecord& operation = *owner;
  const bool writes = call.method != wire::Method::get;
  entry.operation = &operation;
  entry.shard = operation.shard;
  entry.attempt = operation.attempts.size();
  if (!operation.attempts.empty() && operation.attempts.back().is_write() != writes)
    operation.step = operation.attempts.size();
  const Belief belief = belief_of(before, after, operation.shard);
  check_budget(operation, call);
  check_renewed(operation, entry.token);
  check_repeat(operation, node);
  if (writes) check_settled(operation);
  check_beside(operation, node);
  check_route(operation, node, belief);
  check_hops(operation, call.method, node, belief);
  if (operation.looks != Looks::never) check_step(operation, call, *request);
  if (operation.is_write()) {
    check_order(operation);
    check_lane(operation);
  }
  if (writes) check_spacing(operation);
  // Whoever was told who leads goes there at once; all others wait for the search.
  entry.searches = needs_leader(operation) && !belief.known() && !repeats_where_it_was(operation, node) &&
                   !follows_hint(operation, node);
  if (entry.searches) check_single_search(operation.shard);

  AttemptRecord attempt;
  attempt.call = call.id;
  attempt.method = call.method;
  attempt.node = node;
  attempt.token = entry.token;
  attempt.started = agenda_.now();
  attempt.sent = agenda_.stamp();
  attempt.searches = needs_leader(operation) && !belief.known();
  attempt.at_leader = belief.known() && belief.after == static_cast<std::int32_t>(node);
  if (writes) {
    if (call.method == wire::Method::put) attempt.value = value_of(request->write.value);
    attempt.fate = std::make_shared<testing::WriteFate>();
    attempt.fate->clock = [this] { return agenda_.stamp(); };
    Lane& lane = lanes_[operation.shard];
    lane.writes.push_back({operation.number, operation.attempts.size()});
    lane.last_sent = agenda_.now();
  }
  operation.attempts.push_back(std::move(attempt));
  return &operation;
}

// What an update stores is known by its value: nobody else writes that.
OperationRecord* Judge::owner_of(const core::Call& call, const ServerRequest& request) {
  const auto owner = by_payload_.find(call.payload.get());
  if (owner != by_payload_.end()) return owner->second;
  if (call.method != wire::Method::put) return nullptr;
  const auto update = by_value_.find(value_of(request.write.value));
  return update == by_value_.end() ? nullptr : update->second;
}

Judge::Belief Judge::belief_of(const ClusterView& before, const ClusterView& after, std::uint32_t shard) {
  const std::int32_t leader_before = believed_leader(before, shard);
  const std::int32_t leader_after = believed_leader(after, shard);
  return {leader_before, leader_after, after.shards[shard].source, is_down(before, leader_before),
          is_down(after, leader_after)};
}

void Judge::given_up(core::CallId call) {
  const auto found = on_wire_.find(call);
  if (found == on_wire_.end()) fail("call-number", "a call that is not on the wire is given up");
  if (found->second.given_up) fail("call-number", "a call is given up twice");
  found->second.given_up = true;
  if (found->second.operation != nullptr) found->second.operation->attempts[found->second.attempt].given_up = true;
}

void Judge::believes(const ClusterView& before, const ClusterView& view) {
  for (std::uint32_t shard = 0; before.generation == view.generation && shard < view.shards.size(); ++shard) {
    if (before.shards[shard].leader != view.shards[shard].leader)
      fail("topology-chain", "the leader of shard " + std::to_string(shard) + " changed without a new generation");
  }
  std::erase_if(last_views_, [&](const auto& told) { return find_node(view, told.first) == nullptr; });
  if (!closes_at_) check_members(view);
  for (auto& [id, entry] : on_wire_) {
    if (belief_of(view, view, entry.shard).known()) entry.searches = false;
    const std::int32_t leader = believed_leader(view, entry.shard);
    const bool elsewhere = leader >= 0 && leader != static_cast<std::int32_t>(entry.node);
    if (!elsewhere)
      entry.moved.reset();
    else if (believed_leader(before, entry.shard) != leader)
      entry.moved = agenda_.now();
  }
}

// What can be repeated is not left for long with a node that lost its shard.
void Judge::check_moved() const {
  for (const auto& [id, entry] : on_wire_) {
    const OperationRecord* const operation = entry.operation;
    if (!entry.moved || entry.given_up || operation == nullptr || !operation->pending()) continue;
    const auto waits = [](const AttemptRecord& attempt) { return !attempt.ended; };
    const bool repeatable = entry.method == wire::Method::get || operation->has_idempotency_key;
    if (!repeatable || !needs_leader(*operation) || std::ranges::count_if(operation->attempts, waits) > 1) continue;
    if (*entry.moved + scenario_.options.retry.moved_patience < agenda_.now())
      fail("moved", *operation, "it still waits for " + address_of_node(entry.node) + ", which has lost its shard");
  }
}

std::shared_ptr<testing::WriteFate> Judge::fate_of(core::CallId call) const {
  const auto found = on_wire_.find(call);
  if (found == on_wire_.end() || found->second.operation == nullptr) return nullptr;
  return found->second.operation->attempts[found->second.attempt].fate;
}

void Judge::replied(const core::Reply& reply) {
  const auto found = on_wire_.find(reply.id);
  const OnWire entry = found->second;
  on_wire_.erase(found);
  token_answered(entry.token, reply, meaning_of(reply, entry.method));
  if (meaning_of(reply, entry.method).success()) budget_steps_.push_back({agenda_.now(), nullptr, 0});
  if (entry.operation == nullptr) return;
  AttemptRecord& attempt = entry.operation->attempts[entry.attempt];
  attempt.ended = agenda_.now();
  attempt.answered = agenda_.stamp();
  attempt.meaning = meaning_of(reply, entry.method);
  if (attempt.meaning.success()) keep_result(attempt, reply);
  // A failure that is surely followed by a pause: nobody looks for the leader, and no other request is on its way.
  const Class kind = attempt.meaning.kind;
  const bool alone =
      std::ranges::all_of(entry.operation->attempts, [](const auto& each) { return each.ended.has_value(); });
  if (alone && attempt.at_leader && !attempt.given_up &&
      (kind == Class::ambiguous || kind == Class::throttled || kind == Class::not_processed))
    budget_steps_.push_back({agenda_.now(), entry.operation, attempt.answered});
  // What goes on alone from here on may still be answered in time.
  for (auto& [id, beside] : on_wire_) {
    if (beside.operation == entry.operation && beside.moved) beside.moved = agenda_.now();
  }
}

bool Judge::needs_leader(const OperationRecord& operation) const {
  return operation.is_write() || core::needs_leader(operation.consistency);
}

// An idempotency key is known on one server: after an unknown outcome that one is asked first, whoever leads. And a
// level is asked for in another dialect of the node that did not know it in the first.
bool Judge::repeats_where_it_was(const OperationRecord& operation, std::size_t node) const {
  const auto last = std::find_if(operation.attempts.rbegin(), operation.attempts.rend(),
                                 [node](const AttemptRecord& attempt) { return attempt.node == node; });
  if (last == operation.attempts.rend() || !last->ended) return false;
  const Class kind = last->meaning.kind;
  return kind == Class::ambiguous || kind == Class::throttled || kind == Class::unknown_level;
}

// Whether the node that refused the operation last named this one. (It may have had to wait for a place there.)
bool Judge::follows_hint(const OperationRecord& operation, std::size_t node) const {
  const auto last = std::max_element(operation.attempts.begin(), operation.attempts.end(),
                                     [](const auto& a, const auto& b) { return a.answered < b.answered; });
  return last != operation.attempts.end() &&
         (last->meaning.leader == address_of_node(node) || last->meaning.leader == testing::node_id(node));
}

void Judge::check_budget(const OperationRecord& operation, const core::Call& call) const {
  if (!operation.pending()) fail("attempt-after-end", operation, "a request starts after the callback came");
  if (operation.deadline <= agenda_.now()) fail("budget", operation, "a request starts with a spent budget");
  if (call.deadline > operation.deadline) fail("budget", operation, "a request may take longer than its operation");
  const bool repeatable = call.method == wire::Method::get || operation.has_idempotency_key;
  // In a crowd at one node up to three times as long; how much exactly is for the unit tests.
  const int longest = on_wire_.size() > 64 ? 3 : 1;
  const TimePoint bound = agenda_.now() + scenario_.options.retry.attempt_timeout * longest;
  if (repeatable && call.deadline > bound) fail("budget", operation, "attempt_timeout does not bound an attempt");
  if (!repeatable && call.deadline != operation.deadline)
    fail("budget", operation, "an attempt that can't be repeated does not have the operation's whole time");
}

void Judge::check_repeat(const OperationRecord& operation, std::size_t node) const {
  if (operation.attempts.empty()) return;
  const TimePoint now = agenda_.now();
  const AttemptRecord& last = operation.attempts.back();
  if (!last.ended) return;
  if (last.node == node && now < *last.ended + last.meaning.pause)
    fail("pushback", operation, "it comes back to " + address_of_node(node) + ", which asked for a longer pause");
  if (operation.attempts.size() == operation.step) return;  // the next step of a write that looks first
  if (last.meaning.kind == Class::success) fail("attempt-after-end", operation, "it is repeated after a success");
  // Of two requests at once the other one may still bring an answer, or has brought its own later in the same moment: a
  // token that was refused, after which it goes on.
  const bool alone = std::none_of(
      operation.attempts.begin(), operation.attempts.end(),
      [&](const AttemptRecord& other) { return &other != &last && (!other.ended || other.answered > last.answered); });
  const bool renews =
      last.token > 0 && last.meaning.code == ErrorCode::unauthenticated && !second_token_refused(operation);  // once
  if (alone && last.meaning.kind == Class::permanent && !renews &&
      !(needs_leader(operation) && node_is_unfit(last.meaning.code)))
    fail("repeated-permanent", operation, "it is repeated after " + std::string{to_string(last.meaning.code)});
  if (last.meaning.kind == Class::unknown_level && operation.attempts.size() - operation.step > 1) {
    const AttemptRecord& earlier = operation.attempts[operation.attempts.size() - 2];
    if (earlier.meaning.kind == Class::unknown_level && earlier.node == last.node && last.node == node)
      fail("dialect", operation, "it is repeated in a dialect that the node has refused");
  }
}

// A second request beside the first one goes to another node, and not before its time.
void Judge::check_beside(const OperationRecord& operation, std::size_t node) const {
  const RetryOptions& retry = scenario_.options.retry;
  const Duration least =
      retry.hedge_after > Duration{0} ? std::min(retry.hedge_after, retry.join_probe_after) : retry.join_probe_after;
  const auto on_wire = [](const AttemptRecord& attempt) { return !attempt.ended; };
  // (What is left of a look that was answered is nobody's business.)
  const std::span step = std::span{operation.attempts}.subspan(operation.step);
  const auto first = std::ranges::find_if(step, on_wire);
  if (first == step.end()) return;
  if (std::ranges::count_if(step, on_wire) > 1) fail("beside", operation, "a third request starts beside two");
  if (first->node == node) fail("beside", operation, "it asks " + address_of_node(node) + " twice at once");
  // (Once there were two, the next one after either goes on at once.)
  for (std::size_t i = 1; i < step.size(); ++i) {
    if (!step[i - 1].ended || *step[i - 1].ended > step[i].started) return;
  }
  if (agenda_.now() < first->started + least) fail("beside", operation, "a second request starts too early");
}

// No write goes out again while an earlier request of it may still be carried out.
void Judge::check_settled(const OperationRecord& operation) const {
  const WriteOptions& writes = scenario_.options.writes;
  const Duration settle = writes.in_flight_per_shard == 0 ? Duration{0} : writes.lane_settle;
  for (const AttemptRecord& earlier : operation.attempts) {
    if (!earlier.is_write()) continue;
    if (!earlier.ended) fail("repeated-too-early", operation, "it is repeated while it is on the wire");
    if (earlier.meaning.definite) continue;
    if (!operation.has_idempotency_key)
      fail("repeated-after-unknown", operation, "a write without idempotency key is repeated after an unknown outcome");
    if (agenda_.now() < *earlier.ended + settle)
      fail("repeated-too-early", operation, "it is repeated before its lane has settled");
  }
}

void Judge::check_spacing(const OperationRecord& operation) const {
  const auto lane = lanes_.find(operation.shard);
  if (lane == lanes_.end() || lane->second.last_sent == TimePoint{}) return;
  if (lane->second.last_sent + scenario_.options.writes.spacing > agenda_.now())
    fail("spacing", operation, "it follows another write of its shard too closely");
}

void Judge::check_lane(const OperationRecord& operation) {
  const WriteOptions& options = scenario_.options.writes;
  const TimePoint now = agenda_.now();
  Lane& lane = lanes_[operation.shard];
  if (options.in_flight_per_shard == 0) return;
  std::erase_if(lane.writes, [&](const WriteOnServer& write) {
    const AttemptRecord& attempt = operations_[write.operation].attempts[write.attempt];
    return attempt.ended && (attempt.meaning.definite || *attempt.ended + options.lane_settle <= now);
  });
  std::vector<std::uint64_t> others;
  for (const WriteOnServer& write : lane.writes) {
    const bool counted = std::find(others.begin(), others.end(), write.operation) != others.end();
    if (write.operation != operation.number && !counted) others.push_back(write.operation);
  }
  // A write that looks first holds its place from its look to its write.
  for (const std::uint64_t number : pending_) {
    const OperationRecord& other = operations_[number];
    if (number == operation.number || other.shard != operation.shard || !between_look_and_write(other)) continue;
    if (std::find(others.begin(), others.end(), number) == others.end()) others.push_back(number);
  }
  if (others.size() < options.in_flight_per_shard) return;
  fail("lane", operation,
       "it starts beside operation " + std::to_string(others.front()) + ", which may still be under way on the server");
}

void Judge::check_order(const OperationRecord& operation) const {
  if (scenario_.options.writes.in_flight_per_shard != 1 || !operation.attempts.empty()) return;
  for (std::uint64_t number = operation.number + 1; number < operations_.size(); ++number) {
    const OperationRecord& later = operations_[number];
    if (later.is_write() && later.shard == operation.shard && !later.attempts.empty())
      fail("order", later, "it has overtaken operation " + std::to_string(operation.number) + " of its shard");
  }
}

void Judge::check_route(const OperationRecord& operation, std::size_t node, const Belief& belief) const {
  const auto index = static_cast<std::int32_t>(node);
  if (!needs_leader(operation) || !belief.known() || belief.before == index || belief.after == index) return;
  if (repeats_where_it_was(operation, node)) return;
  // A search is joined by a second request after a while, and its leader may have become known meanwhile.
  const bool beside = operation.attempts.size() > operation.step && !operation.attempts.back().ended;
  if (beside && agenda_.now() >= operation.attempts.back().started + scenario_.options.retry.join_probe_after) return;
  // It started between the one and the other.
  if (belief.before != belief.after || belief.down_before != belief.down_after) return;
  fail("route", operation, "it goes to " + address_of_node(node) + ", but the leader is known");
}

// A chain of nodes that send it on to each other does not come back to one that refused it.
void Judge::check_hops(const OperationRecord& operation, wire::Method method, std::size_t node,
                       const Belief& belief) const {
  bool writes = method != wire::Method::get;
  TimePoint start = agenda_.now();
  std::size_t next = node;
  bool unknown = !belief.known();
  std::size_t hops = 0;
  for (auto attempt = operation.attempts.rbegin(); attempt != operation.attempts.rend(); ++attempt) {
    if (!attempt->ended || *attempt->ended != start || attempt->meaning.kind != Class::not_leader) return;
    if (attempt->node == node && scenario_.cluster.nodes > 1 && belief.source == LeaderSource::hint)
      fail("hint-loop", operation, "a hint leads back to " + address_of_node(node) + ", which has just refused");
    const bool hop = attempt->meaning.leader == address_of_node(next) ||
                     attempt->meaning.leader == testing::node_id(static_cast<testing::NodeIndex>(next));
    // (A search, or a leader that is known by now, may lead to the node that was named by chance.)
    if (hop && unknown && writes && ++hops > scenario_.options.retry.max_hint_hops)
      fail("hint-loop", operation, "it is sent on and on without a pause");
    start = attempt->started;
    writes = attempt->is_write();
    next = attempt->node;
    unknown = attempt->searches;
  }
}

void Judge::check_single_search(std::uint32_t shard) const {
  const auto searching = std::count_if(on_wire_.begin(), on_wire_.end(), [shard](const auto& entry) {
    return entry.second.searches && entry.second.shard == shard && !entry.second.given_up;
  });
  if (searching > max_searches) {
    fail("single-search",
         std::to_string(searching) + " requests at once look for the leader of shard " + std::to_string(shard));
  }
}

}  // namespace norikv::simulation
