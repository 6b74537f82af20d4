#include "support/loop_fixture.hpp"

using namespace norikv::test;
using namespace std::chrono_literals;

TEST_CASE("The fixture names a handle that was left on the loop", "[fixture]") {
  LoopFixture host;
  uv_timer_t left;
  uv_timer_init(host.loop(), &left);
  uv_timer_start(
      &left, [](uv_timer_t*) {}, 1'000'000, 0);
  CHECK(host.close() == std::vector<std::string>{"timer, active, referenced"});

  uv_close(reinterpret_cast<uv_handle_t*>(&left), nullptr);
  CHECK(host.close().empty());
}

// Hidden: run by name, as a test that has to fail.
TEST_CASE("A test that leaves a handle on the loop", "[.][leak]") {
  static uv_async_t left;
  LoopFixture host;
  uv_async_init(host.loop(), &left, nullptr);
}

// Takes 20 ms: what is tested is that the wait ends.
TEST_CASE("Waiting for what does not come ends at the limit", "[fixture]") {
  LoopFixture host;
  CHECK_FALSE(host.run_until([] { return false; }, 20ms));
  CHECK(host.idle());
}

TEST_CASE("A loop that is held is not idle", "[fixture]") {
  LoopFixture host;
  CHECK(host.run_until_idle());
  uv_idle_t busy;
  uv_idle_init(host.loop(), &busy);
  uv_idle_start(&busy, [](uv_idle_t*) {});
  CHECK_FALSE(host.run_until_idle(5ms));
  uv_close(reinterpret_cast<uv_handle_t*>(&busy), nullptr);
  CHECK(host.run_until_idle());
}
