#include <chrono>
#include <thread>
#include <vector>

#include "guest.hpp"

// What a turn tells of itself. Real time, but only as a least one: a loop that is late is what is measured.
using namespace norikv::test;
using norikv::TimePoint;
using norikv::loop::Turn;
using namespace std::chrono_literals;

namespace {

TimePoint now() { return std::chrono::steady_clock::now(); }

// The turns of a guest, from here on.
std::vector<Turn>& record(Guest& guest, std::vector<Turn>& turns) {
  guest.in_turn = [&] { turns.push_back(guest->turn()); };
  return turns;
}

}  // namespace

TEST_CASE("A measured turn tells how long ago it was asked for, and what it carried out", "[turn]") {
  LoopFixture host;
  Guest guest(host);
  guest->measure();
  guest.settle();
  std::vector<Turn> turns;
  record(guest, turns);

  guest.post_from_elsewhere([] {});
  guest.post_from_elsewhere([] {});
  std::this_thread::sleep_for(5ms);  // the loop is busy with something else
  REQUIRE(host.run_until([&] { return !turns.empty(); }));

  CHECK(turns[0].tasks == 2);
  REQUIRE(turns[0].queue_lag);
  CHECK(*turns[0].queue_lag >= 5ms);
  CHECK_FALSE(turns[0].timer_lag);
  CHECK(turns[0].began <= now());
}

TEST_CASE("A measured turn tells how late its timer was", "[turn]") {
  LoopFixture host;
  Guest guest(host);
  guest->measure();
  guest.settle();
  std::vector<Turn> turns;
  record(guest, turns);

  guest->set_timer(now() + 1ms);
  std::this_thread::sleep_for(6ms);  // the loop is busy with something else
  guest->hold(true);
  REQUIRE(host.run_until([&] { return !turns.empty(); }));

  REQUIRE(turns[0].timer_lag);
  CHECK(*turns[0].timer_lag >= 5ms);
  CHECK(turns[0].tasks == 0);
  CHECK_FALSE(turns[0].queue_lag);
}

TEST_CASE("A turn that is not measured looks at no clock", "[turn]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::vector<Turn> turns;
  record(guest, turns);
  guest.post_from_elsewhere([] {});
  REQUIRE(host.run_until([&] { return !turns.empty(); }));
  CHECK(turns[0].began == TimePoint{});
  CHECK_FALSE(turns[0].queue_lag);
  CHECK_FALSE(turns[0].timer_lag);
}
