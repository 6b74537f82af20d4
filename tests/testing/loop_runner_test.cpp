#include <norikv/testing/loop_runner.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include <uv.h>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using norikv::testing::LoopRunner;
using Clock = std::chrono::steady_clock;

TEST_CASE("LoopRunner: a condition that holds needs no turn") {
  LoopRunner runner;
  CHECK(runner.run_until([] { return true; }, 0s));
}

TEST_CASE("LoopRunner: a condition that another thread meets ends the run of an idle loop") {
  LoopRunner runner;
  std::atomic<bool> met{false};
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);  // Real time: the loop is to be asleep by then.
    met = true;
  });
  CHECK(runner.run_until([&] { return met.load(); }));
  other.join();
}

TEST_CASE("LoopRunner: a condition that is never met ends at the limit") {
  LoopRunner runner;
  const auto start = Clock::now();
  CHECK_FALSE(runner.run_until([] { return false; }, 30ms));
  CHECK(Clock::now() - start >= 30ms);
  CHECK(Clock::now() - start < 1s);
}

TEST_CASE("LoopRunner: what is on the loop runs") {
  LoopRunner runner;
  int fired = 0;
  uv_timer_t timer;
  uv_timer_init(runner.loop(), &timer);
  timer.data = &fired;
  uv_timer_start(
      &timer, [](uv_timer_t* self) { ++*static_cast<int*>(self->data); }, 1, 1);
  CHECK(runner.run_until([&] { return fired >= 3; }));
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  CHECK(runner.close().empty());
}

TEST_CASE("LoopRunner: a run for some time takes this time, with an idle loop too") {
  LoopRunner runner;
  const auto start = Clock::now();
  runner.run_for(20ms);
  CHECK(Clock::now() - start >= 20ms);
}

TEST_CASE("LoopRunner: an idle loop returns at once") {
  LoopRunner runner;
  const auto start = Clock::now();
  CHECK(runner.run_until_idle());
  CHECK(Clock::now() - start < 1s);
}

TEST_CASE("LoopRunner: a loop that something keeps alive is not idle at the limit, and is once that ends") {
  LoopRunner runner;
  uv_timer_t timer;
  uv_timer_init(runner.loop(), &timer);
  uv_timer_start(
      &timer, [](uv_timer_t*) {}, 60'000, 0);
  CHECK_FALSE(runner.run_until_idle(20ms));
  uv_timer_start(
      &timer, [](uv_timer_t*) {}, 1, 0);
  CHECK(runner.run_until_idle());
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
}

TEST_CASE("LoopRunner: a host's uv_stop does not end a run early") {
  LoopRunner runner;
  uv_timer_t timer;
  uv_timer_init(runner.loop(), &timer);
  uv_timer_start(
      &timer, [](uv_timer_t* self) { uv_stop(self->loop); }, 1, 1);
  const auto start = Clock::now();
  runner.run_for(20ms);
  CHECK(Clock::now() - start >= 20ms);
  CHECK_FALSE(runner.run_until_idle(20ms));
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
}

TEST_CASE("LoopRunner: leaked handles are named by their type, and its own timer is not among them") {
  LoopRunner runner;
  uv_async_t async;
  uv_timer_t timer;
  uv_async_init(runner.loop(), &async, nullptr);
  uv_timer_init(runner.loop(), &timer);
  uv_unref(reinterpret_cast<uv_handle_t*>(&async));
  auto left = runner.close();
  std::sort(left.begin(), left.end());
  REQUIRE(left.size() == 2);
  CHECK(left[0] == "async, active, unreferenced");
  CHECK(left[1] == "timer, inactive, keeps the loop alive");
  uv_close(reinterpret_cast<uv_handle_t*>(&async), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  CHECK(runner.run_until_idle());
  CHECK(runner.close().empty());
  CHECK(runner.close().empty());
}

TEST_CASE("LoopRunner: handles whose close has begun are not leaked") {
  LoopRunner runner;
  uv_async_t async;
  uv_async_init(runner.loop(), &async, nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&async), nullptr);
  CHECK(runner.close().empty());
}

// Ends the process: run by the build with a name, and expected to fail.
TEST_CASE("LoopRunner: a leaked handle ends the process", "[.][leak]") {
  static uv_async_t async;
  LoopRunner runner;
  uv_async_init(runner.loop(), &async, nullptr);
}
