#include "testing/proxy_flow.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace norikv::testing {
namespace {

/// A throttled flow moves in steps: what is allowed in this time goes at once.
constexpr std::chrono::duration<double> step = std::chrono::milliseconds{10};

double per_step(std::uint64_t bytes_per_second) {
  return std::max(1.0, static_cast<double>(bytes_per_second) * step.count());
}

}  // namespace

void Flow::take_in(std::string_view bytes, const FlowConditions& conditions, TimePoint now) {
  if (bytes.empty()) return;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  // A delay that was shortened meanwhile does not let later bytes overtake.
  const TimePoint due = now + conditions.delay;
  arrivals_.push_back({arrivals_.empty() ? due : std::max(due, arrivals_.back().due), passed_ + waiting()});
}

void Flow::refill(std::uint64_t bytes_per_second, TimePoint now) {
  if (refilled_) {
    const std::chrono::duration<double> passed = now - *refilled_;
    allowance_ += passed.count() * static_cast<double>(bytes_per_second);
  }
  allowance_ = std::min(allowance_, per_step(bytes_per_second));
  refilled_ = now;
}

std::string_view Flow::ready(const FlowConditions& conditions, TimePoint now) {
  std::size_t count = 0;
  for (const Arrival& arrival : arrivals_) {
    if (arrival.due > now) break;
    count = arrival.end - passed_;
  }
  if (conditions.bytes_per_second) {
    refill(*conditions.bytes_per_second, now);
    count = std::min(count, static_cast<std::size_t>(allowance_));
  } else {
    refilled_.reset();
    allowance_ = 0;
  }
  if (conditions.held) count = 0;
  return {bytes_.data() + begin_, count};
}

void Flow::passed_on(std::size_t count) {
  begin_ += count;
  passed_ += count;
  allowance_ = std::max(0.0, allowance_ - static_cast<double>(count));
  while (!arrivals_.empty() && arrivals_.front().end <= passed_) arrivals_.pop_front();
  if (begin_ == bytes_.size() || begin_ >= capacity) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
}

TimePoint Flow::next(const FlowConditions& conditions, TimePoint now) const {
  if (arrivals_.empty() || conditions.held || conditions.bytes_per_second == 0) return TimePoint::max();
  if (arrivals_.front().due > now) return arrivals_.front().due;
  if (!conditions.bytes_per_second) return now;
  const auto rate = static_cast<double>(*conditions.bytes_per_second);
  const double missing =
      std::max(1.0, std::min(static_cast<double>(waiting()), per_step(*conditions.bytes_per_second)) - allowance_);
  return now + std::chrono::ceil<Duration>(std::chrono::duration<double>(missing / rate));
}

}  // namespace norikv::testing
