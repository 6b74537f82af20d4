#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/cluster_state.hpp"

namespace norikv::core {

/// Which nodes an operation has asked in this round.
struct Rotation {
  std::vector<bool> asked;
};

/// Picks the node for a request. Reads the cluster's state, changes nothing.
class Router {
 public:
  explicit Router(const ClusterState& cluster) : cluster_(cluster) {}

  /// The node that is believed to lead the shard.
  [[nodiscard]] std::optional<std::size_t> leader(std::uint32_t shard) const;

  /// The next node of the round, in an order that starts at another node for each shard; nodes that are down are left
  /// out as long as another one is not. After the last one a new round begins.
  [[nodiscard]] std::size_t next(std::uint32_t shard, Rotation& rotation) const;

  /// Whether `next` would begin a new round.
  [[nodiscard]] bool round_over(const Rotation& rotation) const;

 private:
  [[nodiscard]] bool eligible(std::size_t node) const;

  const ClusterState& cluster_;
};

}  // namespace norikv::core
