#pragma once

#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>

namespace norikv::testing {

/// When one write reaches which stage.
struct CommitTimes {
  TimePoint appended;   ///< It is in the log. Until then another write can take the same index.
  TimePoint committed;  ///< It is applied, and reads see it.
  TimePoint answered;   ///< The server notices and answers.
};

/// The real server's commit index advances on a 150 ms heartbeat tick, and whoever proposed a write looks every 50 ms.
/// So a write takes 50, 100 or 150 ms after it was appended, and a sequential writer, which starts each write just
/// after a tick, 150.
inline constexpr Duration heartbeat_tick = std::chrono::milliseconds{150};
inline constexpr Duration commit_poll = std::chrono::milliseconds{50};

/// The stages of a write that arrives at `arrival`, on a leader whose heartbeats started at `heartbeats`.
[[nodiscard]] CommitTimes commit_times(const ClusterConfig& config, TimePoint heartbeats, TimePoint arrival);

}  // namespace norikv::testing
