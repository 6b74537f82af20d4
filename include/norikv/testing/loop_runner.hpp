#pragma once

#include <memory>
#include <string>
#include <vector>

#include <norikv/export.hpp>
#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

struct uv_loop_s;

namespace norikv::testing {

/// A uv loop for tests: runs until a condition holds or a limit is reached, and tells which handles leaked. [one
/// thread] All methods, the destructor included, are called on one thread, which thereby is the loop's.
class LoopRunner {
 public:
  NORIKV_EXPORT LoopRunner();
  /// Closes the loop. Handles that are still there are printed to stderr and end the process: check `close()` in a
  /// test.
  NORIKV_EXPORT ~LoopRunner();
  LoopRunner(const LoopRunner&) = delete;
  LoopRunner& operator=(const LoopRunner&) = delete;

  [[nodiscard]] NORIKV_EXPORT uv_loop_s* loop() noexcept;

  /// Turns the loop until `condition` is true; false if `limit` came first. Keeps turning while the loop has nothing to
  /// do.
  [[nodiscard]] NORIKV_EXPORT bool run_until(UniqueFunction<bool()> condition,
                                             Duration limit = std::chrono::seconds{10});
  /// Turns the loop for this long.
  NORIKV_EXPORT void run_for(Duration time);
  /// Runs until nothing keeps the loop alive; false if `limit` came first.
  [[nodiscard]] NORIKV_EXPORT bool run_until_idle(Duration limit = std::chrono::seconds{10});

  /// Closes the loop. The result names the handles that were left, one line each; empty = a clean loop.
  [[nodiscard]] NORIKV_EXPORT std::vector<std::string> close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace norikv::testing
