#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/session.hpp"
#include "norikv.pb.h"
#include "support/catch.hpp"

// A small language to tell what happens to a `core::Session`, line by line: no socket, no thread, and a clock that only
// the script moves.
//
//   Script script{nodes(2)};
//   const auto write = script.put(7);                            // to shard 7
//   script.answer(script.expect(a_get, 1), not_leader());          // the probe, at the second node
//   ...
//   script.wait(250ms);
//   CHECK(write.succeeded());
//
// After every line the script itself checks what must hold at all times: see `Script::check_start` and `tell`.
namespace norikv::test {

using core::Sent;
inline constexpr wire::Method a_put = wire::Method::put;
inline constexpr wire::Method a_get = wire::Method::get;
inline constexpr wire::Method a_remove = wire::Method::remove;

// -- Who is there ----------------------------------------------------------------------------------------------------

inline std::string address_of(std::size_t node) { return std::string(1, static_cast<char>('a' + node)) + ":7447"; }

/// Options for so many nodes, without topology streams.
inline ClientOptions nodes(std::size_t count) {
  ClientOptions options;
  for (std::size_t node = 0; node < count; ++node) options.nodes.push_back(address_of(node));
  options.total_shards = 16;
  options.connection.watch_topology = false;
  return options;
}

/// The same with a topology stream to each node.
inline ClientOptions watched_nodes(std::size_t count) {
  ClientOptions options = nodes(count);
  options.connection.watch_topology = true;
  return options;
}

// -- What a server may say -------------------------------------------------------------------------------------------

using Answer = core::Reply;  // its id is filled in by the script

inline Answer ok(std::string body) {
  Answer answer;
  answer.body = std::move(body);
  return answer;
}
inline Answer status(int code, std::string text = {}) {
  Answer answer;
  answer.status = code;
  answer.message = std::move(text);
  return answer;
}
inline Answer written(std::uint64_t index) {
  v1::PutResponse reply;
  reply.mutable_version()->set_index(index);
  return ok(reply.SerializeAsString());
}
inline Answer removed(std::uint64_t index) {
  v1::DeleteResponse reply;
  reply.set_tombstoned(true);
  reply.mutable_version()->set_index(index);
  return ok(reply.SerializeAsString());
}
inline Answer found(std::string value, std::uint64_t index = 1) {
  v1::GetResponse reply;
  reply.set_value(std::move(value));
  reply.mutable_version()->set_index(index);
  return ok(reply.SerializeAsString());
}
inline Answer missing() { return ok(""); }
inline Answer garbage() { return ok("\xff\xff\xff"); }
inline Answer no_message() { return {}; }
inline Answer not_leader(std::string hint = {}) {
  Answer answer = status(14, "NOT_LEADER");
  if (!hint.empty()) answer.metadata.emplace_back("leader-hint", std::move(hint));
  return answer;
}
/// The transport knows that nothing left this process.
inline Answer not_sent() {
  Answer answer = status(14, "connection refused");
  answer.sent = Sent::not_sent;
  return answer;
}
/// The connection broke after the request was sent.
inline Answer lost() { return status(14, "connection reset"); }
inline Answer timed_out() { return status(4, "Deadline Exceeded"); }
inline Answer called_off() { return status(1, "CANCELLED"); }

/// The view of a 0.1.0 server about itself.
inline wire::View view_of(std::size_t node, std::uint64_t epoch, std::vector<std::uint32_t> leads,
                          std::vector<std::uint32_t> follows = {}) {
  const std::string id = "node" + std::to_string(node);
  wire::View view{epoch, {{id, "0.0.0.0:7447", "unknown"}}, {}};
  for (const std::uint32_t shard : leads) view.shards.push_back({shard, {{id, true}}});
  for (const std::uint32_t shard : follows) view.shards.push_back({shard, {{id, false}}});
  return view;
}

// -- What a user asks, and is told -----------------------------------------------------------------------------------

struct Write {
  Duration timeout = std::chrono::seconds{5};
  bool idempotent = false;         ///< With a key that the client drew.
  bool users_idempotency = false;  ///< With a key of the user's.
};
struct Read {
  Duration timeout = std::chrono::seconds{5};
  Consistency consistency = Consistency::lease;
  std::optional<std::string> text{};
};

/// One operation, as its user sees it.
class Submitted {
 public:
  [[nodiscard]] bool pending() const { return state_->told == 0; }
  [[nodiscard]] bool succeeded() const { return !pending() && !state_->error; }
  /// Its error; fails the test if it has none.
  [[nodiscard]] const Error& error() const {
    REQUIRE(state_->error);
    return *state_->error;
  }
  [[nodiscard]] bool failed_with(ErrorCode code) const { return state_->error && state_->error->code == code; }
  [[nodiscard]] Version version() const { return state_->version; }
  [[nodiscard]] const std::optional<Entry>& entry() const { return state_->entry; }
  [[nodiscard]] core::OpId id() const { return state_->id; }

