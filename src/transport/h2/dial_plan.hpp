#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include <norikv/types.hpp>

#include "transport/h2/socket.hpp"

namespace norikv::transport::h2 {

/// Which address of a node is dialled next, and when, as RFC 8305 ("Happy Eyeballs") has it: one after the other, but
/// the next one without waiting for the end of an attempt that is slow. Owned by a `Line`. Pure.
class DialPlan {
 public:
  /// What an attempt gets before the next one is begun beside it: the value that RFC 8305, section 5, recommends.
  static constexpr Duration attempt_delay = std::chrono::milliseconds{250};

  /// Takes the addresses of a look-up, best first, and begins with the first one. IPv6 and IPv4 take turns (section 4),
  /// so that a family that does not get through costs one delay and not one for each of its addresses.
  void assign(std::vector<Endpoint> found);
  /// Begins again with the first one.
  void restart() noexcept { next_ = 0; }

  /// Nothing was found yet.
  [[nodiscard]] bool empty() const noexcept { return endpoints_.empty(); }
  /// Whether there is one that was not dialled.
  [[nodiscard]] bool has_next() const noexcept { return next_ < endpoints_.size(); }
  /// The next one, dialled at this moment. There has to be one.
  [[nodiscard]] const Endpoint& take(TimePoint now) noexcept;
  /// When the next one is due although the last one has not failed. None: there is no next one.
  [[nodiscard]] std::optional<TimePoint> next_at() const noexcept;

 private:
  std::vector<Endpoint> endpoints_;
  std::size_t next_ = 0;
  TimePoint last_{};  // when one was taken
};

}  // namespace norikv::transport::h2
