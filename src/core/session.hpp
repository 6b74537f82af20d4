#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include <norikv/client.hpp>
#include <norikv/cluster.hpp>
#include <norikv/options.hpp>

#include "core/cluster_state.hpp"
#include "core/collision_detector.hpp"
#include "core/counters.hpp"
#include "core/ids.hpp"
#include "core/node_counters.hpp"
#include "core/request_op.hpp"
#include "core/retry_budget.hpp"
#include "core/router.hpp"
#include "core/shard_lanes.hpp"
#include "core/timer_queue.hpp"
#include "core/token_cache.hpp"
#include "core/transport.hpp"
#include "core/watch_op.hpp"
#include "util/random.hpp"
#include "util/recycler.hpp"

namespace norikv::core {

// What the session asks of the transport.
struct StartWatch {
  WatchId id{};
  std::string address;
  Metadata metadata{};
};
struct CancelCall {
  CallId id{};
};
struct CancelWatch {
  WatchId id{};
};
/// Connections to these nodes, and to no others.
struct Retain {
  std::vector<std::string> addresses;
};
using Action = std::variant<Call, StartWatch, CancelCall, CancelWatch, Retain>;

// What the session has for users, in the order in which it came about.
struct Completion {
  Callback callback;
  Outcome outcome;
  std::optional<Ticket> ticket;  ///< What admission gives back; none if it refused.
};
struct ReadyResult {
  ReadyCallback callback;
  Result<void> result;
};
/// A task that keeps its place among the deliveries: a drain barrier, a new subscriber's replay.
struct Deferred {
  Task task;
};
/// An update asks its user what to store. The driver runs `update` with `found` unless `undecided` says that the
/// operation has ended, and hands both back to `on_decided`.
struct Decide {
  OpId operation{};
  std::optional<Entry> found;
  UpdateFunction update;
  bool wants_idempotency_key = false;  ///< A fresh one, for what is stored in this round.
};
/// For the observer, in its place before the callback that it is about.
using Observation = std::variant<OperationStart, AttemptStart, AttemptEnd, RetryPlan, OperationEnd>;
/// The token source has to be asked, unless nobody awaits it any more.
struct AskToken {
  TokenCache::Ask ask;
};
using Delivery = std::variant<Completion, ReadyResult, Deferred, Decide, TopologyEvent, ConnectionEvent, WarningEvent,
                              Observation, AskToken>;

// What observation costs is measured against a session that is compiled without it (tests/cost).
#ifdef NORIKV_UNOBSERVABLE
inline constexpr bool observable = false;
#else
inline constexpr bool observable = true;
#endif

/// The whole client without a world: no clock, no thread, no socket. An input changes state and appends to two lists,
/// actions and deliveries; the driver carries them out after the input returned, so nothing is ever re-entered.
/// `finish` is the only function that completes an operation. [one thread]
class Session {
 public:
  Session(const ClientOptions& options, std::uint64_t seed);

  // Inputs. Time only comes from here, and never goes back.
  void start(TimePoint now);
  void submit(Request request, Callback callback, TimePoint now);
  void cancel(OpId id, TimePoint now) { fail(id, ErrorCode::cancelled, "cancelled", now); }
  /// Its number, for `cancel_wait`.
  std::uint64_t wait_ready(Need need, TimePoint deadline, ReadyCallback callback);
  void cancel_wait(std::uint64_t id);
  /// The nodes the user names from now on; at least one, all well-formed.
  void set_nodes(const std::vector<std::string>& addresses, TimePoint now);
  /// Connections are made in another way from now on: topology streams move to new ones.
  void reopen_streams(TimePoint now);
  /// `callback` is delivered when everything submitted so far has been.
  void drain(Task callback);
  /// An operation that was refused before it became one.
  void refuse(Callback callback, Error error, OperationKind kind, TimePoint now);
  /// Delivers `task` after everything that is to be delivered now.
  void defer(Task task) { deliveries_.emplace_back(Deferred{std::move(task)}); }
  /// What the user decided, or why that can't be stored.
  void on_decided(Decide decided, Result<Change> change, std::string_view idempotency_key, TimePoint now);
  void on_reply(Reply reply, TimePoint now);
  void on_view(WatchId id, wire::LeaderView view, TimePoint now);
  void on_stream_end(const StreamEnd& end, TimePoint now);
  /// What the token source says to an `AskToken`.
  void on_token(AskId id, tl::expected<Token, std::string> answer, TimePoint now);
  void advance_to(TimePoint now);
  /// No operation is accepted from now on; what is pending may finish until `grace` is over. Again: the shorter grace
  /// counts.
  void close(Duration grace, TimePoint now);

