#include "core/admission.hpp"

#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;

namespace {

LimitOptions limits(std::size_t operations, std::size_t bytes) {
  LimitOptions options;
  options.operations = operations;
  options.bytes = bytes;
  return options;
}

}  // namespace

TEST_CASE("So many operations are admitted and no more") {
  Admission admission{limits(2, 1000)};
  CHECK(admission.try_admit(1));
  CHECK(admission.try_admit(1));
  CHECK_FALSE(admission.has_room());
  CHECK_FALSE(admission.try_admit(1));
  CHECK(admission.operations() == 2);
  admission.release(1);
  CHECK(admission.has_room());
  CHECK(admission.try_admit(1));
}

TEST_CASE("So many bytes are admitted and no more, and a refusal takes nothing") {
  Admission admission{limits(100, 10)};
  CHECK(admission.try_admit(6));
  CHECK_FALSE(admission.try_admit(5));
  CHECK(admission.bytes() == 6);
  CHECK(admission.operations() == 1);
  CHECK(admission.try_admit(4));
  CHECK_FALSE(admission.has_room());
}

TEST_CASE("An operation larger than the limit is never admitted") {
  Admission admission{limits(100, 10)};
  CHECK_FALSE(admission.try_admit(11));
  CHECK(admission.try_admit(10));
}

TEST_CASE("A client is free again at three quarters of both limits") {
  Admission admission{limits(8, 800)};
  for (int i = 0; i < 8; ++i) REQUIRE(admission.try_admit(1));
  admission.release(1);
  CHECK_FALSE(admission.has_recovered());
  admission.release(1);
  CHECK(admission.has_recovered());
  REQUIRE(admission.try_admit(700));
  CHECK_FALSE(admission.has_recovered());
}

TEST_CASE("A client of one operation is free again when it holds none") {
  Admission admission{limits(1, 100)};
  REQUIRE(admission.try_admit(1));
  CHECK_FALSE(admission.has_recovered());
  admission.release(1);
  CHECK(admission.has_recovered());
}

TEST_CASE("Those who wait for room are served first come, first served") {
  Admission admission{limits(4, 1000)};
  for (int i = 0; i < 4; ++i) REQUIRE(admission.try_admit(1));
  std::vector<int> told;
  admission.wait(3, [&](Result<void>) { told.push_back(1); });
  admission.wait(1, [&](Result<void>) { told.push_back(2); });
  admission.release(1);
  CHECK_FALSE(admission.take_satisfied());  // the first one needs three
  admission.release(1);
  admission.release(1);
  while (ReadyCallback callback = admission.take_satisfied()) callback({});
  CHECK(told == std::vector<int>{1, 2});
  CHECK_FALSE(admission.anyone_waits());
}

TEST_CASE("Who waits for more than the limit waits for all of it") {
  Admission admission{limits(2, 1000)};
  REQUIRE(admission.try_admit(1));
  admission.wait(100, [](Result<void>) {});
  CHECK_FALSE(admission.take_satisfied());
  admission.release(1);
  CHECK(admission.take_satisfied());
}

TEST_CASE("At the end everyone who waits is handed out whatever the room") {
  Admission admission{limits(1, 1000)};
  REQUIRE(admission.try_admit(1));
  admission.wait(1, [](Result<void>) {});
  CHECK(admission.take_waiter());
  CHECK_FALSE(admission.take_waiter());
}

TEST_CASE("Threads that compete for places never hold more than there are") {
  Admission admission{limits(3, 1000)};
  std::atomic<int> held{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 20'000; ++turn) {
        if (!admission.try_admit(1)) continue;
        if (held.fetch_add(1) + 1 > 3) exceeded = true;
        held.fetch_sub(1);
        admission.release(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(exceeded);
  CHECK(admission.operations() == 0);
  CHECK(admission.bytes() == 0);
}

TEST_CASE("There is room only for one more that is as large as the largest so far") {
  Admission admission{limits(100, 1000)};
  CHECK(admission.has_room());
  REQUIRE(admission.try_admit(400));
  REQUIRE(admission.try_admit(400));
  CHECK_FALSE(admission.has_room());
  CHECK_FALSE(admission.try_admit(400));
  admission.release(400);
  CHECK(admission.has_room());
  CHECK_FALSE(admission.has_room(2));
}
