#include "core/router.hpp"

namespace norikv::core {

std::optional<std::size_t> Router::leader(std::uint32_t shard) const {
  const std::int32_t leader = cluster_.leader(shard);
  if (leader < 0) return std::nullopt;
  return static_cast<std::size_t>(leader);
}

std::size_t Router::next(std::uint32_t shard, Rotation& rotation, TimePoint now) const {
  const std::size_t count = cluster_.slot_count();
  if (round_over(rotation, now)) rotation.asked.assign(count, false);
  rotation.asked.resize(count);
  const auto may_be_asked = eligible(now);
  for (std::size_t step = 0; step < count; ++step) {
    const std::size_t node = (shard + step) % count;
    if (rotation.asked[node] || !may_be_asked(node)) continue;
    rotation.asked[node] = true;
    return node;
  }
  return shard % count;  // not reached: there is a node, and a round that is not over has an eligible one left
}

void Router::count_in(std::size_t node, Rotation& rotation, TimePoint now) const {
  if (node < rotation.asked.size() && rotation.asked[node]) return;
  if (round_over(rotation, now)) rotation.asked.assign(cluster_.slot_count(), false);
  rotation.asked.resize(cluster_.slot_count());
  rotation.asked[node] = true;
}

bool Router::round_over(const Rotation& rotation, TimePoint now) const {
  if (rotation.asked.empty()) return true;
  const auto may_be_asked = eligible(now);
  for (std::size_t node = 0; node < cluster_.slot_count(); ++node) {
    const bool asked = node < rotation.asked.size() && rotation.asked[node];
    if (!asked && may_be_asked(node)) return false;
  }
  return true;
}

std::vector<std::size_t> Router::candidates(TimePoint now) const {
  std::vector<std::size_t> nodes;
  const auto may_be_asked = eligible(now);
  for (std::size_t node = 0; node < cluster_.slot_count(); ++node) {
    if (may_be_asked(node)) nodes.push_back(node);
  }
  return nodes;
}

std::optional<std::size_t> Router::other_replica(std::uint32_t shard, std::size_t first, TimePoint now) const {
  const std::size_t count = cluster_.slot_count();
  for (std::size_t step = 1; step < count; ++step) {
    const std::size_t node = (first + step) % count;
    if (cluster_.present(node) && cluster_.lists(node, shard) && fit(node, now)) return node;
  }
  return std::nullopt;
}

bool Router::fit(std::size_t node, TimePoint now) const {
  if (cluster_.health(node) == NodeHealth::down) return false;
  return node >= breakers_.size() || breakers_[node].allows(now);
}

bool Router::anybody_fit(TimePoint now) const {
  for (std::size_t node = 0; node < cluster_.slot_count(); ++node) {
    if (cluster_.present(node) && fit(node, now)) return true;
  }
  return false;
}

}  // namespace norikv::core
