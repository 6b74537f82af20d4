#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include <norikv/types.hpp>

namespace norikv::testing {

/// What is done to the bytes of a connection.
struct FlowConditions {
  Duration delay{};
  std::optional<std::uint64_t> bytes_per_second{};  ///< None = as many as can be.
  bool held = false;
};

/// One direction of a connection: which of the bytes that came in may go out when. Knows no socket and no clock.
class Flow {
 public:
  /// So many bytes are taken in beyond what was passed on; more stay in the sender's socket.
  static constexpr std::size_t capacity = 256 * 1024;

  [[nodiscard]] std::size_t room() const noexcept { return capacity - waiting(); }
  [[nodiscard]] bool empty() const noexcept { return waiting() == 0; }

  void take_in(std::string_view bytes, const FlowConditions& conditions, TimePoint now);
  /// The bytes that may go out now; lives until the next change.
  [[nodiscard]] std::string_view ready(const FlowConditions& conditions, TimePoint now);
  void passed_on(std::size_t count);
  /// When there will be more to pass on, if nothing happens before; `TimePoint::max()` = not by time.
  [[nodiscard]] TimePoint next(const FlowConditions& conditions, TimePoint now) const;

 private:
  struct Arrival {
    TimePoint due;
    std::size_t end;  ///< Bytes up to here, counted from the beginning of the flow.
  };
  [[nodiscard]] std::size_t waiting() const noexcept { return bytes_.size() - begin_; }
  void refill(std::uint64_t bytes_per_second, TimePoint now);

  std::vector<char> bytes_;
  std::size_t begin_ = 0;   ///< What was passed on is still at the front.
  std::size_t passed_ = 0;  ///< Since the beginning of the flow.
  std::deque<Arrival> arrivals_;
  double allowance_ = 0;
  std::optional<TimePoint> refilled_;
};

}  // namespace norikv::testing
