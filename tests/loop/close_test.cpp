#include <atomic>
#include <random>
#include <vector>

#include "guest.hpp"
#include "seams.hpp"

using namespace norikv::test;
using norikv::loop::EventLoop;
using norikv::loop::Task;

TEST_CASE("Closing gives every handle back", "[close]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  guest.close();
  CHECK_FALSE(guest.closed());
  CHECK(host.run_until_idle());
  CHECK(guest.closed());
  CHECK(host.close().empty());
}

TEST_CASE("An event loop can be closed before its first turn", "[close]") {
  LoopFixture host;
  Guest guest(host);
  bool ran = false;
  guest.post([&] { ran = true; });
  guest.close();
  CHECK(host.run_until_idle());
  CHECK(ran);
  CHECK(guest.turns == 0);
  CHECK(guest.closed());
}

TEST_CASE("Tasks that are queued at close run in order, without a turn, before it is done", "[close]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::vector<int> ran;
  constexpr int count = 3 * static_cast<int>(EventLoop::tasks_per_turn);
  for (int i = 0; i < count; ++i) guest.post([&ran, i] { ran.push_back(i); });
  guest.close([&] { ran.push_back(-1); });
  guest.post([&] { ran.push_back(count); });
  CHECK(ran.empty());
  CHECK(host.run_until_idle());
  REQUIRE(ran.size() == count + 2);
  for (int i = 0; i <= count; ++i) CHECK(ran[static_cast<std::size_t>(i)] == i);
  CHECK(ran.back() == -1);
  CHECK(guest.turns == 0);
}

TEST_CASE("A task may close the loop; the rest of its batch still runs", "[close]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::size_t ran = 0;
  guest.post([&] { guest.close(); });
  for (std::size_t i = 0; i < 2 * EventLoop::tasks_per_turn; ++i) guest.post([&] { ++ran; });
  CHECK(host.run_until_idle());
  CHECK(ran == 2 * EventLoop::tasks_per_turn);
  CHECK(guest.turns == 0);
  CHECK(guest.closed());
}

TEST_CASE("A turn may close the loop", "[close]") {
  LoopFixture host;
  Guest guest(host);
  guest.in_turn = [&] { guest.close(); };
  CHECK(host.run_until_idle());
  CHECK(guest.turns == 1);
  CHECK(guest.closed());
}

TEST_CASE("The turn of a timer may close the loop", "[close]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  guest.in_turn = [&] { guest.close(); };
  guest->set_timer(std::chrono::steady_clock::now() + std::chrono::milliseconds{1});
  CHECK(host.run_until([&] { return guest.closed(); }));
}

TEST_CASE("A task that runs during the close may post another one", "[close]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  int left = 10;
  std::function<void()> again = [&] {
    if (--left > 0) guest.post([&] { again(); });
  };
  guest.post([&] { again(); });
  int left_when_done = -1;
  guest.close([&] { left_when_done = left; });
  CHECK(host.run_until_idle());
  CHECK(left_when_done == 0);
}

TEST_CASE("Waking, holding and the timer mean nothing during the close", "[close]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  guest.close();
  guest->hold(true);
  guest->wake();
  guest->set_timer(std::chrono::steady_clock::now());
  CHECK(host.run_until_idle());
  CHECK(guest.closed());
  CHECK(guest.turns == 0);
}

TEST_CASE("No wake is sent to a handle that is being closed", "[close]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  guest.close();
  const int before = seams::async_sends;
  bool ran = false;
  guest.post_from_elsewhere([&] { ran = true; });
  std::thread([&] { guest->wake(); }).join();
  CHECK(seams::async_sends == before);
  CHECK(host.run_until_idle());
  CHECK(ran);
}

TEST_CASE("Once it is sealed a post is refused and leaves the task usable", "[close]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  bool refused = false, ran = false;
  guest.close([&] {
    Task task = [&] { ran = true; };
    refused = !guest->post(task);
    if (task) task();
  });
  CHECK(host.run_until_idle());
  CHECK(refused);
  CHECK(ran);
}

TEST_CASE("A post that races with the close runs before it is done or is refused", "[close]") {
  struct Handler final : norikv::loop::TurnHandler {
    void on_turn() override {}
  } handler;
  std::mt19937 random(2024);
  for (int round = 0; round < 300; ++round) {
    LoopFixture host;
    int error = 0;
    const auto loop = EventLoop::create(host.loop(), handler, error);
    REQUIRE(loop);
    std::atomic<bool> closing = false;
    std::atomic<int> accepted = 0, refused_early = 0;
    int ran = 0;
    const auto produce = [&] {
      while (loop->post([&] { ++ran; })) {
        ++accepted;
        loop->wake();
      }
      if (!closing) ++refused_early;
    };
    std::thread one(produce), two(produce);
    const int enough = static_cast<int>(random() % 200);
    CHECK(host.run_until([&] { return ran >= enough; }));
    bool done = false;
    closing = true;
    loop->close([&] { done = true; });
    CHECK(host.run_until([&] { return done; }));
    one.join();
    two.join();
    CHECK(ran == accepted);
    CHECK(refused_early == 0);
  }
}

TEST_CASE("The last post of a thread may be the one that lets the loop be destroyed", "[close]") {
  for (int round = 0; round < 300; ++round) {
    LoopFixture host;
    Guest guest(host);
    std::thread producer([&loop = *guest, &guest] { static_cast<void>(loop.post([&guest] { guest.close(); })); });
    CHECK(host.run_until([&] { return guest.closed(); }));
    producer.join();
  }
}
