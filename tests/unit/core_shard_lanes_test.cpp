#include "core/shard_lanes.hpp"

#include <deque>
#include <optional>

#include "support/catch.hpp"
#include "util/random.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

using Enter = ShardLanes::Entry;
using Leave = ShardLanes::Leave;
using Share = ShardLanes::Share;

constexpr TimePoint start{1h};
constexpr TimePoint never = TimePoint::max();

OpId op(std::uint64_t number) { return OpId{number}; }

}  // namespace

TEST_CASE("A free lane lets a write start") {
  ShardLanes lanes{WriteOptions{}};
  CHECK(lanes.enter(1, op(1), never, start) == Enter::started);
  CHECK(lanes.taken(1) == 1);
  CHECK(lanes.taken(2) == 0);
}

TEST_CASE("A taken lane queues, and its next place goes to the first in the queue") {
  ShardLanes lanes{WriteOptions{}};
  static_cast<void>(lanes.enter(1, op(1), never, start));
  CHECK(lanes.enter(1, op(2), never, start) == Enter::queued);
  CHECK(lanes.enter(1, op(3), never, start) == Enter::queued);
  CHECK(lanes.take_ready(1, start).empty());
  CHECK_FALSE(lanes.next_ready(1));
  lanes.leave(1, Leave::at_once, start);
  CHECK(lanes.take_ready(1, start) == std::vector<OpId>{op(2)});
  CHECK(lanes.queued(1) == 1);
}

TEST_CASE("A place that was just left is for the queue, not for whoever comes now") {
  ShardLanes lanes{WriteOptions{}};
  static_cast<void>(lanes.enter(1, op(1), never, start));
  static_cast<void>(lanes.enter(1, op(2), never, start));
  lanes.leave(1, Leave::at_once, start);
  CHECK(lanes.enter(1, op(3), never, start) == Enter::queued);
  CHECK(lanes.take_ready(1, start) == std::vector<OpId>{op(2)});
}

TEST_CASE("A settling place stays taken for its time") {
  ShardLanes lanes{WriteOptions{}};
  static_cast<void>(lanes.enter(1, op(1), never, start));
  static_cast<void>(lanes.enter(1, op(2), never, start));
  lanes.leave(1, Leave::settle, start);
  CHECK(lanes.taken(1) == 1);
  CHECK(lanes.next_ready(1) == start + 500ms);
  CHECK(lanes.take_ready(1, start + 499ms).empty());
  CHECK(lanes.take_ready(1, start + 500ms) == std::vector<OpId>{op(2)});
}

TEST_CASE("A write that gave up leaves the queue") {
  ShardLanes lanes{WriteOptions{}};
  for (std::uint64_t i = 1; i <= 3; ++i) static_cast<void>(lanes.enter(1, op(i), never, start));
  lanes.abandon(1, op(2));
  lanes.abandon(1, op(9));
  lanes.abandon(7, op(1));
  lanes.leave(1, Leave::at_once, start);
  CHECK(lanes.take_ready(1, start) == std::vector<OpId>{op(3)});
}

TEST_CASE("A queue has a limit") {
  ShardLanes lanes{WriteOptions{.queued_per_shard = 2}};
  for (std::uint64_t i = 1; i <= 3; ++i) static_cast<void>(lanes.enter(1, op(i), never, start));
  CHECK(lanes.enter(1, op(4), never, start) == Enter::full);
  CHECK(lanes.enter(2, op(5), never, start) == Enter::started);
  CHECK(lanes.queued(1) == 2);
}

TEST_CASE("Spacing says when the next write may start") {
  ShardLanes lanes{WriteOptions{.in_flight_per_shard = 0, .spacing = 25ms}};
  CHECK(lanes.enter(1, op(1), never, start) == Enter::started);
  CHECK(lanes.enter(1, op(2), never, start) == Enter::queued);
  CHECK(lanes.next_ready(1) == start + 25ms);
  CHECK(lanes.take_ready(1, start + 25ms - 1ns).empty());
  CHECK(lanes.take_ready(1, start + 25ms) == std::vector<OpId>{op(2)});
}

TEST_CASE("Lifted lanes never settle") {
  ShardLanes lanes{WriteOptions{.in_flight_per_shard = 0}};
  CHECK(lanes.lifted());
  for (std::uint64_t i = 0; i < 100; ++i) CHECK(lanes.enter(1, op(i), never, start) == Enter::started);
  for (std::uint64_t i = 0; i < 100; ++i) lanes.leave(1, Leave::settle, start);
  CHECK(lanes.taken(1) == 0);
}

