#include "core/backoff.hpp"

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

constexpr Backoff backoff{20ms, 250ms};

}  // namespace

TEST_CASE("The longest pause doubles until the cap") {
  CHECK(backoff_delay(backoff, 0, 1.0) == 20ms);
  CHECK(backoff_delay(backoff, 1, 1.0) == 40ms);
  CHECK(backoff_delay(backoff, 3, 1.0) == 160ms);
  CHECK(backoff_delay(backoff, 4, 1.0) == 250ms);
  CHECK(backoff_delay(backoff, 5, 1.0) == 250ms);
}

TEST_CASE("A pause is the random fraction of the longest one") {
  CHECK(backoff_delay(backoff, 1, 0.5) == 20ms);
  CHECK(backoff_delay(backoff, 0, 0.25) == 5ms);
}

TEST_CASE("A pause is never nothing") {
  CHECK(backoff_delay(backoff, 0, 0x1p-53) == 1ns);
  CHECK(backoff_delay({0ms, 0ms}, 3, 1.0) == 1ns);
}

TEST_CASE("Any number of retries stays at the cap") {
  for (const std::uint32_t retry : {60u, 61u, 64u, 1'000'000u, 4'294'967'295u}) {
    CHECK(backoff_delay(backoff, retry, 1.0) == 250ms);
    CHECK(backoff_delay({max_duration, max_duration}, retry, 1.0) == max_duration);
  }
}