  // Outputs.
  /// Kept until the next time.
  [[nodiscard]] std::span<Action> take_actions() {
    taken_actions_.clear();
    taken_actions_.swap(actions_);
    return taken_actions_;
  }
  [[nodiscard]] std::pmr::deque<Delivery>& deliveries() { return deliveries_; }
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return timers_.next_deadline(); }

  /// What admission has counted for an operation that waits for the user's decision; null if it has ended.
  [[nodiscard]] Ticket* undecided(OpId id) {
    RequestOp* op = find(id);
    return op == nullptr ? nullptr : &op->request.ticket;
  }
  /// Whether something is pending that a callback waits for.
  [[nodiscard]] bool busy() const;
  /// Whether an answer to this request for a token is of use.
  [[nodiscard]] bool awaits(AskId id) const;
  /// Closing, and nothing that was promised is left: the transport may go.
  [[nodiscard]] bool closed() const { return closing_ && operations_.empty() && ready_.empty(); }

  /// What is kept at this moment: without topology streams all of it is 0 once everything has come home.
  struct Held {
    std::size_t operations = 0, calls = 0, searches = 0, timers = 0, remembered_writes = 0, queued = 0, keys = 0;
  };
  [[nodiscard]] Held held() const;
  /// Nodes that are kept account of, those included that were removed and may come back.
  [[nodiscard]] std::size_t nodes_kept() const { return nodes_.size(); }

