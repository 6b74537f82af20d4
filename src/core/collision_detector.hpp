#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include <norikv/types.hpp>

namespace norikv::core {

/// Notices lost writes: two writes of one shard that overlapped, were both acknowledged by one node, and got the same
/// version. Only one of them was applied (seen on the 0.1.0 server).
class CollisionDetector {
 public:
  struct Write {
    std::uint64_t operation = 0;
    std::size_t node = 0;
    Version version;
    TimePoint started;
    TimePoint acknowledged;
  };

  /// The earlier acknowledged write that `write` collides with. Not to be asked about writes with a key of the user's,
  /// which the server answers with the version of whatever used the key before.
  [[nodiscard]] std::optional<Write> find(std::uint32_t shard, const Write& write) const;

  /// A write was acknowledged, and others are under way that may collide with it.
  void remember(std::uint32_t shard, const Write& write);
  /// No write is under way that could have overlapped those of the shard so far.
  void forget(std::uint32_t shard) { recent_.erase(shard); }
  /// Shards whose writes are remembered.
  [[nodiscard]] std::size_t size() const { return recent_.size(); }

 private:
  // More writes of one shard than this don't overlap: the server's window is a few milliseconds.
  static constexpr std::size_t remembered = 64;
  static constexpr Duration forget_after = std::chrono::seconds{10};
  std::unordered_map<std::uint32_t, std::deque<Write>> recent_;
};

}  // namespace norikv::core
