#include "core/router.hpp"

namespace norikv::core {

std::optional<std::size_t> Router::leader(std::uint32_t shard) const {
  const std::int32_t leader = cluster_.leader(shard);
  if (leader < 0) return std::nullopt;
  return static_cast<std::size_t>(leader);
}

std::size_t Router::next(std::uint32_t shard, Rotation& rotation) const {
  const std::size_t count = cluster_.node_count();
  if (round_over(rotation)) rotation.asked.assign(count, false);
  for (std::size_t step = 0; step < count; ++step) {
    const std::size_t node = (shard + step) % count;
    if (rotation.asked[node] || !eligible(node)) continue;
    rotation.asked[node] = true;
    return node;
  }
  return shard % count;  // not reached: a round that is not over has an eligible node left
}

bool Router::round_over(const Rotation& rotation) const {
  if (rotation.asked.empty()) return true;
  for (std::size_t node = 0; node < rotation.asked.size(); ++node) {
    if (!rotation.asked[node] && eligible(node)) return false;
  }
  return true;
}

bool Router::eligible(std::size_t node) const {
  if (cluster_.health(node) != NodeHealth::down) return true;
  for (std::size_t other = 0; other < cluster_.node_count(); ++other) {
    if (cluster_.health(other) != NodeHealth::down) return false;
  }
  return true;
}

}  // namespace norikv::core
