#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/session.hpp"
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
inline constexpr wire::Method an_insert = wire::Method::vector_insert;
inline constexpr wire::Method a_search = wire::Method::vector_search;
inline constexpr wire::Method a_vector_get = wire::Method::vector_get;
inline constexpr wire::Method a_snapshot = wire::Method::snapshot_shard;
inline constexpr wire::Method a_transfer = wire::Method::transfer_shard;

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
Answer written(std::uint64_t index);
Answer removed(std::uint64_t index);
Answer found(std::string value, std::uint64_t index = 1);
inline Answer missing() { return ok(""); }
Answer inserted(std::uint64_t index);
Answer shard_info(std::uint32_t shard);
inline Answer no_matches() { return ok(""); }
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
wire::View view_of(std::size_t node, std::uint64_t epoch, const std::vector<std::uint32_t>& leads,
                   const std::vector<std::uint32_t>& follows = {});

// -- What a user asks, and is told -----------------------------------------------------------------------------------

struct Write {
  Duration timeout = std::chrono::seconds{5};
  bool idempotent = false;         ///< With a key that the client drew.
  bool users_idempotency = false;  ///< With a key of the user's.
  std::optional<core::Conditional::Kind> look_first{};
  std::optional<Version> expected{};
  std::uint32_t max_rounds = 8;
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
  [[nodiscard]] const std::optional<Updated>& updated() const { return state_->updated; }
  [[nodiscard]] core::OpId id() const { return state_->id; }

 private:
  friend class Script;
  struct State {
    core::OpId id{};
    wire::Method method{};
    std::uint32_t shard = 0;
    TimePoint deadline{};
    bool proves_leader = true;
    int told = 0;
    std::optional<Error> error;
    Version version;
    std::optional<Entry> entry;
    std::optional<Updated> updated;
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
  bool probe = false;  ///< It is the session's own search for a leader.
  std::string token;   ///< The metadata `authorization`; empty = none.
  TimePoint started{};
  TimePoint deadline{};
  bool seen = false;       ///< By `expect`.
  bool cancelled = false;  ///< The session gave it up; its answer still has to come.
  core::Metadata metadata{};

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
  [[nodiscard]] const Error& error() const { return (*result_)->error(); }

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
  Submitted put(std::uint32_t shard, Write write = {}) { return submit(a_put, shard, write); }
  Submitted remove(std::uint32_t shard, Write write = {}) { return submit(a_remove, shard, write); }
  Submitted get(std::uint32_t shard, Read read = {});
  Submitted insert_vector(Write write = {});
  Submitted search_vectors(Read read = {}) { return read_vectors(a_search, std::move(read)); }
  Submitted get_vector(Read read = {}) { return read_vectors(a_vector_get, std::move(read)); }
  Submitted snapshot(std::uint32_t shard, Duration timeout = std::chrono::seconds{5}) {
    return administer(a_snapshot, shard, timeout);
  }
  Submitted transfer(std::uint32_t shard, Duration timeout = std::chrono::seconds{5}) {
    return administer(a_transfer, shard, timeout);
  }
  /// `key` makes several updates work on one key; none = its own.
  Submitted update(std::uint32_t shard, std::function<Change(const std::optional<Entry>&)> function, Write write = {},
                   std::string key = {});
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

  void reopen_streams() {
    session_.reopen_streams(now_);
    settle();
  }

  /// The token that the stream to a node carries; empty = none.
  [[nodiscard]] const std::string& stream_token(std::size_t node) const { return stream_tokens_.at(node); }

  // The token source. Requests for a token, as its user gets them, are in `asked`; the latest one is answered.
  void give_token(std::string text, std::optional<Duration> lifetime = {});
  void refuse_token(std::string why);
  std::vector<core::TokenCache::Ask> asked;

  // Time. `wait` is punctual: each timer runs at its moment. `oversleep` is a loop that was blocked: all that came due
  // runs at the end.
  void wait(Duration time);
  void oversleep(Duration time);
  [[nodiscard]] TimePoint now() const { return now_; }

  // What users saw.
  std::vector<TopologyEvent> topology;
  std::vector<ConnectionEvent> connections;
  std::vector<WarningEvent> warnings;
  std::vector<core::Observation> observations;  ///< With an observer in the options.

  /// The trace context of what is submitted from now on.
  std::shared_ptr<const TraceContext> trace;

  [[nodiscard]] core::Session& session() { return session_; }
  [[nodiscard]] const core::Counters& counters() const { return session_.counters(); }
  [[nodiscard]] std::int32_t leader(std::uint32_t shard) const { return session_.cluster()->shards[shard].leader; }
  /// Operations whose users wait.
  [[nodiscard]] std::size_t pending() const;
  [[nodiscard]] const std::vector<Submitted>& submitted() const { return submitted_; }

 private:
  Submitted submit(wire::Method method, std::uint32_t shard, const Write& write);
  Submitted submit(core::Request request, Duration timeout, std::string key);
  Submitted read_vectors(wire::Method method, Read read);
  Submitted administer(wire::Method method, std::uint32_t shard, Duration timeout);
  [[nodiscard]] core::OpId about(const core::Call& call) const;
  [[nodiscard]] static std::string level_of(const core::Call& call);
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
  std::map<std::size_t, std::string> stream_tokens_;
  std::vector<core::WatchId> cancelled_streams_;
  std::map<std::uint32_t, std::string> leaders_;
};

/// Makes the node the known leader of the shard, by an answer.
void lead(Script& script, std::uint32_t shard, std::size_t node);

}  // namespace norikv::test
