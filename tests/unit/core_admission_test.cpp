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

const LeaderTable nobody{1};

}  // namespace

TEST_CASE("So many operations are admitted and no more") {
  Admission admission{limits(2, 1000), nobody, 1};
  CHECK(admission.try_admit(1, 0));
  CHECK(admission.try_admit(1, 0));
  CHECK_FALSE(admission.has_room());
  CHECK_FALSE(admission.try_admit(1, 0));
  CHECK(admission.operations() == 2);
  admission.release({1});
  CHECK(admission.has_room());
  CHECK(admission.try_admit(1, 0));
}

TEST_CASE("So many bytes are admitted and no more, and a refusal takes nothing") {
  Admission admission{limits(100, 10), nobody, 1};
  CHECK(admission.try_admit(6, 0));
  CHECK_FALSE(admission.try_admit(5, 0));
  CHECK(admission.bytes() == 6);
  CHECK(admission.operations() == 1);
  CHECK(admission.try_admit(4, 0));
  CHECK_FALSE(admission.has_room());
}

TEST_CASE("An operation larger than the limit is never admitted") {
  Admission admission{limits(100, 10), nobody, 1};
  CHECK_FALSE(admission.try_admit(11, 0));
  CHECK(admission.try_admit(10, 0));
}

TEST_CASE("A client is free again at three quarters of both limits") {
  Admission admission{limits(8, 800), nobody, 1};
  for (int i = 0; i < 8; ++i) REQUIRE(admission.try_admit(1, 0));
  admission.release({1});
  CHECK_FALSE(admission.has_recovered());
  admission.release({1});
  CHECK(admission.has_recovered());
  REQUIRE(admission.try_admit(700, 0));
  CHECK_FALSE(admission.has_recovered());
}

TEST_CASE("A client of one operation is free again when it holds none") {
  Admission admission{limits(1, 100), nobody, 1};
  REQUIRE(admission.try_admit(1, 0));
  CHECK_FALSE(admission.has_recovered());
  admission.release({1});
  CHECK(admission.has_recovered());
}

TEST_CASE("Those who wait for room are served first come, first served") {
  Admission admission{limits(4, 1000), nobody, 1};
  for (int i = 0; i < 4; ++i) REQUIRE(admission.try_admit(1, 0));
  std::vector<int> told;
  admission.wait(3, [&](Result<void>) { told.push_back(1); });
  admission.wait(1, [&](Result<void>) { told.push_back(2); });
  admission.release({1});
  CHECK_FALSE(admission.take_satisfied());  // the first one needs three
  admission.release({1});
  admission.release({1});
  while (ReadyCallback callback = admission.take_satisfied()) callback({});
  CHECK(told == std::vector<int>{1, 2});
  CHECK_FALSE(admission.anyone_waits());
}

TEST_CASE("Who waits for more than the limit waits for all of it") {
  Admission admission{limits(2, 1000), nobody, 1};
  REQUIRE(admission.try_admit(1, 0));
  admission.wait(100, [](Result<void>) {});
  CHECK_FALSE(admission.take_satisfied());
  admission.release({1});
  CHECK(admission.take_satisfied());
}

TEST_CASE("Who waits after a refusal waits for something to end, though the client has room") {
  LeaderTable leaders{2};
  leaders.set(0, 0);
  leaders.set(1, 1);
  LimitOptions options = limits(100, 1000);
  options.in_flight_per_node = 1;
  options.queued_per_node = 0;
  Admission admission{options, leaders, 2};
  const Ticket hanging = admission.try_admit(1, 0).value();
  const Ticket other = admission.try_admit(1, 1).value();
  REQUIRE_FALSE(admission.try_admit(1, 0));
  CHECK(admission.has_room());
  admission.wait(1, [](Result<void>) {});
  CHECK_FALSE(admission.take_satisfied());
  admission.release(other);
  CHECK(admission.take_satisfied());

  REQUIRE_FALSE(admission.try_admit(1, 0));  // the same producer tries again: once for each that ends
  admission.wait(1, [](Result<void>) {});
  CHECK_FALSE(admission.take_satisfied());
  admission.release(hanging);
  CHECK(admission.take_satisfied());
  CHECK(admission.try_admit(1, 0));
}

