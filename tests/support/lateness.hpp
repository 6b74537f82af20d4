#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace norikv::test {

/// How late this machine runs a thread that is due every millisecond and has nothing to do with the client, from its
/// creation on. What a check in real time allows for a busy machine.
class Lateness {
 public:
  Lateness() = default;
  ~Lateness() {
    stop_ = true;
    pulse_.join();
  }
  Lateness(const Lateness&) = delete;
  Lateness& operator=(const Lateness&) = delete;
  [[nodiscard]] std::chrono::nanoseconds worst() const { return worst_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<std::chrono::nanoseconds> worst_{std::chrono::nanoseconds{0}};
  std::thread pulse_{[this] {
    while (!stop_) {
      const auto due = std::chrono::steady_clock::now() + std::chrono::milliseconds{1};
      std::this_thread::sleep_until(due);
      worst_ = std::max(worst_.load(), std::chrono::nanoseconds{std::chrono::steady_clock::now() - due});
    }
  }};
};

}  // namespace norikv::test