TEST_CASE("A write is too late if those before it take longer than it has, as writes took lately") {
  ShardLanes lanes{WriteOptions{}};
  static_cast<void>(lanes.enter(1, op(1), never, start));
  lanes.observe(1, 100ms);
  CHECK(lanes.enter(1, op(2), start + 1ms, start) == Enter::queued);  // the one under way may end at any moment
  CHECK(lanes.enter(1, op(3), start + 100ms, start) == Enter::too_late);
  CHECK(lanes.enter(1, op(4), start + 101ms, start) == Enter::queued);
  CHECK(lanes.enter(1, op(5), start + 200ms, start) == Enter::too_late);
}

TEST_CASE("The estimate follows what writes take") {
  ShardLanes lanes{WriteOptions{}};
  static_cast<void>(lanes.enter(1, op(1), never, start));
  lanes.observe(1, 100ms);
  for (int i = 0; i < 50; ++i) lanes.observe(1, 10ms);
  static_cast<void>(lanes.enter(1, op(2), never, start));
  CHECK(lanes.enter(1, op(3), start + 10ms, start) == Enter::too_late);
  CHECK(lanes.enter(1, op(3), start + 12ms, start) == Enter::queued);
}

TEST_CASE("A slow shard says nothing about how long another one takes") {
  ShardLanes lanes{WriteOptions{}};
  for (const std::uint32_t shard : {1, 2}) {
    static_cast<void>(lanes.enter(shard, op(1), never, start));
    static_cast<void>(lanes.enter(shard, op(2), never, start));
  }
  lanes.observe(1, 2s);
  CHECK(lanes.enter(1, op(3), start + 1s, start) == Enter::too_late);
  CHECK(lanes.enter(2, op(3), start + 1s, start) == Enter::queued);
}

TEST_CASE("More places shorten the estimate") {
  ShardLanes lanes{WriteOptions{.in_flight_per_shard = 4}};
  for (std::uint64_t i = 0; i < 8; ++i) static_cast<void>(lanes.enter(1, op(i), never, start));
  lanes.observe(1, 100ms);
  CHECK(lanes.enter(1, op(8), start + 100ms, start) == Enter::too_late);
  CHECK(lanes.enter(1, op(8), start + 101ms, start) == Enter::queued);
}

TEST_CASE("Without an idea how long writes take none is too late") {
  ShardLanes lanes{WriteOptions{}};
  for (std::uint64_t i = 0; i < 10; ++i) CHECK(lanes.enter(1, op(i), start + 1ns, start) != Enter::too_late);
}

TEST_CASE("An exclusive operation waits for every write before it, and every write after it waits for it") {
  for (const std::uint32_t places : {0u, 1u, 3u}) {
    INFO(places << " places");
    ShardLanes lanes{WriteOptions{.in_flight_per_shard = places}};
    static_cast<void>(lanes.enter(1, op(1), never, start));
    CHECK(lanes.enter(1, op(2), never, start, Share::all) == Enter::queued);
    CHECK(lanes.enter(1, op(3), never, start) == Enter::queued);
    CHECK(lanes.take_ready(1, start).empty());
    CHECK_FALSE(lanes.next_ready(1));
    lanes.leave(1, Leave::at_once, start);
    CHECK(lanes.take_ready(1, start) == std::vector<OpId>{op(2)});
    CHECK(lanes.enter(1, op(4), never, start) == Enter::queued);
    CHECK(lanes.take_ready(1, start + 1h).empty());
    lanes.leave(1, Leave::at_once, start);
    const std::vector<OpId> after = lanes.take_ready(1, start);
    CHECK(after.front() == op(3));
    CHECK(after.size() == (places == 1 ? 1 : 2));
  }
}

TEST_CASE("A free lane lets an exclusive operation start") {
  ShardLanes lanes{WriteOptions{}};
  CHECK(lanes.enter(1, op(1), never, start, Share::all) == Enter::started);
  CHECK(lanes.enter(2, op(2), never, start) == Enter::started);
}

TEST_CASE("An exclusive operation waits for writes that may still be carried out, also in a lifted lane") {
  for (const std::uint32_t places : {0u, 1u, 3u}) {
    INFO(places << " places");
    ShardLanes lanes{WriteOptions{.in_flight_per_shard = places}};
    static_cast<void>(lanes.enter(1, op(1), never, start));
    lanes.leave(1, Leave::settle, start);
    CHECK(lanes.enter(1, op(2), never, start, Share::all) == Enter::queued);
    CHECK(lanes.next_ready(1) == start + 500ms);
    CHECK(lanes.take_ready(1, start + 500ms) == std::vector<OpId>{op(2)});
  }
}

