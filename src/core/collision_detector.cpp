#include "core/collision_detector.hpp"

namespace norikv::core {

std::optional<CollisionDetector::Write> CollisionDetector::find(std::uint32_t shard, const Write& write) const {
  const auto found = recent_.find(shard);
  if (found == recent_.end()) return std::nullopt;
  std::optional<Write> collision;
  for (const Write& earlier : found->second) {
    const bool overlapped = write.started < earlier.acknowledged;
    if (overlapped && earlier.node == write.node && earlier.version == write.version) collision = earlier;
  }
  return collision;
}

void CollisionDetector::remember(std::uint32_t shard, const Write& write) {
  std::deque<Write>& writes = recent_[shard];
  // What ended long before this write started can't have overlapped it.
  while (!writes.empty() && writes.front().acknowledged + forget_after < write.started) writes.pop_front();
  writes.push_back(write);
  if (writes.size() > remembered) writes.pop_front();
}

}  // namespace norikv::core
