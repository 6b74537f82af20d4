#include "support/session_script.hpp"

#include <algorithm>

#include <norikv/routing.hpp>

#include "norikv.pb.h"
#include "wire/vectors.hpp"

namespace norikv::test {
namespace {

constexpr std::size_t most_nodes = 26;  // their names are letters

}  // namespace

Answer written(std::uint64_t index) {
  v1::PutResponse reply;
  reply.mutable_version()->set_index(index);
  return ok(reply.SerializeAsString());
}

Answer removed(std::uint64_t index) {
  v1::DeleteResponse reply;
  reply.set_tombstoned(true);
  reply.mutable_version()->set_index(index);
  return ok(reply.SerializeAsString());
}

Answer found(std::string value, std::uint64_t index) {
  v1::GetResponse reply;
  reply.set_value(std::move(value));
  reply.mutable_version()->set_index(index);
  return ok(reply.SerializeAsString());
}

Answer inserted(std::uint64_t index) {
  v1::VectorInsertResponse reply;
  reply.set_inserted(true);
  reply.mutable_version()->set_index(index);
  return ok(reply.SerializeAsString());
}

Answer shard_info(std::uint32_t shard) {
  v1::ShardInfo reply;
  reply.set_id(shard);
  reply.add_replicas()->set_leader(true);
  return ok(reply.SerializeAsString());
}

wire::View view_of(std::size_t node, std::uint64_t epoch, const std::vector<std::uint32_t>& leads,
                   const std::vector<std::uint32_t>& follows) {
  const std::string id = "node" + std::to_string(node);
  wire::View view{epoch, {{id, "0.0.0.0:7447", "unknown"}}, {}};
  for (const std::uint32_t shard : leads) view.shards.push_back({shard, {{id, true}}});
  for (const std::uint32_t shard : follows) view.shards.push_back({shard, {{id, false}}});
  return view;
}

// -- Users -----------------------------------------------------------------------------------------------------------

Submitted Script::submit(wire::Method method, std::uint32_t shard, const Write& write) {
  core::Request request;
  request.method = method;
  request.shard = shard;
  request.has_idempotency_key = write.idempotent || write.users_idempotency;
  request.user_idempotency_key = write.users_idempotency;
  const std::string key = std::to_string(submitted_.size() + 1);
  const std::string token = request.has_idempotency_key ? "token " + key : "";
  request.payload =
      std::make_shared<const std::string>(method == a_put ? wire::encode(wire::PutRequest{key, "value", 0, token, {}})
                                                          : wire::encode(wire::RemoveRequest{key, token, {}}));
  request.expected = write.expected;
  if (write.look_first) {
    request.conditional.emplace();
    request.conditional->kind = *write.look_first;
    request.conditional->key = key;
    request.conditional->look = std::make_shared<const std::string>(wire::encode_get(key));
  }
  return submit(std::move(request), write.timeout, key);
}

Submitted Script::get(std::uint32_t shard, Read read) {
  core::Request request;
  request.method = a_get;
  request.shard = shard;
  request.consistency = read.consistency;
  request.consistency_text = read.text;
  const std::string key = std::to_string(submitted_.size() + 1);
  request.payload = std::make_shared<const std::string>(wire::encode_get(key));
  return submit(std::move(request), read.timeout, key);
}

Submitted Script::insert_vector(Write write) {
  core::Request request;
  request.method = an_insert;
  request.has_idempotency_key = write.idempotent || write.users_idempotency;
  request.user_idempotency_key = write.users_idempotency;
  const std::string name = std::to_string(submitted_.size() + 1);
  const float vector[] = {1};
  request.payload = std::make_shared<const std::string>(
      wire::encode(wire::InsertRequest{name, "id", vector, request.has_idempotency_key ? "token " + name : ""}));
  return submit(std::move(request), write.timeout, name);
}

Submitted Script::read_vectors(wire::Method method, Read read) {
  core::Request request;
  request.method = method;
  request.consistency = read.consistency;
  request.consistency_text = read.text;
  const std::string name = std::to_string(submitted_.size() + 1);
  const float query[] = {1};
  request.payload =
      std::make_shared<const std::string>(method == a_search ? wire::encode(wire::SearchRequest{name, query, 1, false})
                                                             : wire::encode(wire::GetVectorRequest{name, "id"}));
  return submit(std::move(request), read.timeout, name);
}

Submitted Script::administer(wire::Method method, std::uint32_t shard, Duration timeout) {
  core::Request request;
  request.method = method;
  request.shard = shard;
  request.payload = std::make_shared<const std::string>(wire::encode(wire::ShardRequest{shard, {}}));
  return submit(std::move(request), timeout, std::to_string(submitted_.size() + 1));
}

Submitted Script::update(std::uint32_t shard, std::function<Change(const std::optional<Entry>&)> function, Write write,
                         std::string locked) {
  core::Request request;
  request.method = a_put;
  request.purpose = OperationKind::update;
  request.shard = shard;
  request.has_idempotency_key = write.idempotent;
  const std::string key = std::to_string(submitted_.size() + 1);
  request.payload = std::make_shared<const std::string>();
  request.conditional.emplace();
  request.conditional->kind = core::Conditional::Kind::update;
  request.conditional->key = locked.empty() ? key : locked;
  request.conditional->look = std::make_shared<const std::string>(wire::encode_get(key));
  request.conditional->update = std::move(function);
  request.conditional->max_rounds = write.max_rounds;
  return submit(std::move(request), write.timeout, key);
}

// The key (of vectors: the namespace) of an operation is its id: a request on the wire tells whom it is about.
Submitted Script::submit(core::Request request, Duration timeout, std::string key) {
  Submitted submitted;
  Submitted::State& state = *submitted.state_;
  state.id = request.id = core::OpId{std::stoull(key)};
  state.method = request.method;
  state.shard = request.shard;
  state.proves_leader = request.proves_leader();
  state.deadline = request.deadline = now_ + timeout;
  request.submitted = now_;
  request.trace = trace;
  submitted_.push_back(submitted);
  core::Callback callback = callback_of(submitted);
  if (request.purpose == OperationKind::update) {
    callback = UpdateCallback{[state = submitted.state_](Result<Updated> result) {
      REQUIRE(++state->told == 1);
      if (result)
        state->updated = *result;
      else
        state->error = std::move(result.error());
      if (state->then) state->then();
    }};
  }
  session_.submit(std::move(request), std::move(callback), now_);
  settle();
  return submitted;
}

core::Callback Script::callback_of(const Submitted& submitted) {
  const auto tell_once = [state = submitted.state_](auto& result, auto&& keep) {
    REQUIRE(++state->told == 1);
    if (result) {
      keep(*state, *result);
    } else {
      state->error = std::move(result.error());
    }
    if (state->then) state->then();
  };
  const auto keep_version = [](auto& state, auto& value) { state.version = value.version; };
  const auto keep_nothing = [](auto&, auto&) {};
  switch (submitted.state_->method) {
    case a_put:
      return PutCallback{[=](Result<Written> result) { tell_once(result, keep_version); }};
    case a_remove:
      return RemoveCallback{[=](Result<Removed> result) { tell_once(result, keep_version); }};
    case an_insert:
      return VectorInsertedCallback{[=](Result<VectorInserted> result) { tell_once(result, keep_version); }};
    case a_search:
      return VectorSearchCallback{[=](Result<VectorMatches> result) { tell_once(result, keep_nothing); }};
    case a_vector_get:
      return VectorGetCallback{
          [=](Result<std::optional<std::vector<float>>> result) { tell_once(result, keep_nothing); }};
    case a_snapshot:
    case a_transfer:
      return ShardInfoCallback{[=](Result<ShardInfo> result) { tell_once(result, keep_nothing); }};
    default:
      return GetCallback{[=](Result<std::optional<Entry>> result) {
        tell_once(result, [](auto& state, auto& entry) { state.entry = std::move(entry); });
      }};
  }
}

Called Script::drain() {
  Called called;
  session_.drain([times = called.times_] { ++*times; });
  settle();
  return called;
}

Readiness Script::wait_ready(Need need, Duration timeout) {
  Readiness readiness;
  session_.wait_ready(need, now_ + timeout, [result = readiness.result_](Result<void> told) {
    REQUIRE(!*result);
    *result = std::move(told);
  });
  settle();
  return readiness;
}

std::size_t Script::pending() const {
  std::size_t count = 0;
  for (const Submitted& operation : submitted_) count += operation.pending() ? 1 : 0;
  return count;
}

// -- Servers ---------------------------------------------------------------------------------------------------------

OnWire Script::expect(wire::Method method, std::optional<std::size_t> node) {
  for (auto& [id, request] : on_wire_) {
    if (request.seen) continue;
    request.seen = true;
    REQUIRE(static_cast<int>(request.method) == static_cast<int>(method));
    if (node) REQUIRE(request.node == *node);
    return request;
  }
  FAIL("no request on the wire");
  return {};
}

bool Script::quiet() const {
  for (const auto& [id, request] : on_wire_) {
    if (!request.seen) return false;
  }
  return true;
}

void Script::answer(const OnWire& request, Answer answer) {
  REQUIRE(on_wire_.erase(request.id) == 1);
  answer.id = request.id;
  session_.on_reply(std::move(answer), now_);
  settle();
}

std::vector<OnWire> Script::unanswered() const {
  std::vector<OnWire> requests;
  for (const auto& [id, request] : on_wire_) requests.push_back(request);
  return requests;
}

void Script::show(std::size_t node, const wire::View& view) {
  REQUIRE(streaming(node));
  session_.on_view(streams_.at(node), view, now_);
  settle();
}

void Script::end_stream(std::size_t node, int code, std::string text) {
  REQUIRE(streaming(node));
  const core::WatchId id = streams_.at(node);
  streams_.erase(node);
  session_.on_stream_end({id, code, std::move(text)}, now_);
  settle();
}

void Script::end_cancelled_streams() {
  for (const core::WatchId id : std::exchange(cancelled_streams_, {})) {
    session_.on_stream_end({id, 1, "CANCELLED"}, now_);
    settle();
  }
}

// -- Tokens ----------------------------------------------------------------------------------------------------------

void Script::give_token(std::string text, std::optional<Duration> lifetime) {
  REQUIRE_FALSE(asked.empty());
  Token token{std::move(text)};
  if (lifetime) token.expires = now_ + *lifetime;
  session_.on_token(asked.back().id, std::move(token), now_);
  settle();
}

void Script::refuse_token(std::string why) {
  REQUIRE_FALSE(asked.empty());
  session_.on_token(asked.back().id, tl::unexpected(std::move(why)), now_);
  settle();
}

// -- Time ------------------------------------------------------------------------------------------------------------

void Script::wait(Duration time) {
  const TimePoint end = now_ + time;
  for (int turn = 0;; ++turn) {
    REQUIRE(turn < 100'000);  // a timer that never stops
    const std::optional<TimePoint> next = session_.next_deadline();
    if (!next || *next > end) break;
    now_ = std::max(now_, *next);
    session_.advance_to(now_);
    settle();
  }
  now_ = end;
  session_.advance_to(now_);
  settle();
}

void Script::oversleep(Duration time) {
  now_ += time;
  session_.advance_to(now_);
  settle();
}

// -- What comes out of the session -----------------------------------------------------------------------------------

void Script::settle() {
  if (std::exchange(settling_, true)) return;  // a callback that submits: the outer loop goes on
  for (;;) {
    for (core::Action& action : session_.take_actions()) carry_out(std::move(action));
    if (session_.deliveries().empty()) break;
    core::Delivery delivery = std::move(session_.deliveries().front());
    session_.deliveries().pop_front();
    if (auto* completion = std::get_if<core::Completion>(&delivery)) {
      tell(std::move(*completion));
    } else if (auto* ready = std::get_if<core::ReadyResult>(&delivery)) {
      ready->callback(std::move(ready->result));
    } else if (auto* deferred = std::get_if<core::Deferred>(&delivery)) {
      deferred->task();
    } else if (auto* event = std::get_if<TopologyEvent>(&delivery)) {
      record(std::move(*event));
    } else if (auto* connection = std::get_if<ConnectionEvent>(&delivery)) {
      connections.push_back(std::move(*connection));
    } else if (auto* warning = std::get_if<WarningEvent>(&delivery)) {
      warnings.push_back(std::move(*warning));
    } else if (auto* request = std::get_if<core::AskToken>(&delivery)) {
      if (session_.awaits(request->ask.id)) asked.push_back(request->ask);
    } else if (auto* decide = std::get_if<core::Decide>(&delivery)) {
      if (session_.undecided(decide->operation) == nullptr) continue;
      Change change = decide->update(decide->found);
      // The key under which the script knows the operation, whatever key it locks.
      session_.on_decided(std::move(*decide), std::move(change), "token", now_);
    } else if (auto* observation = std::get_if<core::Observation>(&delivery)) {
      observations.push_back(std::move(*observation));
    }
  }
  settling_ = false;
}

// Whom a request is about; none for a search that asks for a key of nobody.
core::OpId Script::about(const core::Call& call) const {
  if (wire::is_admin(call.method)) {
    v1::ShardInfo request;
    REQUIRE(request.ParseFromString(*call.payload));
    for (const Submitted& each : submitted_) {
      if (each.pending() && each.state_->method == call.method && each.state_->shard == request.id()) return each.id();
    }
    FAIL("nobody asked about this shard");
  }
  v1::GetRequest request;  // the key, and the namespace, is the same field in all requests
  REQUIRE(request.ParseFromString(wire::encode_get_of(*call.payload)));
  const std::string& key = request.key();
  if (!key.empty() && key.find_first_not_of("0123456789") == std::string::npos) return core::OpId{std::stoull(key)};
  REQUIRE(call.method == a_get);
  REQUIRE(shard_of(key, options_.total_shards) == 0);
  return core::OpId{};
}

std::string Script::level_of(const core::Call& call) {
  const auto parsed = [&](auto message) {
    REQUIRE(message.ParseFromString(*call.payload + call.suffix));
    return message.consistency();
  };
  if (call.method == a_get) return parsed(v1::GetRequest());
  if (call.method == a_search) return parsed(v1::VectorSearchRequest());
  if (call.method == a_vector_get) return parsed(v1::VectorGetRequest());
  REQUIRE(call.suffix.empty());
  return {};
}

void Script::carry_out(core::Action action) {
  if (auto* call = std::get_if<core::Call>(&action)) {
    OnWire entry;
    entry.id = call->id;
    entry.method = call->method;
    entry.level = level_of(*call);
    entry.about = about(*call);
    if (entry.about == core::OpId{}) {
      entry.probe = true;  // for a vector, by a key that is nobody's
    } else {
      const Submitted::State& state = *submitted_.at(static_cast<std::uint64_t>(entry.about) - 1).state_;
      entry.shard = state.shard;
      // Gets that need a leader ask for it themselves; a probe is sent for all others.
      const bool of_leaders = entry.level.empty() || entry.level == "lease";
      entry.probe = call->method == a_get && (state.method != a_get || (of_leaders && !state.proves_leader));
    }
    for (const auto& [key, value] : call->metadata) {
      if (key == "authorization") entry.token = value;
    }
    entry.started = now_;
    entry.deadline = call->deadline;
    entry.metadata = call->metadata;
    while (address_of(entry.node) != call->address) REQUIRE(++entry.node < most_nodes);
    check_start(*call, entry);
    REQUIRE(on_wire_.emplace(call->id, std::move(entry)).second);
  } else if (auto* watch = std::get_if<core::StartWatch>(&action)) {
    std::size_t node = 0;
    while (address_of(node) != watch->address) REQUIRE(++node < most_nodes);
    REQUIRE(streams_.emplace(node, watch->id).second);  // one stream per node
    stream_tokens_[node] = watch->metadata.empty() ? "" : watch->metadata.front().second;
  } else if (auto* cancelled_call = std::get_if<core::CancelCall>(&action)) {
    OnWire& request = on_wire_.at(cancelled_call->id);
    REQUIRE(!std::exchange(request.cancelled, true));
    request.seen = true;  // nobody expects it any more
  } else if (auto* cancelled_watch = std::get_if<core::CancelWatch>(&action)) {
    const auto stream = std::find_if(streams_.begin(), streams_.end(),
                                     [&](const auto& entry) { return entry.second == cancelled_watch->id; });
    REQUIRE(stream != streams_.end());
    cancelled_streams_.push_back(stream->second);
    streams_.erase(stream);
  }
}

/// No request starts out of time, for an operation that has ended, or beside another write of a lane.
void Script::check_start(const core::Call& call, const OnWire& request) const {
  REQUIRE(call.deadline > now_);
  if (request.about == core::OpId{}) return;
  const Submitted::State& state = *submitted_.at(static_cast<std::uint64_t>(request.about) - 1).state_;
  if (!request.probe) {
    REQUIRE(state.told == 0);
    REQUIRE(call.deadline <= state.deadline);
  }
  if (core::effect_of(call.method) == core::Effect::read) {
    const int longest = on_wire_.size() > 64 ? 3 : 1;  // a crowd has more time
    REQUIRE(call.deadline <= now_ + options_.retry.attempt_timeout * longest);
  } else {
    REQUIRE(call.method == state.method);
    std::uint32_t writes = 0;
    bool exclusive = wire::is_admin(call.method);
    for (const auto& [id, other] : on_wire_) {
      if (core::effect_of(other.method) == core::Effect::read || other.shard != request.shard ||
          wire::is_vector(other.method) != wire::is_vector(call.method))
        continue;
      ++writes;
      exclusive = exclusive || wire::is_admin(other.method);
    }
    const std::uint32_t limit = exclusive ? 1 : options_.writes.in_flight_per_shard;
    REQUIRE((limit == 0 || writes < limit));
  }
}

void Script::tell(core::Completion completion) {
  REQUIRE_FALSE(std::holds_alternative<std::monostate>(completion.callback));
  core::tell(completion.callback, std::move(completion.outcome));
}

/// Each event begins where the last one ended, as a whole and for each shard.
void Script::record(TopologyEvent event) {
  REQUIRE(event.before);
  REQUIRE(event.after);
  REQUIRE(event.after->generation == event.before->generation + 1);
  if (!topology.empty()) REQUIRE(event.before->generation == topology.back().after->generation);
  for (const LeaderChange& change : event.leaders_changed) {
    std::string& leader = leaders_[change.shard];
    REQUIRE(change.before == leader);
    REQUIRE(change.after != change.before);
    leader = change.after;
    const NodeView* now_leads = event.after->leader_of(change.shard);
    REQUIRE((now_leads == nullptr ? std::string{} : now_leads->address) == leader);
  }
  topology.push_back(std::move(event));
}

void lead(Script& script, std::uint32_t shard, std::size_t node) {
  static_cast<void>(script.get(shard));
  for (;;) {
    const auto request = script.expect(a_get);
    if (request.node == node) return script.answer(request, missing());
    script.answer(request, not_leader());
  }
}

}  // namespace norikv::test
