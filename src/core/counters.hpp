#pragma once

#include "util/counter.hpp"
#include "util/histogram.hpp"

namespace norikv::core {

/// What the session counts; see the fields of the same names in `Stats`. Written by the loop's thread, read by any.
struct Counters {
  util::Counter submitted, succeeded, failed, overloaded, cancelled, deadline_exceeded, maybe_applied;
  util::Counter attempts, retries, not_leader, probes, leader_changes, views, stream_reconnects;
  util::Counter write_collisions, lanes_settling, shard_count_mismatches;
  util::Counter hints_followed, joined_probes, hedges, budget_waits, breaker_opens, moved_attempts;
  util::Histogram reads, writes;
};

}  // namespace norikv::core
