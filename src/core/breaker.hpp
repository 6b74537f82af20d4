#pragma once

#include <cstdint>

#include <norikv/options.hpp>

#include "core/backoff.hpp"

namespace norikv::core {

/// One node's circuit breaker: failures in a row open it, after a pause one request tries the node, and its answer
/// closes it again. Owned by the router. (M. Nygard, "Release It!": closed, open, half open.)
class Breaker {
 public:
  enum class State : std::uint8_t { closed, open, half_open };

  explicit Breaker(const BreakerOptions& options) : options_(options) {}

  [[nodiscard]] State state() const { return state_; }
  /// Whether a request that has a choice may go to the node now.
  [[nodiscard]] bool allows(TimePoint now) const {
    return state_ == State::closed || (state_ == State::open && now >= retry_at_);
  }

  void on_sent(TimePoint now) {
    if (state_ == State::open && now >= retry_at_) state_ = State::half_open;
  }
  /// The node itself spoke, whatever it said.
  void on_answer() {
    state_ = State::closed;
    failures_ = 0;
    openings_ = 0;
  }
  /// The node could not be reached, or did not answer. True if that opened the breaker. `fraction` is a random number
  /// in (0, 1], for the jitter.
  bool on_failure(TimePoint now, double fraction) {
    // What was sent before it opened says nothing new.
    if (options_.failures == 0 || state_ == State::open) return false;
    if (state_ == State::closed && ++failures_ < options_.failures) return false;
    state_ = State::open;
    retry_at_ = now + backoff_delay(options_.open, openings_++, fraction);
    return true;
  }
  /// A request was given up before it had an answer: if it was the one that tried the node, another one may.
  void on_abandoned() {
    if (state_ == State::half_open) state_ = State::open;
  }

 private:
  BreakerOptions options_;
  State state_ = State::closed;
  std::uint32_t failures_ = 0;  // in a row, while it is closed
  std::uint32_t openings_ = 0;  // in a row
  TimePoint retry_at_{};
};

}  // namespace norikv::core
