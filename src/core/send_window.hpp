#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include <norikv/types.hpp>

namespace norikv::core {

/// How many requests may be on their way to one node: twice as many as there were when it answered lately. So a burst
/// reaches a node that answers within a few round trips, and one that is silent holds few requests, which few time-outs
/// end. Owned by the session. (TCP's slow start, and its window that shrinks when it is not used: RFC 5681, RFC 7661.)
class SendWindow {
 public:
  /// The node answered, and so many requests were on their way to it.
  void on_answer(std::size_t on_wire, TimePoint now) {
    forget_old(now);
    peak_ = std::max(peak_, on_wire);
  }
  void on_silence() { peak_ = peak_before_ = 0; }

  [[nodiscard]] std::size_t size(std::size_t initial, TimePoint now) {
    forget_old(now);
    return std::max(initial, 2 * std::max(peak_, peak_before_));
  }

 private:
  static constexpr Duration period = std::chrono::seconds{1};

  // What was seen counts for one to two periods.
  void forget_old(TimePoint now) {
    const Duration age = now - since_;
    if (age < period) return;
    const bool follows = age < 2 * period;
    peak_before_ = follows ? peak_ : 0;
    peak_ = 0;
    since_ = follows ? since_ + period : now;
  }

  std::size_t peak_ = 0;         // in this period
  std::size_t peak_before_ = 0;  // in the one before
  TimePoint since_{};
};

}  // namespace norikv::core
