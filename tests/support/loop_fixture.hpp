#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <uv.h>

#include "support/catch.hpp"
#include "support/patience.hpp"

namespace norikv::test {

/// A uv loop for a test, to be declared before everything that lives on it. What is left on it after the test is
/// printed and fails the test.
class LoopFixture {
 public:
  LoopFixture() {
    uv_loop_init(loop_.get());
    uv_timer_init(loop_.get(), &ticker_);
  }
  LoopFixture(const LoopFixture&) = delete;
  LoopFixture& operator=(const LoopFixture&) = delete;

  ~LoopFixture() {
    if (!loop_) return;
    const auto left = close();
    for (const auto& handle : left) FAIL_CHECK("left on the loop: " << handle);
    if (!left.empty()) static_cast<void>(loop_.release());  // somebody still believes in it
  }

  [[nodiscard]] uv_loop_t* loop() noexcept { return loop_.get(); }

  /// Turns the loop until `condition` holds; false if `limit` came first. Keeps turning while nothing holds the loop,
  /// and looks at the condition once a millisecond, so it may also wait for another thread. A limit of seconds is one
  /// against hanging, and gets longer by `patience()`.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition,
                               std::chrono::nanoseconds limit = std::chrono::seconds{10}) {
    using Limit = std::chrono::duration<double, std::nano>;
    if (limit >= std::chrono::seconds{5})
      limit = std::chrono::duration_cast<std::chrono::nanoseconds>(Limit{limit} * patience());
    const auto end = std::chrono::steady_clock::now() + limit;
    uv_timer_start(
        &ticker_, [](uv_timer_t*) {}, 1, 1);
    bool holds = condition();
    while (!holds && std::chrono::steady_clock::now() < end) {
      uv_run(loop_.get(), UV_RUN_ONCE);
      holds = condition();
    }
    uv_timer_stop(&ticker_);
    return holds;
  }

  /// Turns the loop for this long. Only for tests that something does not happen.
  void run_for(std::chrono::nanoseconds time) {
    static_cast<void>(run_until([] { return false; }, time));
  }

  /// `uv_run` as a host calls it. True if it returned because nothing holds the loop; false if `limit` came first.
  [[nodiscard]] bool run_until_idle(std::chrono::milliseconds limit = std::chrono::seconds{10}) {
    uv_timer_start(
        &ticker_, [](uv_timer_t* timer) { uv_stop(timer->loop); }, static_cast<std::uint64_t>(limit.count()), 0);
    uv_unref(reinterpret_cast<uv_handle_t*>(&ticker_));
    const bool idle = uv_run(loop_.get(), UV_RUN_DEFAULT) == 0;
    uv_ref(reinterpret_cast<uv_handle_t*>(&ticker_));
    uv_timer_stop(&ticker_);
    return idle;
  }

  /// Whether the next `uv_run` would return without doing anything.
  [[nodiscard]] bool idle() const noexcept { return uv_loop_alive(loop_.get()) == 0; }

  /// What a careless host does before it leaves: closes every handle, whoever it belongs to.
  void close_every_handle(uv_close_cb closed = nullptr) {
    std::vector<uv_handle_t*> all;
    uv_walk(
        loop_.get(), [](uv_handle_t* handle, void* list) { static_cast<decltype(all)*>(list)->push_back(handle); },
        &all);
    for (uv_handle_t* handle : all) {
      if (handle != reinterpret_cast<uv_handle_t*>(&ticker_) && uv_is_closing(handle) == 0) uv_close(handle, closed);
    }
  }

  /// Closes the loop. The result names the handles that are left on it, one text each; empty = clean, and the loop is
  /// gone. Otherwise it is as it was.
  [[nodiscard]] std::vector<std::string> close() {
    auto* ticker = reinterpret_cast<uv_handle_t*>(&ticker_);
    uv_close(ticker, nullptr);
    uv_run(loop_.get(), UV_RUN_NOWAIT);
    if (uv_loop_close(loop_.get()) == 0) {
      loop_.reset();
      return {};
    }
    std::vector<std::string> left;
    uv_walk(
        loop_.get(),
        [](uv_handle_t* handle, void* list) {
          std::string text = uv_handle_type_name(handle->type);
          if (uv_is_active(handle) != 0) text += ", active";
          if (uv_has_ref(handle) != 0) text += ", referenced";
          if (uv_is_closing(handle) != 0) text += ", closing";
          static_cast<std::vector<std::string>*>(list)->push_back(std::move(text));
        },
        &left);
    uv_timer_init(loop_.get(), &ticker_);
    return left;
  }

 private:
  std::unique_ptr<uv_loop_t> loop_ = std::make_unique<uv_loop_t>();
  uv_timer_t ticker_{};
};

}  // namespace norikv::test
