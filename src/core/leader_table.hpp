#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace norikv::core {

/// The node that is believed to lead each shard, for threads that only want a hint: written by the loop's thread, read
/// by any. The truth is in `ClusterState`.
class LeaderTable {
 public:
  explicit LeaderTable(std::uint32_t total_shards) : leaders_(new std::atomic<std::int32_t>[total_shards]) {
    for (std::uint32_t shard = 0; shard < total_shards; ++shard) leaders_[shard].store(-1, std::memory_order_relaxed);
  }

  /// A node's number in `ClusterState`; -1 if no leader is known.
  [[nodiscard]] std::int32_t leader(std::uint32_t shard) const {
    return leaders_[shard].load(std::memory_order_relaxed);
  }
  void set(std::uint32_t shard, std::int32_t node) { leaders_[shard].store(node, std::memory_order_relaxed); }

 private:
  std::unique_ptr<std::atomic<std::int32_t>[]> leaders_;
};

}  // namespace norikv::core
