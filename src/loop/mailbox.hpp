#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include "loop/event_loop.hpp"

struct uv_async_s;

namespace norikv::loop {

/// Tasks on their way to the loop's thread, and the one wake that brings them there. Owned by an `EventLoop`.
///
/// Everything that several threads touch is behind one mutex, the call of `uv_async_send` included: once the loop's
/// thread has taken the mutex to stop the wakes, no producer is inside libuv with a handle that is about to be closed
/// (libuv#2226). The flag that coalesces wakes is our own, because libuv's can lose one (libuv#349).
class Mailbox {
 public:
  /// Room for this many tasks (256 KiB) is kept for the next batch; what a flood needed beyond it is given back.
  static constexpr std::size_t kept_capacity = 4096;

  /// [any thread] False, and `task` left as it was, once sealed.
  [[nodiscard]] bool post(Task& task);
  /// [any thread] Asks for a turn, as a task would.
  void wake();

  /// [any thread] From now on `fetch` tells when the wake was asked for. Costs a look at the clock per wake.
  void measure();

  /// [loop thread] Wakes go to this handle from now on, first of all the one that is pending.
  void open(uv_async_s* async);
  /// [loop thread] No more wakes. Tasks are still taken in, and fetched by whoever shuts.
  void shut();
  /// [loop thread] Takes nothing in any more, unless a task waits: then false.
  [[nodiscard]] bool try_seal();

  /// [loop thread] Consumes the wake. If the last batch is used up, fetches the next. When the wake was asked for, if
  /// that is measured.
  std::optional<TimePoint> fetch();
  /// [loop thread] Runs at most `limit` tasks of the batch, oldest first. How many it ran.
  std::size_t run(std::size_t limit);
  /// [loop thread, in a task] The tasks behind this one are left to the next turn.
  void leave_rest() noexcept { rest_is_left_ = true; }
  /// [loop thread] Asks for another turn if tasks wait.
  void wake_for_rest();
  /// [loop thread] Whether every task that was posted has at least begun.
  [[nodiscard]] bool empty() const noexcept;

 private:
  void arm();
  [[nodiscard]] bool batch_used_up() const noexcept { return next_ == batch_.size(); }

  std::mutex mutex_;
  std::vector<Task> posted_;
  uv_async_s* async_ = nullptr;  // null: no wakes
  bool armed_ = false;           // a wake was asked for that no turn has consumed
  bool sealed_ = false;
  bool measured_ = false;
  std::optional<TimePoint> armed_at_;

  // posted_.size(), written under the mutex, read by the loop's thread without it. Relaxed is enough: a post that
  // happens before the read is seen by coherence, and only the reader itself sets it back to zero.
  std::atomic<std::size_t> posted_count_{0};

  // The loop's thread only: what is being run, and how far it got.
  std::vector<Task> batch_;
  std::size_t next_ = 0;
  bool rest_is_left_ = false;
};

}  // namespace norikv::loop
