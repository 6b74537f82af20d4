#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <norikv/client.hpp>

#include "core/consistency.hpp"
#include "core/ids.hpp"
#include "core/router.hpp"
#include "core/status_policy.hpp"
#include "core/timer_queue.hpp"
#include "wire/wire.hpp"

namespace norikv::core {

[[nodiscard]] constexpr Effect effect_of(wire::Method method) {
  return method == wire::Method::get ? Effect::read : Effect::write;
}

/// What is asked of the session. Encoded and checked by whoever submits it.
struct Request {
  OpId id{};
  wire::Method method{};  ///< put, get or remove
  std::uint32_t shard = 0;
  wire::Payload payload;  ///< For a get: without its consistency.
  Consistency consistency = Consistency::lease;
  std::optional<std::string> consistency_text;
  std::optional<Version> expected;  ///< The precondition of a put.
  bool has_idempotency_key = false;
  bool user_idempotency_key = false;  ///< Its text came from the user: it may have been used before.
  std::size_t bytes = 0;              ///< What admission counted.
  TimePoint submitted{};
  TimePoint deadline{};

  [[nodiscard]] Effect effect() const { return effect_of(method); }
  /// Whether carrying it out twice is the same as once.
  [[nodiscard]] bool repeatable() const { return effect() == Effect::read || has_idempotency_key; }
  /// Whether only a leader answers it with success, which makes success a proof of leadership.
  [[nodiscard]] bool proves_leader() const {
    return effect() == Effect::write || (!consistency_text && needs_leader(consistency));
  }
};

using Callback = std::variant<std::monostate, PutCallback, GetCallback, RemoveCallback>;

/// What a successful operation brings back: the version of a write, or the entry of a read.
struct Success {
  Version version;
  std::optional<Entry> entry;
};
using Outcome = Result<Success>;

/// One operation from submit to its end: how often it was tried, what went wrong, and what that means for the next
/// step. It decides; the session (its owner) carries out. A probe is a `RequestOp` of the session's own, without a
/// callback.
class RequestOp {
 public:
  /// Who wants it: a user, or the session itself to find a leader.
  enum class Origin : std::uint8_t { user, session };

  RequestOp(Request what, Callback whom_to_tell, Origin from)
      : request(std::move(what)), callback(std::move(whom_to_tell)), internal(from == Origin::session) {}

  /// What to do next.
  struct Decision {
    enum class Kind : std::uint8_t {
      route,   ///< Find a node: the leader, or wait for one.
      repeat,  ///< Send to the same node at once.
      wait,    ///< Wait until `until`, then route.
      finish,  ///< It is over: `error`.
    };
    Kind kind = Kind::finish;
    TimePoint until{};
  };

  /// After a failed attempt. `fraction` is a random number in (0, 1]; `settle` is how long a write must stay away from
  /// its lane after an unknown outcome.
  [[nodiscard]] Decision after(const Verdict& verdict, const RetryOptions& retry, const Router& router, Duration settle,
                               TimePoint now, double fraction);

  void record_attempt(const std::string& node, ErrorCode outcome, std::string_view detail, Duration duration);

  /// The error this operation ends with after its last failed attempt.
  [[nodiscard]] Error last_error() const;
  /// The error for an end from outside: out of time, cancelled, closed, refused.
  [[nodiscard]] Error ended(ErrorCode code, std::string_view why) const;

  /// Whether the last node refused both names of the consistency level.
  [[nodiscard]] bool every_dialect_refused() const { return dialects_refused_ == 2; }
  [[nodiscard]] bool is_read() const { return request.effect() == Effect::read; }

  Request request;
  Callback callback;
  const bool internal;

  Phase phase = Phase::queued;
  bool in_lane = false;               ///< A write that holds a place in its shard's lane.
  bool probing = false;               ///< It asks around for the leader of its shard, for all who wait.
  bool wants_leader = true;           ///< Only the leader will do.
  bool outcome_unknown = false;       ///< Some attempt may have been applied.
  bool last_outcome_unknown = false;  ///< The last one; a lane settles after it.
  std::optional<std::size_t> prefer;  ///< Ask this node first once more: an idempotency key counts on one server only.
  std::optional<std::size_t> node;    ///< The last node that was asked.
  CallId call{};                      ///< The attempt on the wire, in phase `sent`.
  Dialect dialect = Dialect::server;  ///< Of the last attempt.
  Rotation rotation;
  TimerId deadline_timer;
  TimerId wake_timer;
  std::uint64_t generation = 0;  ///< Which drain barrier it belongs to.

  std::vector<Attempt> attempts;
  std::uint32_t attempts_made = 0;

 private:
  [[nodiscard]] Decision wait(const Backoff& backoff, std::uint32_t retry, Duration at_least, TimePoint now,
                              double fraction) const;

  std::uint32_t refusals_ = 0;
  std::uint32_t unreachable_ = 0;
  std::uint32_t ambiguous_ = 0;
  std::uint32_t dialects_refused_ = 0;  // in a row, which is by one node
  Verdict last_verdict_;
};

/// Attempts of an error beyond this many are left out in the middle: the first ones and the last ones tell the story.
inline constexpr std::size_t max_recorded_attempts = 16;

/// Appends to a list of attempts, keeping it within `max_recorded_attempts`.
void append_attempt(std::vector<Attempt>& attempts, Attempt attempt);

}  // namespace norikv::core
