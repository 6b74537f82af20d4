#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <norikv/cluster.hpp>
#include <norikv/options.hpp>

#include "core/ids.hpp"

namespace norikv::core {

/// The topology stream to one node: open, listen, and open another one after a pause when it ends or falls silent.
/// Decides only; the session carries out what `Step` says.
class WatchOp {
 public:
  explicit WatchOp(const ConnectionOptions& options) : reconnect_(options.reconnect), silence_(options.silence) {}

  /// What to do after an input.
  struct Step {
    bool open = false;                 ///< Open a stream, in the place of the one there is.
    std::optional<TimePoint> wake_at;  ///< Call `on_timer` then.
    std::optional<ConnectionState> news;
    std::optional<Duration> retry_in;  ///< With news of `backing_off`.
  };

  [[nodiscard]] Step start(TimePoint now);
  /// Opens a stream without news: nothing has changed but that.
  [[nodiscard]] Step open_again(TimePoint now);
  [[nodiscard]] Step on_view(TimePoint now);
  /// `fraction` is a random number in (0, 1], for the jitter of the pause.
  [[nodiscard]] Step on_end(TimePoint now, double fraction);
  [[nodiscard]] Step on_timer(TimePoint now, double fraction);

  [[nodiscard]] ConnectionState state() const { return state_; }
  /// Streams that ended in a row without a single view.
  [[nodiscard]] std::uint32_t failures() const { return failures_; }

 private:
  Backoff reconnect_;
  Duration silence_;
  ConnectionState state_ = ConnectionState::connecting;
  bool started_ = false;
  TimePoint last_heard_{};  // or opened
  std::uint32_t failures_ = 0;
  std::uint32_t silences_ = 0;  // since the last view
};

}  // namespace norikv::core
