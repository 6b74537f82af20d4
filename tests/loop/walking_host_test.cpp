#include <vector>

#include "guest.hpp"

// A host that closes every handle on its loop, ours included.

using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

// The loop goes on until the close callbacks of the host's walk were called.
void walk_and_run(LoopFixture& host) {
  host.close_every_handle();
  REQUIRE(host.run_until_idle());
}

}  // namespace

TEST_CASE("A host that asks learns which handles are not its own", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  uv_timer_t own;
  uv_timer_init(host.loop(), &own);
  std::vector<bool> answers;
  struct Asked {
    Guest& guest;
    int ours = 0;
    int others = 0;
  } asked{guest};
  uv_walk(
      host.loop(),
      [](uv_handle_t* handle, void* context) {
        auto& count = *static_cast<Asked*>(context);
        ++(count.guest->owns(handle) ? count.ours : count.others);
      },
      &asked);
  CHECK(asked.ours == 2);
  CHECK(asked.others == 2);  // its timer, and the fixture's
  CHECK_FALSE(guest->owns(reinterpret_cast<uv_handle_t*>(&own)));
  uv_close(reinterpret_cast<uv_handle_t*>(&own), nullptr);
}

TEST_CASE("Closing works after a host closed every handle", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  walk_and_run(host);
  guest.close();
  CHECK(host.run_until_idle());
  CHECK(guest.closed());
  CHECK(host.close().empty());
}

TEST_CASE("Closing works in the moment in which a host closed every handle", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  host.close_every_handle();
  guest.close();
  CHECK(host.run_until_idle());
  CHECK(guest.closed());
  CHECK(host.close().empty());
}

TEST_CASE("The close is done after libuv is through with the handles that the host closed", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  static int through;
  through = 0;
  host.close_every_handle([](uv_handle_t*) { ++through; });
  int through_when_done = 0;
  guest.close([&] { through_when_done = through; });
  CHECK(host.run_until_idle());
  CHECK(through_when_done == 2);
}

TEST_CASE("A host may close every handle while the close is under way", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  guest.close();
  host.close_every_handle();
  CHECK(host.run_until_idle());
  CHECK(guest.closed());
  CHECK(host.close().empty());
}

TEST_CASE("Closing works for an event loop that had no turn before a host closed its handles", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  walk_and_run(host);
  guest.close();
  CHECK(host.run_until_idle());
  CHECK(guest.closed());
}

TEST_CASE("A task may close every handle of the host and then ours", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  bool ran = false;
  guest.post([&] {
    host.close_every_handle();
    guest.close();
  });
  guest.post([&] { ran = true; });
  CHECK(host.run_until_idle());
  CHECK(ran);
  CHECK(guest.closed());
}

TEST_CASE("Without further work a loop whose handles were closed stays idle and clean", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->set_timer(std::chrono::steady_clock::now() + 1ms);
  walk_and_run(host);
  guest->set_timer(std::chrono::steady_clock::now() + 2ms);
  guest->hold(false);
  guest->wake();
  CHECK(host.run_until_idle());
  CHECK(guest.turns == 0);
}

TEST_CASE("A post on the loop's thread runs although a host closed every handle", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  walk_and_run(host);
  bool ran = false;
  guest.post([&] { ran = true; });
  CHECK(host.run_until_idle());
  CHECK(ran);
}

TEST_CASE("Holding brings back the posts of other threads that a host's walk stopped", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  walk_and_run(host);
  bool ran = false, ran_later = false;
  guest.post_from_elsewhere([&] { ran = true; });
  CHECK(host.run_until_idle());
  CHECK_FALSE(ran);

  guest->hold(true);
  CHECK(host.run_until([&] { return ran; }));
  guest.post_from_elsewhere([&] { ran_later = true; });
  CHECK(host.run_until([&] { return ran_later; }));
}

TEST_CASE("A post that races with the return of the handles is not lost", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  for (int round = 0; round < 300; ++round) {
    bool ran = false;
    host.close_every_handle();
    std::thread producer([&] { static_cast<void>(guest->post([&] { ran = true; })); });
    guest->hold(true);
    CHECK(host.run_until([&] { return ran; }));
    producer.join();
  }
}

TEST_CASE("Holding brings back the timer that a host's walk stopped", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  const auto at = std::chrono::steady_clock::now() + 5ms;
  guest.settle()->set_timer(at);
  host.close_every_handle();
  guest->hold(true);
  CHECK(host.run_until([&] { return guest.turns > 0; }));
  CHECK(std::chrono::steady_clock::now() >= at);
}

TEST_CASE("Handles that were brought back can be closed by the host again", "[walk]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  for (int i = 0; i < 3; ++i) {
    host.close_every_handle();
    guest->hold(true);
    bool ran = false;
    guest.post_from_elsewhere([&] { ran = true; });
    CHECK(host.run_until([&] { return ran; }));
  }
  host.close_every_handle();
  guest.close();
  CHECK(host.run_until_idle());
  CHECK(guest.closed());
}
