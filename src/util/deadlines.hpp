#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <norikv/types.hpp>

namespace norikv::util {

/// When the calls of a map by id are to be over. A call that has ended is not taken out but passed over, since most
/// calls have the same time and so end in the order in which they were added: both ends of the heap are cheap then.
/// Pure.
template <class Id>
class Deadlines {
 public:
  /// `TimePoint::max()` never comes.
  template <class Calls>
  void add(TimePoint at, Id id, const Calls& calls) {
    if (at == TimePoint::max()) return;
    if (heap_.size() > few + 2 * calls.size()) prune(calls);
    heap_.emplace_back(at, id);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
  }

  /// The earliest of a call that is there.
  template <class Calls>
  [[nodiscard]] std::optional<TimePoint> next(const Calls& calls) {
    while (!heap_.empty() && !calls.contains(heap_.front().second)) pop();
    if (heap_.empty()) return std::nullopt;
    return heap_.front().first;
  }

  /// Takes out one that is due.
  template <class Calls>
  [[nodiscard]] std::optional<Id> take_due(TimePoint now, const Calls& calls) {
    const std::optional<TimePoint> at = next(calls);
    if (!at || now < *at) return std::nullopt;
    const Id id = heap_.front().second;
    pop();
    return id;
  }

  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }

 private:
  using Entry = std::pair<TimePoint, Id>;

  // So many entries of calls that have ended are no burden.
  static constexpr std::size_t few = 1024;

  template <class Calls>
  void prune(const Calls& calls) {
    std::erase_if(heap_, [&](const Entry& entry) { return !calls.contains(entry.second); });
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>{});
  }

  void pop() {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
    heap_.pop_back();
  }

  std::vector<Entry> heap_;
};

}  // namespace norikv::util
