#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/cluster.hpp>
#include <norikv/export.hpp>
#include <norikv/types.hpp>

namespace norikv {

/// A histogram of durations: four buckets per power of two, from 1 microsecond to over an hour.
struct LatencyHistogram {
  static constexpr std::size_t bucket_count = 132;
  std::array<std::uint64_t, bucket_count> buckets{};
  std::uint64_t count = 0;
  Duration sum{};
  Duration max{};

  /// The duration that a share `q` (0 to 1) of all samples did not exceed, at most 25 % too high; 0 without samples.
  [[nodiscard]] NORIKV_EXPORT Duration quantile(double q) const noexcept;
  /// The arithmetic mean; 0 without samples.
  [[nodiscard]] Duration mean() const noexcept {
    return count == 0 ? Duration{0} : sum / static_cast<std::int64_t>(count);
  }
  /// The upper bound of a bucket, exclusive.
  [[nodiscard]] static NORIKV_EXPORT Duration upper_bound(std::size_t bucket) noexcept;
};

/// A node's circuit breaker (RetryOptions::breaker).
enum class BreakerState : std::uint8_t {
  closed,     ///< Requests go to the node.
  open,       ///< Requests that have a choice go elsewhere.
  half_open,  ///< One request tries the node.
};

/// The state's name as it is written above.
[[nodiscard]] constexpr std::string_view to_string(BreakerState state) noexcept {
  switch (state) {
    case BreakerState::closed:
      return "closed";
    case BreakerState::open:
      return "open";
    case BreakerState::half_open:
      return "half_open";
  }
  return "unknown";
}

/// One node, as this client has used it since the node was named to it. One that leaves and comes back goes on where it
/// was, unless 64 others have left since.
struct NodeStats {
  std::string node;  ///< Its address, as configured.
  NodeHealth health = NodeHealth::unknown;
  BreakerState breaker = BreakerState::closed;
  std::size_t in_flight = 0;  ///< Now: requests on their way to it, ghosts included.
  std::size_t ghosts = 0;     ///< Now: of these, those that nobody waits for any more.
  std::size_t queued = 0;     ///< Now: operations that wait for one of these to end (LimitOptions::in_flight_per_node).
  std::uint64_t attempts = 0;  ///< Requests sent to it.
  std::uint64_t failures = 0;  ///< Of these: ended with anything but success, those given up included.
  LatencyHistogram latency;    ///< Of requests that it answered, whatever the answer.
};

/// Counters since the client was created. A snapshot: each number is right, numbers may be of slightly different
/// moments.
struct Stats {
  std::uint64_t submitted = 0;               ///< Operations accepted.
  std::uint64_t succeeded = 0;               ///< Operations that ended with a value.
  std::uint64_t failed = 0;                  ///< Operations that ended with an error, refused ones included.
  std::uint64_t overloaded = 0;              ///< Of these: refused because of a limit.
  std::uint64_t cancelled = 0;               ///< Of these: cancelled.
  std::uint64_t deadline_exceeded = 0;       ///< Of these: out of time.
  std::uint64_t maybe_applied = 0;           ///< Of these: writes with an unknown outcome.
  std::uint64_t attempts = 0;                ///< Requests handed to the transport, probes included.
  std::uint64_t retries = 0;                 ///< Of these: not the first of their operation.
  std::uint64_t not_leader = 0;              ///< NOT_LEADER answers.
  std::uint64_t probes = 0;                  ///< Reads sent only to find a leader.
  std::uint64_t leader_changes = 0;          ///< Changes of a shard's known leader.
  std::uint64_t views = 0;                   ///< Topology views received.
  std::uint64_t stream_reconnects = 0;       ///< Topology streams that were opened again.
  std::uint64_t write_collisions = 0;        ///< See WarningKind::write_collision.
  std::uint64_t lanes_settling = 0;          ///< Times a write lane was held longer because an outcome was unknown.
  std::size_t operations = 0;                ///< Now: those that count against `LimitOptions::operations`.
  std::size_t bytes = 0;                     ///< Now: their keys and values.
  LatencyHistogram reads;                    ///< From submit to the end, successful reads.
  LatencyHistogram writes;                   ///< From submit to the end, successful writes.
  std::uint64_t hints_followed = 0;          ///< Times a node's word on who leads was followed.
  std::uint64_t joined_probes = 0;           ///< Second requests of searches whose first one had no answer.
  std::uint64_t hedges = 0;                  ///< Second requests of stale reads.
  std::uint64_t budget_waits = 0;            ///< Retries that were put off because of RetryOptions::budget.
  std::uint64_t breaker_opens = 0;           ///< Times a node's breaker opened.
  std::uint64_t moved_attempts = 0;          ///< Attempts given up because their shard's leader had moved.
  std::uint64_t shard_count_mismatches = 0;  ///< See WarningKind::shard_count_mismatch.
  std::vector<NodeStats> nodes;              ///< One for each of `cluster()`'s, in their order.
};

}  // namespace norikv