  [[nodiscard]] const std::shared_ptr<const ClusterView>& cluster() const { return cluster_.snapshot(); }
  [[nodiscard]] const LeaderTable& leader_table() const { return cluster_.leader_table(); }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] NodeCounterList node_counters() const;
  /// The state of each topology stream, for a new subscriber.
  [[nodiscard]] std::vector<ConnectionEvent> connection_states() const;

 private:
  struct KeyLock {
    std::string key;
    OpId holder{};
  };
  struct SettlingKey {
    std::string key;
    TimerId timer;
  };
  // A request on the wire. Without its operation it is a ghost: nobody waits for it, but its node and its lane do.
  struct CallRecord {
    std::optional<OpId> operation;
    std::size_t node = 0;
    std::uint32_t shard = 0;
    std::uint32_t lane = 0;
    wire::Method method{};
    Dialect dialect = Dialect::server;
    std::uint32_t number = 0;  // among the attempts of its operation
    bool in_lane = false;
    bool given_up = false;  // the transport was told to end it
    bool trial = false;     // one of the few that are sent to a node that does not answer
    TimePoint started{};
    std::uint64_t token = 0;                    // which token it carries; 0 = none
    TimerId moved_timer{};                      // runs while another node is believed to lead the shard
    std::shared_ptr<const KeyLock> key_lock{};  // of a ghost, until it has come home
  };
  // The search for one shard's leader: one prober goes around, all others wait.
  struct Discovery {
    std::optional<OpId> prober;
    std::deque<OpId> waiters;
    std::vector<Attempt> attempts;  // of probes of our own, for the errors of those who wait
    std::uint32_t attempts_made = 0;
  };
  struct Queued {
    OpId id{};
    std::uint32_t shard = 0;
  };
  // The topology stream to a node.
  struct Watch {
    WatchOp op;
    std::optional<WatchId> stream;
    TimerId timer;
    bool opened_before = false;
    bool awaits_token = false;
    std::uint64_t token = 0;          // which one it carries
    std::uint64_t refused_token = 0;  // the last one that the node refused
    std::string trouble{};            // why it ended last
  };
  struct Node {
    Dialect dialect = Dialect::server;
    std::uint32_t silent_calls = 0;  // in a row that ran out of time
    std::size_t on_wire = 0;         // requests, ghosts included
    std::size_t trials = 0;          // of them
    std::deque<TimePoint> settling;  // when the places of ghosts whose outcome is unknown become free, in order
    std::deque<Queued> queue;        // operations that wait for a place
    TimerId slot_timer;              // while somebody waits and places settle
    TimerId view_timer;              // while some of a view is left to be taken in
    std::optional<Watch> watch;      // none without topology streams
    std::shared_ptr<NodeCounters> counters = std::make_shared<NodeCounters>();
  };
  struct ReadyWaiter {
    Need need{};
    ReadyCallback callback;
    TimerId timer;
  };
  // Operations since one barrier, and the barrier's callbacks.
  struct Generation {
    std::uint64_t live = 0;
    std::vector<Task> barriers;
  };

  // session.cpp: the life of an operation
  void finish(OpId id, Outcome outcome, TimePoint now);
  void drop_calls(RequestOp& op, ErrorCode why, TimePoint now);
  void fail(OpId id, ErrorCode code, std::string_view why, TimePoint now);
  void run_out_of_time(OpId id, TimePoint now);
  void leave_generation(std::uint64_t generation);
  void on_timer(const TimerToken& token, TimePoint now);
  void enter_lane(RequestOp& op, TimePoint now);
  void start_from_lane(std::uint32_t lane, TimePoint now);
  void release_lane(std::uint32_t lane, bool outcome_unknown, TimePoint now);
  void fail_all(TimePoint now);
  void count(const RequestOp& op, const Outcome& outcome, TimePoint now);
  [[nodiscard]] RequestOp* find(OpId id);
  RequestOp& add(Request request, Callback callback, RequestOp::Origin origin);
  /// The first of the operations on a shard; the others are behind it.
  [[nodiscard]] RequestOp* operations_of(std::uint32_t shard) const { return by_shard_[shard]; }

  // session_conditional.cpp: writes that look first
  [[nodiscard]] bool locks_key(const RequestOp& op) const;
  void leave_key(const std::string& key, OpId holder, ShardLanes::Leave how, TimePoint now);
  void on_key_settled(OpId holder, TimePoint now);
  void look_again(RequestOp& op);
  void on_looked(RequestOp& op, std::optional<Entry> found, TimePoint now);
  [[nodiscard]] bool looks_again_after(const RequestOp& op, const Verdict& verdict) const;

  // session_routing.cpp: from an operation to a request
  void route(RequestOp& op, TimePoint now);
  void send(RequestOp& op, std::size_t node, TimePoint now);
  [[nodiscard]] bool asks(const RequestOp& op, std::size_t node) const;
  [[nodiscard]] bool takes(const RequestOp& op, std::size_t node, TimePoint now) const;
  [[nodiscard]] std::optional<TimePoint> next_round(RequestOp& op, TimePoint now);
  void launch(RequestOp& op, std::size_t node, AttemptReason reason, TimePoint now);
  void pause(RequestOp& op, TimePoint until);
  void schedule_second(RequestOp& op, TimePoint now);
  void send_second(RequestOp& op, TimePoint now);
  [[nodiscard]] bool has_place(std::size_t node) const;
  void start_queued(std::size_t node, TimePoint now);
  void leave_queue(RequestOp& op);
  void reroute_queued(const ClusterState::Change& change, TimePoint now);
  void watch_moved_calls(const ClusterState::Change& change, TimePoint now);
  void watch_moved_call(CallId id, TimePoint now);
  void give_up_moved(CallId id, TimePoint now);
  void make_ghost(RequestOp& op, CallId id);

  // session_discovery.cpp: the search for a leader
  void await_leader(RequestOp& op, TimePoint now);
  void start_probe(std::uint32_t shard, TimePoint now);
  [[nodiscard]] wire::Payload get_beside_vectors();
  void leave_discovery(RequestOp& op);
  void settle_discovery(std::uint32_t shard, TimePoint now);
  void release_confirmed(TimePoint now);
  void release_waiters(std::uint32_t shard, TimePoint now);

  // session_replies.cpp: what an answer means
  void take_reply(RequestOp& op, const CallRecord& call, Reply& reply, TimePoint now);
  void carry_out(RequestOp& op, const CallRecord& call, const RequestOp::Decision& decision, TimePoint now);
  void wait_until(RequestOp& op, TimePoint until, TimePoint now);
  void on_success(RequestOp& op, const CallRecord& call, Success success, TimePoint now);
  void on_failure(RequestOp& op, const CallRecord& call, const Verdict& verdict, const Metadata& metadata,
                  TimePoint now);
  void record_attempt(RequestOp& op, const CallRecord& call, ErrorCode code, std::string_view detail, TimePoint now);
  [[nodiscard]] std::optional<std::size_t> usable_hint(const RequestOp& op, const CallRecord& call,
                                                       const Verdict& verdict, const Metadata& metadata) const;
  void learn_from_failure(RequestOp& op, const CallRecord& call, const Verdict& verdict,
                          std::optional<std::size_t> hint, const RequestOp::Decision& decision, TimePoint now);
  void on_silence(const CallRecord& call, TimePoint now);
  void count_node_failure(std::size_t node, TimePoint now);
  void detect_collision(const RequestOp& op, const CallRecord& call, Version version, TimePoint now);
  void warn_of_collision(std::uint32_t shard, const CollisionDetector::Write& one,
                         const CollisionDetector::Write& other);

  // session_observation.cpp: what observers are told, and what is counted for each node
  [[nodiscard]] bool observed() const { return observable && observed_; }
  void observe_start(const RequestOp& op, TimePoint now);
  void observe_attempt(const RequestOp& op, const CallRecord& call, AttemptReason reason);
  void observe_attempt_end(const RequestOp& op, const CallRecord& call, std::optional<ErrorCode> error, TimePoint now);
  void observe_retry(const RequestOp& op, const CallRecord& call, const Verdict& verdict,
                     const RequestOp::Decision& decision, TimePoint now);
  void observe_end(const RequestOp& op, const Outcome& outcome, TimePoint now);
  void count_sent(const CallRecord& call);
  void count_come_home(const CallRecord& call);
  void count_given_up(const CallRecord& call);
  void count_failure(const CallRecord& call, const Verdict& verdict, TimePoint now);
  void count_success(const CallRecord& call, TimePoint now);
  void count_queue(std::size_t node);
  void count_breaker(std::size_t node);

  // session_tokens.cpp: requests and streams that carry a token
  [[nodiscard]] bool may_send(std::uint64_t refused_token, TimePoint now);
  std::uint64_t add_token(Metadata& metadata, TimePoint now);
  void await_token(RequestOp& op, TimePoint now);
  void leave_token_waiters(RequestOp& op, TimePoint now);
  void watch_token_source(TimePoint now);
  void on_token_timer(TimePoint now);
  void go_on_with_token(TimePoint now);
  void end_without_token(TimePoint now);

  // session_cluster.cpp: what is known about the cluster
  void on_news_of(std::size_t node, const ClusterState::Change& change, TimePoint now);
  void apply(const ClusterState::Change& change, TimePoint now);
  void add_node(std::size_t node, TimePoint now);
  void remove_node(std::size_t node, TimePoint now);
  void forget_nodes(TimePoint now);
  void carry_out(std::size_t node, const WatchOp::Step& step, const std::string& detail, TimePoint now);
  void warn_of_shard_count(std::size_t node, std::uint32_t shard, std::string_view what);
  void node_answered(std::size_t node, TimePoint now);
  void check_ready();
  [[nodiscard]] std::string why_not_ready() const;
  void end_ready(std::uint64_t id, Result<void> result);
  [[nodiscard]] bool is_ready(Need need) const;

  util::Recycler memory_;  // of what every operation needs
  ClientOptions options_;
  util::Random random_;
  Counters counters_;
  TimerQueue timers_;
  ClusterState cluster_;
  Router router_;
  ShardLanes lanes_;
  RetryBudget budget_;
  TokenCache tokens_;
  CollisionDetector collisions_;
  KeyLocks key_locks_;
  std::unordered_map<OpId, SettlingKey> settling_keys_;  // by holder: what it wrote may still be carried out
  std::deque<OpId> key_turns_;                           // those whose turn has come, the first one is being let in

  std::pmr::unordered_map<OpId, RequestOp> operations_{&memory_};
  std::vector<RequestOp*> by_shard_;  // heads of the lists of operations
  std::pmr::unordered_map<CallId, CallRecord> calls_{&memory_};
  std::unordered_map<std::uint32_t, Discovery> discoveries_;
  std::vector<Node> nodes_;  // by number, absent ones included
  std::unordered_map<WatchId, std::size_t> streams_;
  std::unordered_map<std::uint32_t, TimerId> lane_timers_;  // by lane
  std::set<OpId> token_waiters_;
  TimerId token_timer_;  // while somebody waits
  std::map<std::uint64_t, ReadyWaiter> ready_;
  std::deque<Generation> generations_{1};
  std::uint64_t first_generation_ = 0;

  wire::Payload vector_probe_;  // once it was needed

  std::uint64_t next_call_ = 1;
  std::uint64_t next_watch_ = 1;
  std::uint64_t next_ready_ = 1;
  std::uint64_t next_probe_ = 0;
  const bool observed_;
  bool started_ = false;
  bool closing_ = false;
  bool failing_all_ = false;    // nothing new is started
  bool nodes_changed_ = false;  // by this input: their health, among others
  TimePoint grace_ends_{};
  TimerId grace_timer_;

  std::vector<Action> actions_;
  std::vector<Action> taken_actions_;
  std::pmr::deque<Delivery> deliveries_{&memory_};
};

/// Ids of probes have the highest bit set; those of users don't.
inline constexpr std::uint64_t probe_id_bit = std::uint64_t{1} << 63;

}  // namespace norikv::core
