#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/error.hpp>
#include <norikv/export.hpp>
#include <norikv/stats.hpp>
#include <norikv/types.hpp>

namespace norikv {

/// A W3C trace context, as its two HTTP headers. `traceparent` empty = none.
struct TraceContext {
  std::string traceparent;  ///< "00-<32 hex digits>-<16 hex digits>-<2 hex digits>", in lower case.
  std::string tracestate;   ///< The vendors' list; may be empty.
};

/// What an operation does for its caller. New kinds are appended.
enum class OperationKind : std::uint8_t {
  get,
  put,
  remove,
  update,
  vector_create_index,
  vector_drop_index,
  vector_insert,
  vector_remove,
  vector_search,
  vector_get,
  transfer_shard,
  snapshot_shard,
  probe,  ///< The client's own search for a shard's leader; no callback waits for it.
};

/// The kind's name as it is written above. [any thread]
[[nodiscard]] NORIKV_EXPORT std::string_view to_string(OperationKind kind) noexcept;

/// Why an attempt was made. New reasons are appended.
enum class AttemptReason : std::uint8_t {
  first,   ///< The operation's first one, or the first of its next step (the write of an `update`).
  retry,   ///< After a failed one, with or without a pause: see `Observer::on_retry`.
  hint,    ///< A node that does not lead the shard named the one that does.
  joined,  ///< Beside a search for a leader that had no answer (RetryOptions::join_probe_after).
  hedge,   ///< Beside a stale read that had no answer (RetryOptions::hedge_after).
  moved,   ///< The leader moved while an attempt was on its way to the old one (RetryOptions::moved_patience).
};

/// The reason's name as it is written above. [any thread]
[[nodiscard]] NORIKV_EXPORT std::string_view to_string(AttemptReason reason) noexcept;

/// What made the client try again: the retry classes of `RetryOptions`. New causes are appended.
enum class RetryCause : std::uint8_t {
  not_leader,         ///< The node does not lead the shard.
  unavailable,        ///< The request surely was not sent.
  ambiguous,          ///< It may have been carried out, and may be carried out again.
  throttled,          ///< The server is out of some resource.
  consistency_level,  ///< The node has other names for the levels of consistency.
  unfit,              ///< The node can't serve the request in any way; another one may.
  version_mismatch,   ///< The key has changed since the update read it: another round.
  unauthenticated,    ///< The node refused the token, or wants one: with another token, or elsewhere.
};

/// The cause's name as it is written above. [any thread]
[[nodiscard]] NORIKV_EXPORT std::string_view to_string(RetryCause cause) noexcept;

// What an observer is told; never a key, a value or a token. The library alone makes these, and fields are only ever
// appended: an observer that was compiled before reads on what it knows. Copies may be kept.

/// The client works: its loop turned for the first time.
struct ClientStart {
  std::uint64_t client = 0;  ///< The client's number in this process, which all that is told carries.
  TimePoint at{};
  /// The client's `stats()`, from any thread; none once the client is gone, which this does not prevent.
  std::function<std::optional<Stats>()> stats;
};

/// Everything is given back; the close callbacks come next.
struct ClientEnd {
  std::uint64_t client = 0;
  TimePoint at{};
  Stats stats;  ///< The last numbers.
};

/// An operation came to the loop's thread.
struct OperationStart {
  std::uint64_t client = 0;
  std::uint64_t operation = 0;  ///< `Operation::id`. Those of probes have the highest bit set.
  OperationKind kind{};
  std::optional<std::uint32_t> shard;
  TimePoint at{};                             ///< When.
  Duration queued{};                          ///< How long it had waited for the loop since its caller submitted it.
  TimePoint deadline{};                       ///< When its time is over; for a probe far away.
  std::shared_ptr<const TraceContext> trace;  ///< May be null.
};

/// A request is on its way to a node.
struct AttemptStart {
  std::uint64_t client = 0;
  std::uint64_t operation = 0;
  OperationKind kind{};
  std::optional<std::uint32_t> shard;
  std::uint32_t number = 0;  ///< Within its operation, from 1.
  AttemptReason reason{};
  std::string node;
  TimePoint at{};
  std::shared_ptr<const TraceContext> trace;
};

/// An attempt is over: it was answered, it failed, or nobody waits for it any more (its operation has ended, or another
/// attempt was faster). In the last case the request may still be on the wire.
struct AttemptEnd {
  std::uint64_t client = 0;
  std::uint64_t operation = 0;
  OperationKind kind{};
  std::optional<std::uint32_t> shard;
  std::uint32_t number = 0;
  std::string node;
  std::optional<ErrorCode> error;  ///< None: the node answered with success.
  TimePoint at{};
  Duration duration{};
  std::shared_ptr<const TraceContext> trace;
};

/// An attempt failed and will be followed by another.
struct RetryPlan {
  std::uint64_t client = 0;
  std::uint64_t operation = 0;
  OperationKind kind{};
  std::optional<std::uint32_t> shard;
  std::uint32_t after = 0;  ///< The number of the attempt that failed.
  std::string node;         ///< Where it failed.
  RetryCause cause{};
  ErrorCode error{};
  TimePoint at{};
  Duration pause{};  ///< Before the next one; 0 = at once.
  std::shared_ptr<const TraceContext> trace;
};

/// An operation is over; its callback comes next (a probe has none).
struct OperationEnd {
  std::uint64_t client = 0;
  std::uint64_t operation = 0;  ///< 0: it was refused at once, and had no start.
  OperationKind kind{};
  std::optional<std::uint32_t> shard;
  std::optional<ErrorCode> error;  ///< None: success.
  bool maybe_applied = false;      ///< See `Error::maybe_applied`.
  Phase phase = Phase::queued;     ///< How far it had come.
  std::uint32_t attempts = 0;
  std::string node;  ///< The last one that was asked, if any.
  TimePoint at{};
  Duration duration{};  ///< Since its caller submitted it.
  std::shared_ptr<const TraceContext> trace;
};

/// The client's share of one turn of the loop.
struct LoopTurn {
  std::uint64_t client = 0;
  TimePoint at{};
  /// How long ago the loop was asked for this turn: by an operation of another thread, an answer of the network, or
  /// what the turn before left over. None if nobody asked.
  std::optional<Duration> queue_lag;
  /// How late the client's timer was; none if this turn is not the timer's.
  std::optional<Duration> timer_lag;
  Duration took{};             ///< What the client did in this turn, callbacks and observers included.
  std::size_t tasks = 0;       ///< Of what was posted, carried out in this turn.
  std::size_t deliveries = 0;  ///< Callbacks and events that are left for the next turn.
};

/// Told what a client does (`ClientOptions::observer`). Derive from it and override what you want to know.
///
/// Threads: all methods run on the loop's thread. An observer of several clients is called on each one's.
///
/// Order: per operation a start, its attempts (each a start and an end) and retries, an end, then the callback. Between
/// operations the order in which things came about. What is told has happened: the client's state may be further on. In
/// one turn at most four times `LimitOptions::callbacks_per_turn` observations are told, the rest in the next.
///
/// A method may call the client, also close or destroy it. Like a callback it must not block, and one that throws ends
/// the process. The client keeps its observer until it is gone itself.
class Observer {
 public:
  Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer() = default;

  // New methods are appended, with an empty body. What is passed lives during the call. [loop thread]

  /// Once, in the client's first turn, before anything else.
  virtual void on_client_start(const ClientStart&) {}
  /// An operation came to the loop's thread. One that was refused before has no start.
  virtual void on_operation_start(const OperationStart&) {}
  /// A request was handed to the transport.
  virtual void on_attempt_start(const AttemptStart&) {}
  /// Once for each `on_attempt_start`.
  virtual void on_attempt_end(const AttemptEnd&) {}
  /// After the `on_attempt_end` of an attempt that failed and is followed by another one, unless the operation ends
  /// before.
  virtual void on_retry(const RetryPlan&) {}
  /// Once for each operation, just before its callback.
  virtual void on_operation_end(const OperationEnd&) {}
  /// After the callbacks of a turn.
  virtual void on_turn(const LoopTurn&) {}
  /// Once, the last of all, before the close callbacks. A client whose loop is never run to its end has none.
  virtual void on_client_end(const ClientEnd&) {}
};

}  // namespace norikv
