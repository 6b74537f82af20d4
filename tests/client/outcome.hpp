#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <norikv/norikv.hpp>

#include "support/catch.hpp"

namespace norikv::test {

using namespace std::chrono_literals;

/// What the callback of one operation was given, and how often and where it ran. Copies share it. [any thread]
template <class T>
class Outcome {
 public:
  /// The callback to hand in; once only, for it is to be called once.
  [[nodiscard]] auto callback() const {
    return [state = state_](Result<T> result) {
      const std::lock_guard lock(state->mutex);
      ++state->calls;
      state->thread = std::this_thread::get_id();
      state->result.emplace(std::move(result));
      state->changed.notify_all();
    };
  }
  [[nodiscard]] int calls() const {
    const std::lock_guard lock(state_->mutex);
    return state_->calls;
  }
  [[nodiscard]] bool came() const { return calls() > 0; }
  /// For a client with a thread of its own.
  [[nodiscard]] bool wait(Duration limit = 10s) const {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, limit, [this] { return state_->calls > 0; });
  }
  [[nodiscard]] std::thread::id thread() const {
    const std::lock_guard lock(state_->mutex);
    return state_->thread;
  }
  /// There must be one.
  [[nodiscard]] Result<T> result() const {
    const std::lock_guard lock(state_->mutex);
    REQUIRE(state_->result.has_value());
    return *state_->result;
  }
  [[nodiscard]] Error error() const {
    const Result<T> ended = result();
    REQUIRE_FALSE(ended.has_value());
    return ended.error();
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    int calls = 0;
    std::thread::id thread;
    std::optional<Result<T>> result;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

using PutOutcome = Outcome<Written>;
using GetOutcome = Outcome<std::optional<Entry>>;
using RemoveOutcome = Outcome<Removed>;
using ReadyOutcome = Outcome<void>;

/// How something ended, in a word: "ok", or the error's code. The whole error is shown if the check that uses it fails.
template <class T>
[[nodiscard]] std::string ended(const Result<T>& result) {
  if (result) return "ok";
  UNSCOPED_INFO(result.error().describe());
  return std::string(to_string(result.error().code));
}
template <class T>
[[nodiscard]] std::string ended(const Outcome<T>& outcome) {
  if (!outcome.came()) return "no callback";
  if (outcome.calls() > 1) return "more than one callback";
  return ended(outcome.result());
}

/// The value of a read: none if the key is missing or the read failed.
[[nodiscard]] inline std::optional<std::string> value_of(const Result<std::optional<Entry>>& result) {
  if (!result) UNSCOPED_INFO(result.error().describe());
  if (!result || !*result) return std::nullopt;
  return (*result)->value;
}

template <class T>
[[nodiscard]] bool all_came(const std::vector<Outcome<T>>& outcomes) {
  for (const auto& outcome : outcomes) {
    if (!outcome.came()) return false;
  }
  return true;
}

}  // namespace norikv::test
