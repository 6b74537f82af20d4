#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/breaker.hpp"
#include "core/cluster_state.hpp"

namespace norikv::core {

/// Which nodes an operation has asked in this round.
struct Rotation {
  std::vector<bool> asked;
};

/// Picks the node for a request: reads the cluster's state, and keeps each node's breaker. A known leader is asked
/// whatever its breaker says, because nobody else has the answer; breakers and health decide among nodes that there is
/// a choice of.
class Router {
 public:
  explicit Router(const ClusterState& cluster, const BreakerOptions& breaker = {})
      : cluster_(cluster), options_(breaker), breakers_(cluster.slot_count(), Breaker{breaker}) {}

  /// The node that is believed to lead the shard.
  [[nodiscard]] std::optional<std::size_t> leader(std::uint32_t shard) const;

  /// The next node of the round, in an order that starts at another node for each shard; nodes that are unfit are left
  /// out as long as another one is not. After the last one a new round begins.
  [[nodiscard]] std::size_t next(std::uint32_t shard, Rotation& rotation, TimePoint now) const;

  /// Counts a node into the round that was chosen in another way than by `next`.
  void count_in(std::size_t node, Rotation& rotation, TimePoint now) const;

  /// Whether `next` would begin a new round.
  [[nodiscard]] bool round_over(const Rotation& rotation, TimePoint now) const;

  /// The nodes that rounds go to now.
  [[nodiscard]] std::vector<std::size_t> candidates(TimePoint now) const;

  /// A second node for a read that any replica may answer: one that has the shard, is fit, and is not `first`.
  [[nodiscard]] std::optional<std::size_t> other_replica(std::uint32_t shard, std::size_t first, TimePoint now) const;

  [[nodiscard]] Breaker& breaker(std::size_t node) {
    if (node >= breakers_.size()) breakers_.resize(cluster_.slot_count(), Breaker{options_});
    return breakers_[node];
  }
  [[nodiscard]] Breaker::State breaker_state(std::size_t node) const {
    return node < breakers_.size() ? breakers_[node].state() : Breaker::State::closed;
  }
  /// A node came back under its old number: nothing is known of it.
  void forget(std::size_t node) { breaker(node) = Breaker{options_}; }

 private:
  /// Whether there is no reason to look past the node.
  [[nodiscard]] bool fit(std::size_t node, TimePoint now) const;
  [[nodiscard]] bool anybody_fit(TimePoint now) const;
  /// Who may be asked: nobody is left out if all would be. Found out once for all nodes.
  [[nodiscard]] auto eligible(TimePoint now) const {
    return [this, now, choosy = anybody_fit(now)](std::size_t node) {
      return cluster_.present(node) && (!choosy || fit(node, now));
    };
  }

  const ClusterState& cluster_;
  const BreakerOptions options_;
  std::vector<Breaker> breakers_;  // by node; those that never failed may be missing
};

}  // namespace norikv::core
