#include <algorithm>
#include <chrono>
#include <functional>
#include <set>

#include "client/guest.hpp"
#include "support/lateness.hpp"

// Writes of one shard that overlap on the server are acknowledged and lost (default profile, as the real server): what
// the lanes make of it, and what is seen without them.
using namespace norikv;
using namespace norikv::test;

namespace {

constexpr std::size_t shards = 4;
constexpr std::size_t writes_per_shard = 50;

/// 200 writes at once over four shards, on a cluster of their own with the real server's commit delay.
class Burst {
 public:
  Burst(LoopFixture& loop, WriteOptions writes)
      : cluster_(start({.total_shards = shards, .commit_delay = true, .election = 5ms})),
        client_(create(loop, writes)) {
    warnings_ = client_.warnings().subscribe([this](const WarningEvent& event) {
      if (event.kind == WarningKind::write_collision) named_.insert({event.operations[0], event.operations[1]});
    });
    for (std::size_t i = 0; i < writes_per_shard; ++i) {
      for (std::uint32_t shard = 0; shard < shards; ++shard) {
        const std::string key = keys_[shard][i];
        const Operation operation = client_.put(
            key, "value of " + key, [this](Result<Written> written) { ++(written ? acknowledged_ : failed_); });
        operations_.emplace_back(operation.id(), key);
      }
    }
  }

  [[nodiscard]] bool over() const { return acknowledged_ + failed_ == operations_.size(); }
  [[nodiscard]] std::size_t acknowledged() const { return acknowledged_; }
  /// Operations that were acknowledged, and whose value is not there.
  [[nodiscard]] std::set<std::uint64_t> lost() const {
    std::set<std::uint64_t> lost;
    for (const auto& [id, key] : operations_) {
      if (cluster_.stored(key) != "value of " + key) lost.insert(id);
    }
    return lost;
  }
  /// Operations that a collision event names.
  [[nodiscard]] const std::set<std::uint64_t>& named() const { return named_; }
  [[nodiscard]] std::uint64_t collisions() const { return client_.stats().write_collisions; }

 private:
  Client create(LoopFixture& loop, WriteOptions writes) {
    for (std::uint32_t shard = 0; shard < shards; ++shard) keys_.push_back(keys_of(shard, writes_per_shard, shards));
    ClientOptions options = cluster_.client_options();
    options.timeout = 60s;
    options.writes = writes;
    return made(norikv::test::create(loop.loop(), options));
  }

  std::vector<std::vector<std::string>> keys_;
  Cluster cluster_;
  std::vector<std::pair<std::uint64_t, std::string>> operations_;
  std::set<std::uint64_t> named_;
  std::size_t acknowledged_ = 0;
  std::size_t failed_ = 0;
  Client client_;
  Subscription warnings_;
};

/// A write that is given up on the wire, and another to its shard; the most writes that overlapped on the server.
std::uint32_t overlap_after(Duration lane_settle, const std::function<void(const Operation&)>& give_up,
                            PutOptions abandoned_options) {
  const Cluster cluster = start({.commit_delay = true, .election = 5ms});
  ClientOptions options = cluster.client_options();
  options.writes.lane_settle = lane_settle;
  Guest guest{options};
  const auto keys = keys_of(0, 2);
  REQUIRE(ended(guest.get(keys[0])) == "ok");  // the leader is known, the connection is there
  const PutOutcome abandoned, next;
  const Operation operation = guest->put(keys[0], "one", std::move(abandoned_options), abandoned.callback());
  REQUIRE(guest.loop().run_until([&] { return cluster.max_overlapping_writes(0) == 1; }));  // it has arrived
  give_up(operation);
  guest->put(keys[1], "two", next.callback());
  REQUIRE(guest.wait(next));
  REQUIRE(guest.wait(abandoned));
  CHECK(ended(next) == "ok");
  CHECK_FALSE(abandoned.result().has_value());
  CHECK(abandoned.error().maybe_applied);
  CHECK(abandoned.error().phase == Phase::sent);
  CHECK(cluster.stored(keys[1]) == "two");
  return cluster.max_overlapping_writes(0);
}

}  // namespace

TEST_CASE("Of 200 writes at once none is lost by default, and without lanes each lost one is named", "[slow]") {
  // Real time: a write takes the server up to 150 ms to commit, and 50 of a shard come one after the other by default:
  // 50 * 150 ms = 7.5 s, which is why the time-out is raised from 5 to 60 s. Both bursts run at once.
  LoopFixture loop;
  {
    const Burst by_default{loop, {}};
    const Burst lifted{loop, {.in_flight_per_shard = 0}};
    REQUIRE(loop.run_until([&] { return by_default.over() && lifted.over(); }, 60s));

    CHECK(by_default.acknowledged() == 200);
    CHECK(by_default.lost().empty());
    CHECK(by_default.collisions() == 0);

    CHECK(lifted.acknowledged() == 200);
    const auto lost = lifted.lost();
    CHECK(!lost.empty());
    CHECK(lifted.collisions() == lost.size());
    for (const std::uint64_t operation : lost) CHECK(lifted.named().contains(operation));
  }
  CHECK(loop.run_until_idle());
}

TEST_CASE("Of 200 writes at once none is lost with 8 in flight per shard and 25 ms between their starts", "[slow]") {
  // Real time: 50 * 25 ms = 1.25 s. The server loses writes that arrive within 5 ms, so a machine that runs a thread 20
  // ms late brings two together again, whatever the client does. A burst is only repeated if threads were measured to
  // run late during it. Without the spacing every burst loses some.
  LoopFixture loop;
  constexpr int most_tries = 5;
  for (int tries = 1;; ++tries) {
    const Lateness lateness;
    const Burst spaced{loop, {.in_flight_per_shard = 8, .spacing = 25ms}};
    REQUIRE(loop.run_until([&] { return spaced.over(); }, 60s));
    CHECK(spaced.acknowledged() == 200);
    const auto lost = spaced.lost();
    CHECK(spaced.collisions() == lost.size());
    for (const std::uint64_t operation : lost) CHECK(spaced.named().contains(operation));
    if (lost.empty()) break;
    INFO("lost " << lost.size() << ", threads were late by " << lateness.worst().count() << " ns, try " << tries);
    REQUIRE(lateness.worst() >= 10ms);
    REQUIRE(tries < most_tries);
  }
  CHECK(loop.run_until_idle());
}

TEST_CASE("A write that ran out of time does not overlap the next one of its shard on the server") {
  // Real time: the first write is on the server for up to 150 ms, longer than its time-out. Without the lane's settling
  // the second one overlaps it, or this test could not fail.
  const auto wait = [](const Operation&) {};
  CHECK(overlap_after(500ms, wait, {.timeout = 30ms}) == 1);
  CHECK(overlap_after(0ms, wait, {.timeout = 30ms}) == 2);
}

TEST_CASE("A write that was cancelled does not overlap the next one of its shard on the server") {
  const auto cancel = [](const Operation& operation) { operation.cancel(); };
  CHECK(overlap_after(500ms, cancel, {}) == 1);
  CHECK(overlap_after(0ms, cancel, {}) == 2);
}

TEST_CASE("Writes of one shard take effect in the order of submission") {
  const Cluster cluster = start();
  Guest guest{cluster};
  std::vector<PutOutcome> writes(40);
  for (std::size_t i = 0; i < writes.size(); ++i) guest->put("key", std::to_string(i), writes[i].callback());
  REQUIRE(guest.wait(writes));
  CHECK(cluster.stored("key") == "39");
}
