#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <norikv/types.hpp>

namespace norikv::core {

/// What a timer is about; the queue only carries it.
enum class TimerKind : std::uint8_t {
  operation_deadline,
  operation_wake,
  operation_second,  // a second request beside the first
  lane,
  key,  // a conditional write's, which settles
  moved_leader,
  node_slot,
  view,  // the next slice of one
  watch,
  ready_deadline,
  close_grace,
  token
};

struct TimerToken {
  TimerKind kind{};
  std::uint64_t subject = 0;  ///< An id of the kind's own numbering.
  friend bool operator==(const TimerToken&, const TimerToken&) = default;
};

/// Names a scheduled timer. A stale id is harmless: it never names a later timer.
struct TimerId {
  std::uint32_t slot = 0;
  std::uint32_t version = 0;  ///< 0 = no timer.
};

/// All points in time that the session waits for: an indexed binary heap, so that scheduling and cancelling cost O(log
/// n) and nothing stale stays behind. Timers of the same moment are due in the order in which they were scheduled.
class TimerQueue {
 public:
  TimerId schedule(TimePoint at, TimerToken token);
  /// Forgets a timer and clears the id. Nothing happens if it was due or cancelled before.
  void cancel(TimerId& id);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;
  /// Takes one timer that is due, the earliest first.
  [[nodiscard]] std::optional<TimerToken> take_due(TimePoint now);
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  struct Slot {
    TimePoint at;
    std::uint64_t order = 0;
    TimerToken token;
    std::uint32_t version = 1;
    std::uint32_t position = 0;  // in heap_
  };

  [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const;
  void place(std::size_t position, std::uint32_t slot);
  void sift_up(std::size_t position);
  void sift_down(std::size_t position);
  void remove_at(std::size_t position);

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> heap_;  // slot numbers
  std::vector<std::uint32_t> free_;
  std::uint64_t next_order_ = 0;
};

}  // namespace norikv::core