 private:
  friend class Script;
  struct State {
    core::OpId id{};
    wire::Method method{};
    std::uint32_t shard = 0;
    TimePoint deadline{};
    bool repeatable = true;
    int told = 0;
    std::optional<Error> error;
    Version version;
    std::optional<Entry> entry;
    std::function<void()> then;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// A request as the servers see it.
struct OnWire {
  core::CallId id{};
  wire::Method method{};
  std::size_t node = 0;
  std::uint32_t shard = 0;
  core::OpId about{};  ///< The operation whose key it carries; for a probe, the one that waits.
  std::string level;   ///< Of a get.
  TimePoint started{};
  TimePoint deadline{};
  bool seen = false;       ///< By `expect`.
  bool cancelled = false;  ///< The session gave it up; its answer still has to come.

  [[nodiscard]] bool is_about(const Submitted& operation) const { return about == operation.id(); }
};

/// Something that is called back without a result.
class Called {
 public:
  [[nodiscard]] int times() const { return *times_; }
  explicit operator bool() const { return *times_ > 0; }

 private:
  friend class Script;
  std::shared_ptr<int> times_ = std::make_shared<int>(0);
};

/// The answer to a `wait_ready`.
class Readiness {
 public:
  [[nodiscard]] bool pending() const { return !*result_; }
  [[nodiscard]] bool ready() const { return *result_ && (*result_)->has_value(); }
  [[nodiscard]] bool failed_with(ErrorCode code) const {
    return *result_ && !(*result_)->has_value() && (*result_)->error().code == code;
  }

 private:
  friend class Script;
  std::shared_ptr<std::optional<Result<void>>> result_ = std::make_shared<std::optional<Result<void>>>();
};

/// A session with everything around it played by the test.
class Script {
 public:
  explicit Script(ClientOptions options, std::uint64_t seed = 1) : options_(options), session_(options, seed) {
    session_.start(now_);
    settle();
  }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  // Users.
  Submitted put(std::uint32_t shard, Write write = {}) { return submit(wire::Method::put, shard, write); }
  Submitted remove(std::uint32_t shard, Write write = {}) { return submit(wire::Method::remove, shard, write); }
  Submitted get(std::uint32_t shard, Read read = {});
  void cancel(const Submitted& operation) {
    session_.cancel(operation.id(), now_);
    settle();
  }
  /// What the callback of an operation does.
  void when_told(const Submitted& operation, std::function<void()> then) { operation.state_->then = std::move(then); }
  Called drain();
  Readiness wait_ready(Need need, Duration timeout = std::chrono::seconds{5});
  void close(Duration grace = Duration{0}) {
    session_.close(grace, now_);
    settle();
  }

  // Servers. `expect` takes the oldest request that no `expect` has taken.
  OnWire expect(wire::Method method, std::optional<std::size_t> node = std::nullopt);
  /// Whether no request is on its way that the script has not taken.
  [[nodiscard]] bool quiet() const;
  void answer(const OnWire& request, Answer answer);
  [[nodiscard]] bool cancelled(const OnWire& request) const { return on_wire_.at(request.id).cancelled; }
  /// The requests that have no answer yet, oldest first.
  [[nodiscard]] std::vector<OnWire> unanswered() const;

  // Topology streams.
  [[nodiscard]] bool streaming(std::size_t node) const { return streams_.count(node) != 0; }
  void show(std::size_t node, const wire::View& view);
  /// The next view of the node about itself: which shards it leads, and which it only has.
  void claims(std::size_t node, std::vector<std::uint32_t> leads, std::vector<std::uint32_t> follows = {}) {
    show(node, view_of(node, ++epoch_, std::move(leads), std::move(follows)));
  }
  void end_stream(std::size_t node, int code = 14, std::string text = "connection reset");
  /// Ends all streams the session has cancelled.
  void end_cancelled_streams();
  [[nodiscard]] std::size_t open_streams() const { return streams_.size() + cancelled_streams_.size(); }

  // Time. `wait` is punctual: each timer runs at its moment. `oversleep` is a loop that was blocked: all that came due
  // runs at the end.
  void wait(Duration time);
  void oversleep(Duration time);
  [[nodiscard]] TimePoint now() const { return now_; }