TEST_CASE("Who waits with something larger than there is room for waits for something to end") {
  Admission admission{limits(100, 10), nobody, 1};
  REQUIRE(admission.try_admit(1, 0));
  REQUIRE(admission.try_admit(1, 0));
  REQUIRE_FALSE(admission.try_admit(9, 0));
  CHECK(admission.has_room());  // for another small one
  admission.wait(1, [](Result<void>) {});
  CHECK_FALSE(admission.take_satisfied());
  admission.release({1});
  CHECK(admission.take_satisfied());
}

TEST_CASE("Nobody waits for something to end when there is nothing") {
  Admission admission{limits(100, 10), nobody, 1};
  REQUIRE_FALSE(admission.try_admit(11, 0));
  admission.wait(1, [](Result<void>) {});
  CHECK(admission.take_satisfied());
}

TEST_CASE("At the end everyone who waits is handed out whatever the room") {
  Admission admission{limits(1, 1000), nobody, 1};
  REQUIRE(admission.try_admit(1, 0));
  admission.wait(1, [](Result<void>) {});
  CHECK(admission.take_waiter());
  CHECK_FALSE(admission.take_waiter());
}

TEST_CASE("Threads that compete for places never hold more than there are") {
  Admission admission{limits(3, 1000), nobody, 1};
  std::atomic<int> held{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 20'000; ++turn) {
        if (!admission.try_admit(1, 0)) continue;
        if (held.fetch_add(1) + 1 > 3) exceeded = true;
        held.fetch_sub(1);
        admission.release({1});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(exceeded);
  CHECK(admission.operations() == 0);
  CHECK(admission.bytes() == 0);
}

TEST_CASE("There is room only for one more that is as large as the largest so far") {
  Admission admission{limits(100, 1000), nobody, 1};
  CHECK(admission.has_room());
  REQUIRE(admission.try_admit(400, 0));
  REQUIRE(admission.try_admit(400, 0));
  CHECK_FALSE(admission.has_room());
  CHECK_FALSE(admission.try_admit(400, 0));
  admission.release({400});
  CHECK(admission.has_room());
  CHECK_FALSE(admission.has_room(2));
}

TEST_CASE("What a node has beyond its limit takes no place of the client, up to a limit of its own") {
  LeaderTable leaders{2};
  leaders.set(0, 7);
  leaders.set(1, 3);
  LimitOptions options = limits(4, 1000);
  options.in_flight_per_node = 2;
  options.queued_per_node = 3;
  Admission admission{options, leaders, 2};
  std::vector<Ticket> hanging;
  for (int i = 0; i < 5; ++i) hanging.push_back(admission.try_admit(1, 0).value());
  CHECK(admission.operations() == 2);
  const auto refused = admission.try_admit(1, 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == Admission::Full::node);
  CHECK(admission.has_room(2));
  REQUIRE(admission.try_admit(1, 1));
  REQUIRE(admission.try_admit(1, 1));
  for (const Ticket& ticket : hanging) admission.release(ticket);
  CHECK(admission.operations() == 2);
  CHECK(admission.bytes() == 2);
}

TEST_CASE("One node of several takes at most half of the bytes, but any single operation") {
  LeaderTable leaders{2};
  leaders.set(0, 0);
  Admission several{limits(100, 1000), leaders, 2};
  REQUIRE(several.try_admit(500, 0));
  CHECK_FALSE(several.try_admit(1, 0));
  CHECK(several.try_admit(500, 1));
  Admission empty{limits(100, 1000), leaders, 2};
  CHECK(empty.try_admit(900, 0));
  Admission alone{limits(100, 1000), leaders, 1};
  REQUIRE(alone.try_admit(500, 0));
  CHECK(alone.try_admit(500, 0));
}

// What was large once is no measure for ever: whoever waits behind small operations that never cease would starve.
TEST_CASE("A large operation is forgotten by those who wait for room") {
  Admission admission{limits(1000, 64 << 20), nobody, 1};
  admission.release(*admission.try_admit(1 << 20, 0));
  int told = 0;
  admission.wait(100, [&](Result<void>) { ++told; });
  auto ticket = admission.try_admit(10, 0);
  for (int i = 0; i < 2000; ++i) {
    auto next = admission.try_admit(10, 0);
    admission.release(*ticket);
    ticket = next;
    if (auto callback = admission.take_satisfied()) callback({});
  }
  CHECK(told == 1);
}
