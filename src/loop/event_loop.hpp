#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

struct uv_loop_s;
struct uv_handle_s;

namespace norikv::loop {

using Task = UniqueFunction<void()>;

/// One turn, measured.
struct Turn {
  TimePoint began{};
  std::optional<Duration> queue_lag;  ///< Since the turn was asked for; none if nobody did.
  std::optional<Duration> timer_lag;  ///< How late the timer was; none if it is not its turn.
  std::size_t tasks = 0;
};

/// What an `EventLoop` calls on the loop's thread.
class TurnHandler {
 public:
  /// After the tasks of a turn ran, and when the timer is due.
  virtual void on_turn() = 0;

 protected:
  ~TurnHandler() = default;
};

/// The client's place on one uv loop: a mailbox with one `uv_async_t`, and one `uv_timer_t`.
///
/// Created on the thread that runs the loop, or before the loop runs. It leaves its async handle referenced and wakes
/// itself; the first turn records the loop's thread and from then on `hold` decides whether the handle keeps the loop
/// alive.
///
/// Order: tasks run in the order in which they were posted. `may_start_directly` tells the loop's own thread when doing
/// a thing at once does not overtake anything that was posted.
///
/// A host that walks its loop may close the handles: `hold(true)`, a post on the loop's thread and `close` then make
/// new ones and carry on with what waits. Until one of these, nothing runs.
class EventLoop {
 public:
  /// Most tasks one turn runs; the rest comes in the next.
  static constexpr std::size_t tasks_per_turn = 256;

  /// Null if libuv refused (`error` then tells why). `handler` outlives the close callback.
  static std::unique_ptr<EventLoop> create(uv_loop_s* loop, TurnHandler& handler, int& error);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// [any thread] Queues a task and wakes the loop if nobody has. False, and `task` left as it was, once the mailbox is
  /// sealed (just before the close callback).
  [[nodiscard]] bool post(Task& task);
  [[nodiscard]] bool post(Task&& task) { return post(task); }

  /// [any thread] False before the first turn.
  [[nodiscard]] bool on_loop_thread() const noexcept;

  /// [any thread] Whether this is the loop's thread and nothing that was posted is waiting.
  [[nodiscard]] bool may_start_directly() const noexcept;

  /// [loop thread, in a task] This task was long: those behind it are left to the next turn.
  void leave_rest() noexcept;

  /// [any thread] Asks for one more turn.
  void wake();

  /// [loop thread, from a callback of libuv that is none of ours] Has the turn now, within the same iteration of the
  /// loop: for those who read sockets on it and have something for the handler.
  void turn_now();

  /// From now on turns are measured, which costs two looks at the clock for each.
  void measure();
  /// [loop thread, inside `on_turn`] The turn that is running. Empty unless turns are measured.
  [[nodiscard]] const Turn& turn() const noexcept;

  /// [loop thread] When the handler wants its next turn; none = only when something is posted. Earlier than now means
  /// in the next turn of the loop. Never keeps the loop alive.
  void set_timer(std::optional<TimePoint> at);

  /// [loop thread] Whether the loop is to be kept alive. The mailbox keeps it alive by itself while it is known, on the
  /// loop's thread, to hold tasks.
  void hold(bool keep_alive);
  /// [loop thread] What `hold` was told last.
  [[nodiscard]] bool held() const noexcept;

  /// [loop thread] The loop itself, for handles of those who live on it too.
  [[nodiscard]] uv_loop_s* raw() const noexcept;

  /// [loop thread] Gives both handles back. Tasks posted until the end still run (without a turn); then the mailbox is
  /// sealed and `done` runs as the last thing that touches this object, which it may destroy.
  void close(UniqueFunction<void()> done);

  /// [any thread] Whether a handle is one of the two.
  [[nodiscard]] bool owns(const uv_handle_s* handle) const noexcept;

 private:
  struct State;
  explicit EventLoop(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A uv loop with a thread of its own. Whoever starts it keeps it until `start` returned; after that it may be
/// destroyed anywhere, on its own thread too.
///
/// The loop runs as long as something holds it, so an `EventLoop` on it is held (`hold(true)`) from its creation on.
class LoopThread {
 public:
  /// Null if libuv refused. The thread does not run yet.
  static std::unique_ptr<LoopThread> create(int& error);
  ~LoopThread();

  /// There until the thread ends.
  [[nodiscard]] uv_loop_s* loop() noexcept;
  /// Starts the thread; it runs the loop until no handle is left, closes it, and destroys `keep_alive` last. A libuv
  /// error code if the system has no thread to give; 0 = started. Once only.
  [[nodiscard]] int start(std::shared_ptr<void> keep_alive);
  /// Waits for the thread to end; on the thread itself lets it end alone. Nothing to wait for if it was never started.
  void join();
  /// In a forked child, where the thread does not exist: forgets it.
  void abandon() noexcept;

 private:
  struct State;
  explicit LoopThread(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace norikv::loop
