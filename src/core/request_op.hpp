#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <norikv/admin.hpp>
#include <norikv/client.hpp>
#include <norikv/observer.hpp>
#include <norikv/vectors.hpp>

#include "core/admission.hpp"
#include "core/conditional.hpp"
#include "core/consistency.hpp"
#include "core/ids.hpp"
#include "core/router.hpp"
#include "core/shard_lanes.hpp"
#include "core/status_policy.hpp"
#include "core/timer_queue.hpp"
#include "wire/wire.hpp"

namespace norikv::core {

/// The lane of all writes of vectors, beside those of the shards: they share shard 0 with some keys, and do not wait
/// for these.
inline constexpr std::uint32_t vector_lane = 0xffffffff;

/// What an operation with this method alone does for its caller.
[[nodiscard]] OperationKind kind_of(wire::Method method);

/// What is asked of the session. Encoded and checked by whoever submits it.
struct Request {
  OpId id{};
  wire::Method method{};  ///< Any but watch_cluster.
  std::uint32_t shard = 0;
  wire::Payload payload;  ///< For a read: without its consistency.
  Consistency consistency = Consistency::lease;
  std::optional<std::string> consistency_text;
  std::optional<Version> expected;  ///< The precondition of a put.
  bool has_idempotency_key = false;
  bool user_idempotency_key = false;  ///< Its text came from the user: it may have been used before.
  Ticket ticket;                      ///< What admission counted.
  TimePoint submitted{};
  TimePoint deadline{};
  std::shared_ptr<const TraceContext> trace;  ///< Sent along with every attempt; null = none.
  std::optional<Conditional> conditional;     ///< It reads and decides before it writes.
  ScopeRef scope;                             ///< Taken out by whoever submits it: the session knows no scopes.
  std::optional<OperationKind> purpose;       ///< What it does for its caller, if the method alone does not tell.

  [[nodiscard]] Effect effect() const { return effect_of(method); }
  [[nodiscard]] OperationKind kind() const { return purpose ? *purpose : kind_of(method); }
  /// The lane that keeps it apart from other writes.
  [[nodiscard]] std::uint32_t lane() const { return wire::is_vector(method) ? vector_lane : shard; }
  /// What it takes of the lane: administration can harm every write that is under way.
  [[nodiscard]] ShardLanes::Share share() const {
    return wire::is_admin(method) ? ShardLanes::Share::all : ShardLanes::Share::one;
  }
  /// Whether only a leader answers it with success, which makes success a proof of leadership.
  [[nodiscard]] bool proves_leader() const {
    return effect() == Effect::write || (!consistency_text && needs_leader(consistency));
  }
};

using Callback = std::variant<std::monostate, PutCallback, GetCallback, RemoveCallback, UpdateCallback,
                              IndexCreatedCallback, IndexDroppedCallback, VectorInsertedCallback, VectorRemovedCallback,
                              VectorSearchCallback, VectorGetCallback, ShardInfoCallback>;

/// What a successful operation brings back: the version of a write, the entry of a read, how an update ended, or what a
/// service tells.
using Success = std::variant<Version, std::optional<Entry>, Updated, IndexCreated, IndexDropped, VectorInserted,
                             VectorRemoved, VectorMatches, std::optional<std::vector<float>>, ShardInfo>;
using Outcome = Result<Success>;

/// Calls a callback with what it is meant to be given; an empty one is passed over.
void tell(Callback& callback, Outcome outcome);

/// One operation from submit to its end: how often it was tried, what went wrong, and what that means for the next
/// step. It decides; the session (its owner) carries out. A probe is a `RequestOp` of the session's own, without a
/// callback.
class RequestOp {
 public:
  /// Who wants it: a user, or the session itself to find a leader.
  enum class Origin : std::uint8_t { user, session };

  RequestOp(Request what, Callback whom_to_tell, Origin from)
      : request(std::move(what)),
        callback(std::move(whom_to_tell)),
        internal(from == Origin::session),
        step{request.method, request.payload} {
    if (request.conditional) step = {wire::Method::get, request.conditional->look};
  }

  /// What the next attempt sends: the request itself, or a step on the way to it.
  struct Step {
    wire::Method method{};
    wire::Payload payload;
  };

  /// What to do next.
  struct Decision {
    enum class Kind : std::uint8_t {
      route,   ///< Find a node: the leader, or wait for one.
      repeat,  ///< Send to the node that answered, at once.
      wait,    ///< Wait until `until`, then route.
      finish,  ///< It is over: `error`.
    };
    Kind kind = Kind::finish;
    TimePoint until{};
  };

  /// What a decision depends on beside the verdict.
  struct Situation {
    const RetryOptions& retry;
    const Router& router;
    std::size_t node = 0;     ///< That was asked.
    bool hinted = false;      ///< It named another node, which is worth following.
    bool moved = false;       ///< The attempt was given up because another node leads the shard now.
    std::uint64_t token = 0;  ///< Which token the attempt carried; 0 = none.
    Duration settle{0};       ///< How long a write must stay away from its lane after an unknown outcome.
    TimePoint now{};
    double fraction = 1;  ///< A random number in (0, 1].
  };
  /// After a failed attempt.
  [[nodiscard]] Decision after(const Verdict& verdict, const Situation& situation);

  void record_attempt(const std::string& node, ErrorCode outcome, std::string_view detail, Duration duration);

  /// The error this operation ends with after its last failed attempt.
  [[nodiscard]] Error last_error() const;
  /// The error for an end from outside: out of time, cancelled, closed, refused.
  [[nodiscard]] Error ended(ErrorCode code, std::string_view why) const;

