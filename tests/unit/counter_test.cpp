#include "util/counter.hpp"

#include <atomic>
#include <thread>

#include "support/catch.hpp"

using norikv::util::Counter;

TEST_CASE("A counter starts at zero and adds up") {
  Counter counter;
  CHECK(counter.value() == 0);
  counter.add();
  counter.add(41);
  CHECK(counter.value() == 42);
  counter.set(7);
  CHECK(counter.value() == 7);
}

TEST_CASE("Another thread sees a counter grow and never go back") {
  Counter counter;
  std::atomic<bool> went_back{false};
  std::thread reader([&] {
    for (std::uint64_t seen = 0; seen < 1'000'000;) {
      const std::uint64_t now = counter.value();
      if (now < seen) went_back = true;
      seen = now;
    }
  });
  for (int count = 0; count < 1'000'000; ++count) counter.add();
  reader.join();
  CHECK_FALSE(went_back);
}
