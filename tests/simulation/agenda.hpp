#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <norikv/types.hpp>

namespace norikv::simulation {

/// May throw: what is wrong ends the world.
using Step = std::function<void()>;

/// The clock of a simulated world and everything that is going to happen in it, in order; what is due at one moment
/// happens in the order in which it was put down.
class Agenda {
 public:
  [[nodiscard]] TimePoint now() const { return now_; }
  /// Grows with everything that happens: an order also of what happens at one moment. Between any two is room for one
  /// more place.
  [[nodiscard]] std::uint64_t stamp() {
    stamped_.push_back(now_);
    return 2 * stamped_.size();
  }
  /// A moment's place: behind all stamps of earlier moments, before those of this one.
  [[nodiscard]] std::uint64_t place_of(TimePoint moment) const {
    const auto first = std::lower_bound(stamped_.begin(), stamped_.end(), moment);
    return 2 * static_cast<std::uint64_t>(first - stamped_.begin()) + 1;
  }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

  void at(TimePoint when, Step step) {
    entries_.push_back({std::max(when, now_), ++order_, std::move(step)});
    std::push_heap(entries_.begin(), entries_.end(), later);
  }
  void after(Duration delay, Step step) { at(now_ + delay, std::move(step)); }

  /// Lets the next thing happen, if there is one until `end`; else time passes until then.
  bool advance(TimePoint end) {
    if (entries_.empty() || entries_.front().when > end) {
      now_ = std::max(now_, end);
      return false;
    }
    std::pop_heap(entries_.begin(), entries_.end(), later);
    Entry next = std::move(entries_.back());
    entries_.pop_back();
    now_ = next.when;
    ++steps_;
    next.step();
    return true;
  }

 private:
  struct Entry {
    TimePoint when;
    std::uint64_t order = 0;
    Step step;
  };
  static bool later(const Entry& a, const Entry& b) { return a.when != b.when ? a.when > b.when : a.order > b.order; }

  TimePoint now_{std::chrono::hours{1}};
  std::uint64_t order_ = 0;
  std::vector<TimePoint> stamped_;  // when each stamp was given
  std::uint64_t steps_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace norikv::simulation