  /// Whether the last node refused both names of the consistency level.
  [[nodiscard]] bool every_dialect_refused() const { return every_dialect_refused_; }
  /// Whether it takes a place in a lane: an operation that writes, or may come to do so.
  [[nodiscard]] bool uses_lane() const { return request.effect() == Effect::write; }
  /// What the attempt at hand does to the server.
  [[nodiscard]] Effect effect() const { return effect_of(step.method); }
  /// Whether carrying the attempt out twice is the same as once.
  [[nodiscard]] bool repeatable() const { return effect() == Effect::read || request.has_idempotency_key; }
  /// Whether only a leader answers the attempt with success, which makes success a proof of leadership.
  [[nodiscard]] bool proves_leader() const { return effect() == Effect::write || request.proves_leader(); }

  /// Whether it finds the leader by itself, asking each node what it is about: a search for the leader reads a key, and
  /// that would bring a shard about that is not there.
  [[nodiscard]] bool asks_around() const { return wire::is_admin(request.method); }

  [[nodiscard]] bool on_wire() const { return call != CallId{}; }
  /// Both places are taken.
  [[nodiscard]] bool twice_on_wire() const { return second_call != CallId{}; }
  void add_call(CallId id) { (on_wire() ? second_call : call) = id; }
  void drop_call(CallId id) {
    if (id == call)
      call = std::exchange(second_call, CallId{});
    else if (id == second_call)
      second_call = CallId{};
  }
  /// A pause begins because nobody is left to be asked in this round: its end.
  [[nodiscard]] TimePoint after_round(const Backoff& backoff, TimePoint now, double fraction);
  /// After a pause, if it has paused: everybody may have learned something meanwhile.
  void pause_is_over();
  /// Whether the node has refused this operation since it last paused.
  [[nodiscard]] bool refused_by(std::size_t asked) const;
  [[nodiscard]] const std::vector<std::size_t>& refusing() const { return refused_by_; }
  [[nodiscard]] std::uint32_t hint_hops() const { return hint_hops_; }
  /// Marks the nodes that it knows by their numbers, those aside that are only out of turn in its round.
  void mark_nodes(std::vector<bool>& marks) const;
  /// When the node may be asked again, as it has wished.
  [[nodiscard]] TimePoint not_before(std::size_t asked) const;

  Request request;
  Callback callback;
  const bool internal;
  Step step;

  Phase phase = Phase::queued;
  bool in_lane = false;               ///< A write that holds a place in its shard's lane.
  bool awaits_leader = false;         ///< It is among those who wait for the search to end.
  bool probing = false;               ///< It asks around for the leader of its shard, for all who wait.
  bool wants_leader = true;           ///< Only the leader will do.
  bool outcome_unknown = false;       ///< Some attempt may have been applied.
  bool last_outcome_unknown = false;  ///< The last one; a lane settles after it.
  std::optional<std::size_t> prefer;  ///< Ask this node first once more: an idempotency key counts on one server only.
  std::optional<std::size_t> node;    ///< The last node that was asked.
  CallId call{};                      ///< The attempt on the wire, in phase `sent` ...
  CallId second_call{};               ///< ... and one beside it: of a search for a leader, or a hedged read.
  bool awaits_token = false;          ///< In phase `awaiting_token`.
  std::uint64_t refused_token = 0;    ///< The last token that it was refused; 0 = none.
  std::optional<std::size_t> hinted;  ///< The node that one which refused has named, until it is asked.
  AttemptReason reason{};             ///< Why the next attempt is made.
  std::uint32_t launched = 0;         ///< Attempts so far, those on the wire included.
  std::optional<std::size_t> queued_at;    ///< The node whose requests it waits behind.
  std::optional<std::size_t> has_turn_at;  ///< The node at which it has waited long enough.
  Rotation rotation;
  TimerId deadline_timer;
  TimerId wake_timer;
  TimerId second_timer;
  std::uint64_t generation = 0;  ///< Which drain barrier it belongs to.
  RequestOp* before = nullptr;   ///< Of the operations on its shard.
  RequestOp* behind = nullptr;

  std::vector<Attempt> attempts;
  std::uint32_t attempts_made = 0;

 private:
  [[nodiscard]] Decision wait(const Backoff& backoff, std::uint32_t retry, Duration at_least,
                              const Situation& situation);

  void wish(std::size_t asked, TimePoint not_before);

  std::uint64_t first_refused_token_ = 0;  // another one is tried, once
  std::uint32_t refusals_ = 0;
  bool shard_exists_ = false;  // says a node that refused
  std::uint32_t unreachable_ = 0;
  std::uint32_t ambiguous_ = 0;
  bool every_dialect_refused_ = false;
  bool pauses_ = false;                        // it waits, or is to wait, for a back-off
  std::vector<std::size_t> level_refused_by_;  // nodes that do not know the level in one dialect
  std::uint32_t hint_hops_ = 0;                // since the last pause
  std::vector<std::size_t> refused_by_;        // since the last pause
  struct Wish {
    std::size_t node = 0;
    TimePoint not_before{};
  };
  std::vector<Wish> wishes_;  // of nodes that ask for time, one of each
  Verdict last_verdict_;
};

/// Attempts of an error beyond this many are left out in the middle: the first ones and the last ones tell the story.
inline constexpr std::size_t max_recorded_attempts = 16;

/// Appends to a list of attempts, keeping it within `max_recorded_attempts`.
void append_attempt(std::vector<Attempt>& attempts, Attempt attempt);

}  // namespace norikv::core
