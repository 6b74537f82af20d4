#include "core/breaker.hpp"

#include "core/retry_budget.hpp"
#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {
constexpr TimePoint start{1h};
}

TEST_CASE("Failures in a row open a breaker, and an answer in between starts the count again") {
  Breaker breaker{{.failures = 3, .open = {100ms, 1s}}};
  CHECK_FALSE(breaker.on_failure(start, 1));
  CHECK_FALSE(breaker.on_failure(start, 1));
  breaker.on_answer();
  CHECK_FALSE(breaker.on_failure(start, 1));
  CHECK_FALSE(breaker.on_failure(start, 1));
  CHECK(breaker.allows(start));
  CHECK(breaker.on_failure(start, 1));
  CHECK_FALSE(breaker.allows(start));
}

TEST_CASE("An open breaker lets one request try the node, and its end decides") {
  Breaker breaker{{.failures = 1, .open = {100ms, 1s}}};
  REQUIRE(breaker.on_failure(start, 1));
  CHECK_FALSE(breaker.allows(start + 99ms));
  CHECK(breaker.allows(start + 100ms));
  breaker.on_sent(start + 100ms);
  CHECK(breaker.state() == Breaker::State::half_open);
  CHECK_FALSE(breaker.allows(start + 100ms));
  CHECK(breaker.on_failure(start + 150ms, 1));
  CHECK_FALSE(breaker.allows(start + 349ms));  // the second pause is twice as long
  CHECK(breaker.allows(start + 350ms));
  breaker.on_sent(start + 350ms);
  breaker.on_answer();
  CHECK(breaker.state() == Breaker::State::closed);
}

TEST_CASE("A try that was given up lets another one try") {
  Breaker breaker{{.failures = 1, .open = {100ms, 1s}}};
  REQUIRE(breaker.on_failure(start, 1));
  breaker.on_sent(start + 100ms);
  breaker.on_abandoned();
  CHECK(breaker.allows(start + 100ms));
}

TEST_CASE("A breaker without a number of failures never opens") {
  Breaker breaker{{.failures = 0, .open = {}}};
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(breaker.on_failure(start, 1));
  CHECK(breaker.allows(start));
}

TEST_CASE("A budget lets a burst go at once and spaces what follows") {
  core::RetryBudget budget{norikv::RetryBudget{.burst = 3, .per_second = 10}};
  for (int i = 0; i < 3; ++i) CHECK(budget.take(start, start) == start);
  CHECK(budget.take(start, start) == start + 100ms);
  CHECK(budget.take(start, start) == start + 200ms);
}

TEST_CASE("A retry that wants to go later than its token is there goes when it wants") {
  core::RetryBudget budget{norikv::RetryBudget{.burst = 1, .per_second = 10}};
  CHECK(budget.take(start + 1s, start) == start + 1s);
}

TEST_CASE("A budget fills up by time and by success") {
  core::RetryBudget budget{norikv::RetryBudget{.burst = 2, .per_second = 10}};
  CHECK(budget.try_take(start));
  CHECK(budget.try_take(start));
  CHECK_FALSE(budget.try_take(start));
  budget.on_success(start);
  CHECK(budget.try_take(start));
  CHECK_FALSE(budget.try_take(start));
  CHECK(budget.try_take(start + 100ms));
}

TEST_CASE("A budget holds no more than its burst, however many succeed") {
  core::RetryBudget budget{norikv::RetryBudget{.burst = 2, .per_second = 10}};
  for (int i = 0; i < 100; ++i) budget.on_success(start);
  CHECK(budget.try_take(start));
  CHECK(budget.try_take(start));
  CHECK_FALSE(budget.try_take(start));
}

TEST_CASE("Without a rate nothing is put off") {
  core::RetryBudget budget{norikv::RetryBudget{.burst = 1, .per_second = 0}};
  for (int i = 0; i < 1000; ++i) CHECK(budget.take(start, start) == start);
}
