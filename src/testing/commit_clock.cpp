#include "testing/commit_clock.hpp"

namespace norikv::testing {

CommitTimes commit_times(const ClusterConfig& config, TimePoint heartbeats, TimePoint arrival) {
  const Duration race = config.profile == Profile::norikv ? config.overlap_window : Duration{0};
  const TimePoint appended = arrival + race;
  if (!config.commit_delay) return {appended, appended, appended};

  const auto ticks = (appended - heartbeats) / heartbeat_tick + 1;
  const TimePoint committed = heartbeats + ticks * heartbeat_tick;
  const auto polls = (committed - appended + commit_poll - Duration{1}) / commit_poll;
  return {appended, committed, appended + polls * commit_poll};
}

}  // namespace norikv::testing
