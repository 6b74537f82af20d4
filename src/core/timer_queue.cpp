#include "core/timer_queue.hpp"

namespace norikv::core {

TimerId TimerQueue::schedule(TimePoint at, TimerToken token) {
  std::uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Slot& entry = slots_[slot];
  entry.at = at;
  entry.order = next_order_++;
  entry.token = token;
  heap_.push_back(slot);
  place(heap_.size() - 1, slot);
  sift_up(heap_.size() - 1);
  return {slot, entry.version};
}

void TimerQueue::cancel(TimerId& id) {
  const TimerId stale = id;
  id = {};
  if (stale.version == 0 || stale.slot >= slots_.size() || slots_[stale.slot].version != stale.version) return;
  remove_at(slots_[stale.slot].position);
}

std::optional<TimePoint> TimerQueue::next_deadline() const {
  if (heap_.empty()) return std::nullopt;
  return slots_[heap_.front()].at;
}

std::optional<TimerToken> TimerQueue::take_due(TimePoint now) {
  if (heap_.empty() || slots_[heap_.front()].at > now) return std::nullopt;
  const TimerToken token = slots_[heap_.front()].token;
  remove_at(0);
  return token;
}

bool TimerQueue::before(std::uint32_t a, std::uint32_t b) const {
  const Slot& left = slots_[a];
  const Slot& right = slots_[b];
  return left.at != right.at ? left.at < right.at : left.order < right.order;
}

void TimerQueue::place(std::size_t position, std::uint32_t slot) {
  heap_[position] = slot;
  slots_[slot].position = static_cast<std::uint32_t>(position);
}

void TimerQueue::sift_up(std::size_t position) {
  const std::uint32_t slot = heap_[position];
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (!before(slot, heap_[parent])) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, slot);
}

void TimerQueue::sift_down(std::size_t position) {
  const std::uint32_t slot = heap_[position];
  for (;;) {
    std::size_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], slot)) break;
    place(position, heap_[child]);
    position = child;
  }
  place(position, slot);
}

void TimerQueue::remove_at(std::size_t position) {
  const std::uint32_t slot = heap_[position];
  const std::uint32_t last = heap_.back();
  heap_.pop_back();
  if (slot != last) {
    place(position, last);
    sift_up(position);
    sift_down(slots_[last].position);
  }
  // A new version makes every id of the old timer stale; 0 stays reserved.
  if (++slots_[slot].version == 0) slots_[slot].version = 1;
  free_.push_back(slot);
}

}  // namespace norikv::core
