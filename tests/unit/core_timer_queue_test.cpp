#include "core/timer_queue.hpp"

#include <map>

#include "support/catch.hpp"
#include "util/random.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1h};

TimerToken token(std::uint64_t subject) { return {TimerKind::operation_wake, subject}; }

/// The subjects of all that is due, in the order in which they are taken.
std::vector<std::uint64_t> take_all(TimerQueue& queue, TimePoint now) {
  std::vector<std::uint64_t> subjects;
  while (const auto due = queue.take_due(now)) subjects.push_back(due->subject);
  return subjects;
}

}  // namespace

TEST_CASE("Timers are due in the order of their time") {
  TimerQueue queue;
  for (const int at : {5, 1, 4, 2, 3}) queue.schedule(start + at * 1ms, token(static_cast<std::uint64_t>(at)));
  CHECK(take_all(queue, start + 10ms) == std::vector<std::uint64_t>{1, 2, 3, 4, 5});
}

TEST_CASE("Timers of the same moment are due in the order in which they were scheduled") {
  TimerQueue queue;
  std::vector<std::uint64_t> expected;
  for (std::uint64_t i = 0; i < 100; ++i) {
    queue.schedule(start, token(i));
    expected.push_back(i);
  }
  CHECK(take_all(queue, start) == expected);
}

TEST_CASE("A timer is due at its time, not before") {
  TimerQueue queue;
  queue.schedule(start + 1ms, token(1));
  CHECK_FALSE(queue.take_due(start + 1ms - 1ns));
  CHECK(queue.next_deadline() == start + 1ms);
  CHECK(queue.take_due(start + 1ms) == token(1));
  CHECK_FALSE(queue.next_deadline());
}

TEST_CASE("A cancelled timer is never due, and its id is cleared") {
  TimerQueue queue;
  TimerId id = queue.schedule(start, token(1));
  queue.schedule(start, token(2));
  queue.cancel(id);
  CHECK(id.version == 0);
  CHECK(queue.size() == 1);
  CHECK(take_all(queue, start) == std::vector<std::uint64_t>{2});
}

TEST_CASE("The id of a timer that was due cancels no later timer") {
  TimerQueue queue;
  TimerId stale = queue.schedule(start, token(1));
  static_cast<void>(queue.take_due(start));
  queue.schedule(start, token(2));  // takes the same place
  queue.cancel(stale);
  CHECK(take_all(queue, start) == std::vector<std::uint64_t>{2});
}

TEST_CASE("The copy of an id that was cancelled cancels no later timer") {
  TimerQueue queue;
  TimerId id = queue.schedule(start, token(1));
  TimerId copy = id;
  queue.cancel(id);
  queue.schedule(start, token(2));
  queue.cancel(copy);
  queue.cancel(id);
  CHECK(queue.size() == 1);
}

TEST_CASE("Ten thousand random operations agree with a sorted list") {
  const std::uint64_t seed = GENERATE(1, 2, 3);
  INFO("seed " << seed);
  util::Random random{seed};
  TimerQueue queue;
  std::multimap<TimePoint, std::uint64_t> model;  // keeps the order of insertion among equals
  struct Known {
    TimerId id;
    std::multimap<TimePoint, std::uint64_t>::iterator entry;
  };
  std::map<std::uint64_t, Known> live;
  std::vector<TimerId> stale;
  std::uint64_t next = 0;
  for (int step = 0; step < 10'000; ++step) {
    const std::uint64_t kind = random.below(10);
    if (kind < 5) {
      const TimePoint at = start + Duration{static_cast<std::int64_t>(random.below(50))};
      const TimerId id = queue.schedule(at, token(next));
      live.emplace(next, Known{id, model.emplace(at, next)});
      ++next;
    } else if (kind < 7 && !live.empty()) {
      auto chosen = live.lower_bound(random.below(next));
      if (chosen == live.end()) chosen = live.begin();
      stale.push_back(chosen->second.id);
      queue.cancel(chosen->second.id);
      model.erase(chosen->second.entry);
      live.erase(chosen);
    } else if (kind < 8 && !stale.empty()) {
      TimerId id = stale[random.below(stale.size())];
      queue.cancel(id);
    } else {
      const TimePoint now = start + Duration{static_cast<std::int64_t>(random.below(50))};
      const auto due = queue.take_due(now);
      REQUIRE(due.has_value() == (!model.empty() && model.begin()->first <= now));
      if (due) {
        REQUIRE(due->subject == model.begin()->second);
        stale.push_back(live.at(due->subject).id);
        live.erase(due->subject);
        model.erase(model.begin());
      }
    }
    REQUIRE(queue.size() == model.size());
    REQUIRE(queue.next_deadline().has_value() == !model.empty());
    if (!model.empty()) REQUIRE(queue.next_deadline() == model.begin()->first);
  }
}
