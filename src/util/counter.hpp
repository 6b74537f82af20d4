#pragma once

#include <atomic>
#include <cstdint>

namespace norikv::util {

/// A number that one thread changes and any thread reads: a plain load and store, no locked instruction.
class Counter {
 public:
  /// [writer's thread]
  void add(std::uint64_t amount = 1) noexcept { set(value() + amount); }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }

  /// [any thread]
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

}  // namespace norikv::util
