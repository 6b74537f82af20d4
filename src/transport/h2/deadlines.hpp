#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <norikv/types.hpp>

#include "core/ids.hpp"

namespace norikv::transport::h2 {

/// When calls are to be over. What has ended is not taken out but passed over, since most calls have the same time and
/// so end in the order in which they were added: both ends of the heap are cheap then. Pure.
class Deadlines {
 public:
  void add(TimePoint at, core::CallId id) {
    heap_.emplace_back(at, id);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
  }

  /// The earliest of a call that `lives`.
  template <class Lives>
  [[nodiscard]] std::optional<TimePoint> next(const Lives& lives) {
    while (!heap_.empty() && !lives(heap_.front().second)) pop();
    if (heap_.empty()) return std::nullopt;
    return heap_.front().first;
  }

  /// Takes out one that is due.
  template <class Lives>
  [[nodiscard]] std::optional<core::CallId> take_due(TimePoint now, const Lives& lives) {
    const std::optional<TimePoint> at = next(lives);
    if (!at || now < *at) return std::nullopt;
    const core::CallId id = heap_.front().second;
    pop();
    return id;
  }

  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }

  /// Takes out all that do not live: for when they have become the most.
  template <class Lives>
  void prune(const Lives& lives) {
    std::erase_if(heap_, [&](const Entry& entry) { return !lives(entry.second); });
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>{});
  }

 private:
  using Entry = std::pair<TimePoint, core::CallId>;
  void pop() {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
    heap_.pop_back();
  }
  std::vector<Entry> heap_;
};

}  // namespace norikv::transport::h2
