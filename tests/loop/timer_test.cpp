#include <algorithm>

#include "guest.hpp"
#include "seams.hpp"

// These tests take real time, some milliseconds each: libuv's clock can't be faked.

using namespace norikv::test;
using namespace std::chrono_literals;
using norikv::TimePoint;
using Clock = std::chrono::steady_clock;

namespace {

void work_for(std::chrono::nanoseconds time) {
  const auto end = Clock::now() + time;
  while (Clock::now() < end) continue;
}

/// Of all timers that run on the loop; 0 if none does.
std::chrono::milliseconds longest_wait(LoopFixture& host) {
  std::chrono::milliseconds longest{0};
  uv_walk(
      host.loop(),
      [](uv_handle_t* handle, void* found) {
        if (handle->type != UV_TIMER || uv_is_active(handle) == 0) return;
        const std::chrono::milliseconds wait(uv_timer_get_due_in(reinterpret_cast<uv_timer_t*>(handle)));
        auto& so_far = *static_cast<std::chrono::milliseconds*>(found);
        so_far = std::max(so_far, wait);
      },
      &longest);
  return longest;
}

TimePoint time_of_next_turn(LoopFixture& host, Guest& guest) {
  TimePoint fired{};
  guest.turns = 0;
  guest.in_turn = [&] { fired = Clock::now(); };
  REQUIRE(host.run_until([&] { return guest.turns > 0; }));
  guest.in_turn = [] {};
  return fired;
}

}  // namespace

TEST_CASE("The timer is never early, however old the loop's cached time is", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  for (int i = 0; i < 40; ++i) {
    uv_update_time(host.loop());
    work_for(std::chrono::microseconds{(i * 370) % 4000});
    const TimePoint at = Clock::now() + std::chrono::microseconds{100 + (i * 730) % 3000};
    guest->set_timer(at);
    CHECK(time_of_next_turn(host, guest) >= at);
  }
}

TEST_CASE("A wait counts from now, not from the loop's cached time", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  uv_update_time(host.loop());
  work_for(30ms);
  const TimePoint at = Clock::now() + 1h;
  guest->set_timer(at);
  uv_update_time(host.loop());
  CHECK(longest_wait(host) + 10ms >= at - Clock::now());  // libuv's clock may be some milliseconds coarse
}

TEST_CASE("The timer asks for one turn", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->set_timer(Clock::now() + 2ms);
  host.run_for(10ms);
  CHECK(guest.turns == 1);
}

TEST_CASE("The timer can be set again in its own turn", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  guest.in_turn = [&] { guest->set_timer(Clock::now() + 1ms); };
  guest->set_timer(Clock::now() + 1ms);
  CHECK(host.run_until([&] { return guest.turns == 5; }));
}

TEST_CASE("The timer can be moved to an earlier time", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->set_timer(Clock::now() + 1h);
  const TimePoint at = Clock::now() + 2ms;
  guest->set_timer(at);
  CHECK(time_of_next_turn(host, guest) >= at);
}

TEST_CASE("The timer can be moved to a later time", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->set_timer(Clock::now() + 1ms);
  const TimePoint at = Clock::now() + 20ms;
  guest->set_timer(at);
  CHECK(time_of_next_turn(host, guest) >= at);
  CHECK(guest.turns == 1);
}

TEST_CASE("A timer that is put off again and again is started once, until it is due", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  TimePoint at = Clock::now() + 20ms;
  guest->set_timer(at);
  const int before = seams::timer_starts;
  for (int i = 0; i < 100; ++i) guest->set_timer(at += 100us);
  CHECK(seams::timer_starts == before);
  CHECK(time_of_next_turn(host, guest) >= at);
  CHECK(guest.turns == 1);
  CHECK(seams::timer_starts <= before + 3);  // libuv's clock is coarse
}

TEST_CASE("A cancelled timer does not run", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->set_timer(Clock::now() + 1h);
  CHECK(longest_wait(host) > 0ms);
  guest->set_timer(std::nullopt);
  CHECK(longest_wait(host) == 0ms);
}

TEST_CASE("Setting the timer to the time it has does not start it again", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  const TimePoint at = Clock::now() + 1h;
  guest->set_timer(at);
  const int before = seams::timer_starts;
  for (int i = 0; i < 100; ++i) guest->set_timer(at);
  CHECK(seams::timer_starts == before);
}

TEST_CASE("A time in the past means one turn, in the next round of the loop", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->hold(true);
  guest->set_timer(TimePoint::min());
  CHECK(guest.turns == 0);
  uv_run(host.loop(), UV_RUN_NOWAIT);
  CHECK(guest.turns == 1);
  uv_run(host.loop(), UV_RUN_NOWAIT);
  CHECK(guest.turns == 1);
}

TEST_CASE("A handler that always wants its next turn at once gets one in each round of the host's loop", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  constexpr int wanted = 1000;
  guest.in_turn = [&] {
    if (guest.turns < wanted) guest->set_timer(Clock::now());
  };
  int rounds = 0;
  uv_check_t check;
  check.data = &rounds;
  uv_check_init(host.loop(), &check);
  uv_check_start(&check, [](uv_check_t* self) { ++*static_cast<int*>(self->data); });
  guest->set_timer(Clock::now() + 1ms);
  CHECK(host.run_until([&] { return guest.turns == wanted; }));
  CHECK(rounds >= wanted - 1);
  uv_close(reinterpret_cast<uv_handle_t*>(&check), nullptr);
}

TEST_CASE("The end of time is a time like any other", "[timer]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->set_timer(TimePoint::max());
  host.run_for(5ms);
  CHECK(guest.turns == 0);
}
