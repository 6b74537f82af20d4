#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <norikv/stats.hpp>

#include "util/counter.hpp"
#include "util/histogram.hpp"

namespace norikv::core {

/// What the session counts for one node; see the fields of the same names in `NodeStats`. Written by the loop's thread,
/// read by any.
struct NodeCounters {
  util::Counter attempts, failures, in_flight, ghosts, queued, breaker;
  util::Histogram latency;

  /// [any thread] All that is counted, which leaves out the node's health.
  [[nodiscard]] NodeStats snapshot(std::string address) const {
    NodeStats stats;
    stats.node = std::move(address);
    stats.breaker = static_cast<BreakerState>(breaker.value());
    stats.in_flight = in_flight.value();
    stats.ghosts = ghosts.value();
    stats.queued = queued.value();
    stats.attempts = attempts.value();
    stats.failures = failures.value();
    stats.latency = latency.snapshot();
    return stats;
  }
};

/// The counters of the nodes that are present, in the order of `ClusterView::nodes`.
using NodeCounterList = std::vector<std::shared_ptr<const NodeCounters>>;

}  // namespace norikv::core