  // What users saw.
  std::vector<TopologyEvent> topology;
  std::vector<ConnectionEvent> connections;
  std::vector<WarningEvent> warnings;

  [[nodiscard]] core::Session& session() { return session_; }
  [[nodiscard]] const core::Counters& counters() const { return session_.counters(); }
  [[nodiscard]] std::int32_t leader(std::uint32_t shard) const { return session_.cluster()->shards[shard].leader; }
  /// Operations whose users wait.
  [[nodiscard]] std::size_t pending() const;
  [[nodiscard]] const std::vector<Submitted>& submitted() const { return submitted_; }

 private:
  Submitted submit(wire::Method method, std::uint32_t shard, const Write& write);
  Submitted submit(core::Request request, Duration timeout, std::string key);
  core::Callback callback_of(const Submitted& submitted);
  void settle();
  void carry_out(core::Action action);
  void check_start(const core::Call& call, const OnWire& request) const;
  void tell(core::Completion completion);
  void record(TopologyEvent event);

  ClientOptions options_;
  core::Session session_;
  TimePoint now_{std::chrono::hours{1}};
  std::uint64_t epoch_ = 0;
  bool settling_ = false;
  std::vector<Submitted> submitted_;  // by id, from 1
  std::map<core::CallId, OnWire> on_wire_;
  std::map<std::size_t, core::WatchId> streams_;
  std::vector<core::WatchId> cancelled_streams_;
  std::map<std::uint32_t, std::string> leaders_;
};

// -- Users -----------------------------------------------------------------------------------------------------------

inline Submitted Script::submit(wire::Method method, std::uint32_t shard, const Write& write) {
  core::Request request;
  request.method = method;
  request.shard = shard;
  request.has_idempotency_key = write.idempotent || write.users_idempotency;
  request.user_idempotency_key = write.users_idempotency;
  const std::string key = std::to_string(submitted_.size() + 1);
  const std::string token = request.has_idempotency_key ? "token " + key : "";
  request.payload = std::make_shared<const std::string>(method == wire::Method::put
                                                            ? wire::encode(wire::PutRequest{key, "value", 0, token, {}})
                                                            : wire::encode(wire::RemoveRequest{key, token}));
  return submit(std::move(request), write.timeout, key);
}

inline Submitted Script::get(std::uint32_t shard, Read read) {
  core::Request request;
  request.method = wire::Method::get;
  request.shard = shard;
  request.consistency = read.consistency;
  request.consistency_text = read.text;
  const std::string key = std::to_string(submitted_.size() + 1);
  request.payload = std::make_shared<const std::string>(wire::encode_get(key));
  return submit(std::move(request), read.timeout, key);
}

// The key of an operation is its id: a request on the wire tells whom it is about.
inline Submitted Script::submit(core::Request request, Duration timeout, std::string key) {
  Submitted submitted;
  Submitted::State& state = *submitted.state_;
  state.id = request.id = core::OpId{std::stoull(key)};
  state.method = request.method;
  state.shard = request.shard;
  state.repeatable = request.repeatable();
  state.deadline = request.deadline = now_ + timeout;
  request.submitted = now_;
  submitted_.push_back(submitted);
  core::Callback callback = callback_of(submitted);
  session_.submit(std::move(request), std::move(callback), now_);
  settle();
  return submitted;
}

inline core::Callback Script::callback_of(const Submitted& submitted) {
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
  switch (submitted.state_->method) {
    case wire::Method::put:
      return PutCallback{[=](Result<Written> result) { tell_once(result, keep_version); }};
    case wire::Method::remove:
      return RemoveCallback{[=](Result<Removed> result) { tell_once(result, keep_version); }};
    default:
      return GetCallback{[=](Result<std::optional<Entry>> result) {
        tell_once(result, [](auto& state, auto& entry) { state.entry = std::move(entry); });
      }};
  }
}

inline Called Script::drain() {
  Called called;
  session_.drain([times = called.times_] { ++*times; });
  settle();
  return called;
}

inline Readiness Script::wait_ready(Need need, Duration timeout) {
  Readiness readiness;
  session_.wait_ready(need, now_ + timeout, [result = readiness.result_](Result<void> told) {
    REQUIRE(!*result);
    *result = std::move(told);
  });
  settle();
  return readiness;
}

inline std::size_t Script::pending() const {
  std::size_t count = 0;
  for (const Submitted& operation : submitted_) count += operation.pending() ? 1 : 0;
  return count;
}

// -- Servers ---------------------------------------------------------------------------------------------------------

inline OnWire Script::expect(wire::Method method, std::optional<std::size_t> node) {
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

inline bool Script::quiet() const {
  for (const auto& [id, request] : on_wire_) {
    if (!request.seen) return false;
  }
  return true;
}

inline void Script::answer(const OnWire& request, Answer answer) {
  REQUIRE(on_wire_.erase(request.id) == 1);
  answer.id = request.id;
  session_.on_reply(std::move(answer), now_);
  settle();
}

inline std::vector<OnWire> Script::unanswered() const {
  std::vector<OnWire> requests;
  for (const auto& [id, request] : on_wire_) requests.push_back(request);
  return requests;
}

inline void Script::show(std::size_t node, const wire::View& view) {
  REQUIRE(streaming(node));
  session_.on_view(streams_.at(node), view, now_);
  settle();
}

inline void Script::end_stream(std::size_t node, int code, std::string text) {
  REQUIRE(streaming(node));
  const core::WatchId id = streams_.at(node);
  streams_.erase(node);
  session_.on_stream_end({id, code, std::move(text)}, now_);
  settle();
}

inline void Script::end_cancelled_streams() {
  for (const core::WatchId id : std::exchange(cancelled_streams_, {})) {
    session_.on_stream_end({id, 1, "CANCELLED"}, now_);
    settle();
  }
}

// -- Time ------------------------------------------------------------------------------------------------------------

inline void Script::wait(Duration time) {
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

inline void Script::oversleep(Duration time) {
  now_ += time;
  session_.advance_to(now_);
  settle();
}

// -- What comes out of the session -----------------------------------------------------------------------------------

inline void Script::settle() {
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
    }
  }
  settling_ = false;
}

inline void Script::carry_out(core::Action action) {
  if (auto* call = std::get_if<core::Call>(&action)) {
    v1::GetRequest request;  // the key is the same field in all three requests; get ignores the others
    REQUIRE(request.ParseFromString(call->method == wire::Method::get ? *call->payload + call->suffix
                                                                      : wire::encode_get_of(*call->payload)));
    OnWire entry;
    entry.id = call->id;
    entry.method = call->method;
    entry.about = core::OpId{std::stoull(request.key())};
    entry.level = request.consistency();
    entry.shard = submitted_.at(std::stoull(request.key()) - 1).state_->shard;
    entry.started = now_;
    entry.deadline = call->deadline;
    while (address_of(entry.node) != call->address) REQUIRE(++entry.node < options_.nodes.size());
    check_start(*call, entry);
    REQUIRE(on_wire_.emplace(call->id, std::move(entry)).second);
  } else if (auto* watch = std::get_if<core::StartWatch>(&action)) {
    std::size_t node = 0;
    while (address_of(node) != watch->address) REQUIRE(++node < options_.nodes.size());
    REQUIRE(streams_.emplace(node, watch->id).second);  // one stream per node
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
inline void Script::check_start(const core::Call& call, const OnWire& request) const {
  const Submitted::State& state = *submitted_.at(static_cast<std::uint64_t>(request.about) - 1).state_;
  REQUIRE(call.deadline > now_);
  REQUIRE(state.told == 0);
  if (call.method == state.method) REQUIRE(call.deadline <= state.deadline);
  if (call.method == wire::Method::get) {
    REQUIRE(call.deadline <= now_ + options_.retry.attempt_timeout);
  } else {
    REQUIRE(call.method == state.method);
    std::uint32_t writes = 0;
    for (const auto& [id, other] : on_wire_) {
      if (other.method != wire::Method::get && other.shard == request.shard) ++writes;
    }
    const std::uint32_t limit = options_.writes.in_flight_per_shard;
    REQUIRE((limit == 0 || writes < limit));
  }
}

inline void Script::tell(core::Completion completion) {
  std::visit(
      [&](auto& callback) {
        using Kind = std::decay_t<decltype(callback)>;
        if constexpr (std::is_same_v<Kind, PutCallback>) {
          callback(completion.outcome.map([](const core::Success& success) { return Written{success.version}; }));
        } else if constexpr (std::is_same_v<Kind, RemoveCallback>) {
          callback(completion.outcome.map([](const core::Success& success) { return Removed{success.version}; }));
        } else if constexpr (std::is_same_v<Kind, GetCallback>) {
          callback(completion.outcome.map([](const core::Success& success) { return success.entry; }));
        } else {
          FAIL("a completion without a callback");
        }
      },
      completion.callback);
}

/// Each event begins where the last one ended, as a whole and for each shard.
inline void Script::record(TopologyEvent event) {
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

}  // namespace norikv::test
