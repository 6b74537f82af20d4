#pragma once

namespace norikv::cli {

/// Ends `watch` and `serve`: SIGINT and SIGTERM as something to wait for, together with other reasons to wake up.
///
/// One per process, made and used by the main thread before any other thread starts: those inherit that both signals
/// are blocked. From `listen` on they reach the main thread, where they also interrupt a write that blocks. The second
/// signal of a kind ends the process as if nobody had caught it.
class Stop {
 public:
  Stop();
  ~Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  /// When all threads run.
  void listen();

  [[nodiscard]] bool requested() const;

  /// Ends a `wait`, also one that comes later. [any thread]
  void wake() const;

  /// Waits for a signal or a `wake`.
  void wait();
  /// The same; false if nobody can read stdout any more.
  [[nodiscard]] bool wait_with_reader();

 private:
  bool wait_for(bool reader);
};

}  // namespace norikv::cli