TEST_CASE("An exclusive operation whose outcome is unknown keeps the whole lane while it settles") {
  for (const std::uint32_t places : {0u, 1u, 3u}) {
    INFO(places << " places");
    ShardLanes lanes{WriteOptions{.in_flight_per_shard = places}};
    static_cast<void>(lanes.enter(1, op(1), never, start, Share::all));
    lanes.leave(1, Leave::settle, start);
    CHECK(lanes.enter(1, op(2), never, start) == Enter::queued);
    CHECK(lanes.next_ready(1) == start + 500ms);
    CHECK(lanes.take_ready(1, start + 500ms) == std::vector<OpId>{op(2)});
  }
}

TEST_CASE("Random inputs agree with a plain model of one lane") {
  const std::uint64_t seed = GENERATE(1, 2, 3, 4, 5, 6);
  INFO("seed " << seed);
  util::Random random{seed};
  const WriteOptions options{.in_flight_per_shard = static_cast<std::uint32_t>(random.below(4)),
                             .spacing = Duration{static_cast<std::int64_t>(random.below(3)) * 10},
                             .queued_per_shard = 5,
                             .lane_settle = Duration{50}};
  ShardLanes lanes{options};
  std::size_t running = 0;
  bool exclusive = false;
  std::vector<TimePoint> settling;  // also in a lifted lane: an exclusive operation waits for it
  std::optional<TimePoint> held;    // by an exclusive operation that settles
  std::deque<std::pair<OpId, Share>> queue;
  std::optional<TimePoint> last_start;
  TimePoint now = start;

  const auto may_start = [&](Share share) {
    std::erase_if(settling, [&](TimePoint end) { return end <= now; });
    if (held && *held <= now) held.reset();
    if (exclusive || held || (last_start && now - *last_start < options.spacing)) return false;
    if (share == Share::all) return running == 0 && settling.empty();
    return options.in_flight_per_shard == 0 || running + settling.size() < options.in_flight_per_shard;
  };
  const auto begin = [&](Share share) {
    ++running;
    exclusive = share == Share::all;
    last_start = now;
  };
  const auto check_ready = [&] {
    std::vector<OpId> expected;
    while (!queue.empty() && may_start(queue.front().second)) {
      expected.push_back(queue.front().first);
      begin(queue.front().second);
      queue.pop_front();
    }
    REQUIRE(lanes.take_ready(1, now) == expected);
    if (const auto next = lanes.next_ready(1)) {
      REQUIRE(!queue.empty());
      REQUIRE(*next > now);
    }
  };
  for (std::uint64_t step = 0; step < 10'000; ++step) {
    switch (random.below(5)) {
      case 0:
      case 1: {
        const Share share = random.below(6) == 0 ? Share::all : Share::one;
        const Enter entry = lanes.enter(1, op(step), never, now, share);
        if (queue.empty() && may_start(share)) {
          REQUIRE(entry == Enter::started);
          begin(share);
        } else if (queue.size() == options.queued_per_shard) {
          REQUIRE(entry == Enter::full);
        } else {
          REQUIRE(entry == Enter::queued);
          queue.emplace_back(op(step), share);
        }
        break;
      }
      case 2:
        if (running > 0) {
          const bool settle = random.below(2) == 0;
          lanes.leave(1, settle ? Leave::settle : Leave::at_once, now);
          --running;
          if (settle && exclusive) held = now + options.lane_settle;
          if (settle && !exclusive) settling.push_back(now + options.lane_settle);
          exclusive = false;
        }
        break;
      case 3:
        if (!queue.empty()) {
          const OpId chosen = queue[random.below(queue.size())].first;
          lanes.abandon(1, chosen);
          std::erase_if(queue, [&](const auto& waiting) { return waiting.first == chosen; });
        }
        break;
      default: {
        // To the moment the lane names, if it names one: then something must be ready.
        const auto next = lanes.next_ready(1);
        if (next && random.below(2) == 0) {
          now = *next;
          REQUIRE((queue.empty() || may_start(queue.front().second)));
        } else {
          now += Duration{static_cast<std::int64_t>(random.below(20))};
        }
      }
    }
    check_ready();
    REQUIRE(lanes.queued(1) == queue.size());
  }
}
