#include "core/collision_detector.hpp"

namespace norikv::core {

std::optional<CollisionDetector::Write> CollisionDetector::acknowledge(std::uint32_t shard, const Write& write) {
  std::deque<Write>& writes = recent_[shard];
  // What ended long before this write started can't have overlapped it.
  while (!writes.empty() && writes.front().acknowledged + forget_after < write.started) writes.pop_front();
  std::optional<Write> collision;
  for (const Write& earlier : writes) {
    const bool overlapped = write.started < earlier.acknowledged;
    if (overlapped && earlier.node == write.node && earlier.version == write.version) collision = earlier;
  }
  writes.push_back(write);
  if (writes.size() > remembered) writes.pop_front();
  return collision;
}

}  // namespace norikv::core
