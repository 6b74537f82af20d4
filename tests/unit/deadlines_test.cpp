#include "util/deadlines.hpp"

#include <chrono>
#include <cstdint>
#include <set>

#include "core/ids.hpp"
#include "support/catch.hpp"

namespace norikv::util {
namespace {

using namespace std::chrono_literals;

TEST_CASE("Deadlines come in order, without those that have ended") {
  Deadlines<core::CallId> deadlines;
  const TimePoint start{};
  const std::set<core::CallId> calls{core::CallId{2}, core::CallId{4}, core::CallId{5}, core::CallId{6}};
  for (const int at : {5, 1, 4, 2, 3})
    deadlines.add(start + at * 1s, core::CallId{static_cast<std::uint64_t>(at)}, calls);
  deadlines.add(TimePoint::max(), core::CallId{6}, calls);
  CHECK(deadlines.next(calls) == start + 2s);
  CHECK_FALSE(deadlines.take_due(start + 1s, calls).has_value());
  CHECK(deadlines.take_due(start + 4s, calls) == core::CallId{2});
  CHECK(deadlines.take_due(start + 4s, calls) == core::CallId{4});
  CHECK_FALSE(deadlines.take_due(start + 4s, calls).has_value());
  CHECK(deadlines.next(calls) == start + 5s);
}

TEST_CASE("Deadlines let go of those that have ended before they are the most by far") {
  Deadlines<core::CallId> deadlines;
  const std::set<core::CallId> none;
  for (std::uint64_t id = 0; id < 10'000; ++id) deadlines.add(TimePoint{} + id * 1ns, core::CallId{id}, none);
  CHECK(deadlines.size() < 2'000);
}

}  // namespace
}  // namespace norikv::util
