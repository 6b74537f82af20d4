#include "guest.hpp"

using namespace norikv::test;
using namespace std::chrono_literals;
using norikv::loop::EventLoop;

TEST_CASE("A new event loop holds the host's loop until its first turn", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  CHECK_FALSE(host.idle());
  CHECK(host.run_until_idle());
  CHECK(guest.turns == 1);
  CHECK(host.idle());
}

TEST_CASE("Releasing before the first turn does not lose that turn", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  guest->hold(false);
  CHECK(host.run_until_idle());
  CHECK(guest.turns == 1);
}

// Takes 20 ms: what is tested is that uv_run does not return.
TEST_CASE("Holding keeps uv_run from returning, releasing lets it return", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->hold(true);
  CHECK_FALSE(host.run_until_idle(20ms));
  guest->hold(false);
  CHECK(host.run_until_idle());
}

TEST_CASE("Holding is a flag, not a count", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->hold(true);
  guest->hold(true);
  guest->hold(false);
  CHECK(host.idle());
}

TEST_CASE("A task posted on the loop's thread holds the loop until it ran", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  bool ran = false;
  guest.post([&] { ran = true; });
  guest->hold(false);
  CHECK_FALSE(host.idle());
  CHECK(host.run_until_idle());
  CHECK(ran);
}

TEST_CASE("A task that posts another one holds the loop for it", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  int left = 5;
  std::function<void()> again = [&] {
    if (--left > 0) guest.post([&] { again(); });
  };
  guest.post([&] { again(); });
  CHECK(host.run_until_idle());
  CHECK(left == 0);
}

TEST_CASE("A task from another thread does not hold an idle loop before a turn took it in", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  bool ran = false;
  guest.post_from_elsewhere([&] { ran = true; });
  CHECK(host.idle());
  CHECK(host.run_until([&] { return ran; }));
}

TEST_CASE("Tasks from another thread hold the loop from the turn that takes them in", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::size_t ran = 0;
  for (std::size_t i = 0; i < EventLoop::tasks_per_turn; ++i) guest.post_from_elsewhere([&] { ++ran; });
  guest.post_from_elsewhere([&] { ++ran; });
  CHECK(host.run_until([&] { return guest.turns == 1; }));
  CHECK(ran == EventLoop::tasks_per_turn);
  CHECK_FALSE(host.idle());
  CHECK(host.run_until_idle());
  CHECK(ran == EventLoop::tasks_per_turn + 1);
}

TEST_CASE("The timer does not hold the loop", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->set_timer(std::chrono::steady_clock::now() + 1h);
  CHECK(host.idle());
}

TEST_CASE("Closing holds the loop until it is done", "[keep-alive]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  guest.close();
  CHECK_FALSE(host.idle());
  CHECK(host.run_until_idle());
  CHECK(guest.closed());
}
