#pragma once

#include <algorithm>

#include <norikv/options.hpp>

namespace norikv::core {

/// The token bucket that all retries of a client share. It tells when a retry may go; it never refuses one.
///
/// Kept as the time at which the bucket is full again (the "generic cell rate algorithm" of ATM): each token taken
/// moves it on by one interval, so that a bucket in debt hands out times that lie one interval apart.
class RetryBudget {
 public:
  explicit RetryBudget(const norikv::RetryBudget& options)
      : interval_(options.per_second == 0 ? Duration{0} : Duration{std::chrono::seconds{1}} / options.per_second),
        depth_(interval_ * options.burst) {}

  /// Takes a token for a retry that wants to go at `wanted`, not before `now`: the moment at which it may.
  TimePoint take(TimePoint wanted, TimePoint now) {
    if (interval_ == Duration{0}) return wanted;
    full_at_ = std::max(full_at_, now) + interval_;
    return std::max(wanted, full_at_ - depth_);
  }
  /// Takes a token only if there is one.
  [[nodiscard]] bool try_take(TimePoint now) {
    if (interval_ == Duration{0}) return true;
    const TimePoint after = std::max(full_at_, now) + interval_;
    if (after - depth_ > now) return false;
    full_at_ = after;
    return true;
  }
  /// Gives a token back: the cluster works.
  void on_success(TimePoint now) {
    if (full_at_ > now) full_at_ -= interval_;
  }

 private:
  Duration interval_;  // between tokens; 0 = unlimited
  Duration depth_;
  TimePoint full_at_{};
};

}  // namespace norikv::core
