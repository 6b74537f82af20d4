#pragma once

#include <atomic>
#include <cstddef>
#include <deque>

#include <norikv/client.hpp>
#include <norikv/options.hpp>

namespace norikv::core {

/// Counts what the client holds, against its limits. `try_admit` and the readers are for any thread; the waiters are
/// the loop's.
class Admission {
 public:
  explicit Admission(const LimitOptions& limits) : limits_(limits) {}

  /// [any thread] Takes a place for an operation of so many bytes. False: nothing was taken.
  [[nodiscard]] bool try_admit(std::size_t bytes) {
    if (bytes > largest_.load(std::memory_order_relaxed)) largest_.store(bytes, std::memory_order_relaxed);
    if (operations_.fetch_add(1, std::memory_order_relaxed) < limits_.operations) {
      if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= limits_.bytes) return true;
      bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    }
    operations_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }

  /// [loop thread] Gives a place back, just before its callback runs: the callback sees the room that it made.
  void release(std::size_t bytes) {
    operations_.fetch_sub(1, std::memory_order_relaxed);
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  }

  /// [any thread]
  [[nodiscard]] std::size_t operations() const { return operations_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool has_room(std::size_t operations = 1) const {
    const std::size_t held = bytes();
    // The next operations are taken to be as large as the largest so far; an empty client has room for whatever fits at
    // all.
    return this->operations() + operations <= limits_.operations &&
           (held == 0 || held + operations * largest_.load(std::memory_order_relaxed) <= limits_.bytes);
  }
  /// [any thread] Whether enough has ended to call the client free again: three quarters of both limits, so that a
  /// producer at the limit does not flap.
  [[nodiscard]] bool has_recovered() const {
    return operations() <= limits_.operations - (limits_.operations + 3) / 4 &&
           bytes() <= limits_.bytes - limits_.bytes / 4;
  }

  /// [loop thread] Waits for room, first come, first served.
  void wait(std::size_t operations, ReadyCallback callback) {
    waiters_.push_back({std::min(operations, limits_.operations), std::move(callback)});
  }
  /// [loop thread] Takes the first waiter if there is room for it now.
  [[nodiscard]] ReadyCallback take_satisfied() {
    if (waiters_.empty() || !has_room(waiters_.front().operations)) return {};
    return take_waiter();
  }
  /// [loop thread] Takes the first waiter whatever the room; empty if there is none.
  [[nodiscard]] ReadyCallback take_waiter() {
    if (waiters_.empty()) return {};
    ReadyCallback callback = std::move(waiters_.front().callback);
    waiters_.pop_front();
    return callback;
  }
  [[nodiscard]] bool anyone_waits() const { return !waiters_.empty(); }

 private:
  struct Waiter {
    std::size_t operations = 0;
    ReadyCallback callback;
  };

  LimitOptions limits_;
  std::atomic<std::size_t> operations_{0};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> largest_{
      0};  // of all operations so far; a guess at the next one, so a lost race is harmless
  std::deque<Waiter> waiters_;
};

}  // namespace norikv::core
