#include <unistd.h>

#include <fstream>
#include <functional>
#include <memory>

#include "client/guest.hpp"

// What the client holds: in a long run, and against a producer that floods it.
using namespace norikv;
using namespace norikv::test;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_is_ours = false;  // a sanitizer keeps freed memory
#else
constexpr bool memory_is_ours = true;
#endif

/// Resident memory of this process, in bytes.
double resident() {
  std::ifstream file{"/proc/self/statm"};
  double all = 0, pages = 0;
  file >> all >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// So many gets with so many in flight; how many failed.
int run_gets(Guest& guest, int count, int in_flight) {
  int started = 0, ended_gets = 0, failed = 0;
  std::function<void()> next = [&] {
    ++started;
    guest->get("key", [&](Result<std::optional<Entry>> found) {
      ++ended_gets;
      if (!found || !*found) ++failed;
      if (started < count) next();
    });
  };
  while (started < in_flight) next();
  REQUIRE(guest.loop().run_until([&] { return ended_gets == count; }, 120s));
  return failed;
}

}  // namespace

TEST_CASE("100,000 gets at 64 in flight, twice: no error, and no more memory after the second time", "[slow]") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", std::string(100, 'v'))) == "ok");
  constexpr int count = memory_is_ours ? 100'000 : 5'000;
  CHECK(run_gets(guest, count, 64) == 0);
  const double first = resident();
  CHECK(run_gets(guest, count, 64) == 0);
  const double second = resident();
  INFO("resident after the first run " << first / 1e6 << " MB, after the second " << second / 1e6 << " MB");
  if (memory_is_ours) CHECK(second < first * 1.05);
}

TEST_CASE("A flood of 1,000,000 puts of 1 MiB against a blocked loop: bounded memory, each callback once", "[slow]") {
  // The bound: what is accepted, LimitOptions::bytes, and for each refused put what its callback takes. The mailbox is
  // an array that doubles, so while it grows it is there one and a half times: 250 bytes each, where one is 150.
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.ready()) == "ok");
  constexpr int count = memory_is_ours ? 1'000'000 : 20'000;
  constexpr double bound = 64.0 * 1024 * 1024 + count * 250.0;
  const std::string value(max_value_size, 'v');
  struct Calls {
    int accepted = 0, overloaded = 0, other = 0;
    std::vector<unsigned char> each = std::vector<unsigned char>(count, 0);
    int more_than_once = 0;
  } calls;
  const double before = resident();
  for (int i = 0; i < count; ++i) {  // nobody turns the loop meanwhile
    guest->put("key", value, {.timeout = 60s}, [&calls, i](Result<Written> written) {
      if (++calls.each[static_cast<std::size_t>(i)] > 1) ++calls.more_than_once;
      if (written) {
        ++calls.accepted;
      } else {
        ++(written.error().code == ErrorCode::overloaded ? calls.overloaded : calls.other);
      }
    });
  }
  const double grown = resident() - before;
  INFO("grown by " << grown / 1e6 << " MB, bound " << bound / 1e6 << " MB");
  if (memory_is_ours) CHECK(grown < bound);
  REQUIRE(guest.loop().run_until([&] { return calls.accepted + calls.overloaded + calls.other == count; }, 60s));
  CHECK(calls.more_than_once == 0);
  CHECK(calls.other == 0);
  CHECK(calls.accepted == 63);  // 63 keys and values fit into 64 MiB
  CHECK(guest->has_room());
}

TEST_CASE("A producer is told when to stop and when to go on") {
  const Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.limits.operations = 8;
  Guest guest{options};
  std::vector<LoadEvent> events;
  const auto subscription = guest->load().subscribe([&](const LoadEvent& event) { events.push_back(event); });
  REQUIRE(guest.loop().run_until([&] { return events.size() == 1; }));
  CHECK(events[0].kind == EventKind::replay);
  CHECK(events[0].has_room);

  std::vector<GetOutcome> reads(8);
  for (const auto& read : reads) {
    CHECK(guest->has_room());
    guest->get("key", read.callback());
  }
  CHECK_FALSE(guest->has_room());
  const GetOutcome refused;
  guest->get("key", refused.callback());
  REQUIRE(guest.wait(reads));
  REQUIRE(guest.loop().run_until([&] { return events.size() == 3; }));
  CHECK(ended(refused) == "overloaded");
  CHECK(refused.error().advice() == Advice::retry_later);
  CHECK_FALSE(events[1].has_room);
  CHECK(events[2].has_room);
  CHECK(guest->has_room());
}

TEST_CASE("Who waits for room gets it in the order of waiting") {
  const Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.limits.operations = 4;
  Guest guest{options};
  for (int i = 0; i < 4; ++i) guest->get("key", [](Result<std::optional<Entry>>) {});
  std::vector<int> order;
  guest->when_room(4, [&](Result<void>) { order.push_back(1); });
  guest->when_room(1, [&](Result<void>) { order.push_back(2); });
  guest->when_room(1000, [&](Result<void>) { order.push_back(3); });  // as much as there can be
  REQUIRE(guest.loop().run_until([&] { return order.size() == 3; }));
  CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("A producer that waits for room while one node is full is not called all the time") {
  Cluster cluster = start({.nodes = 2, .profile = Profile::replicated});
  ClientOptions options = cluster.client_options();
  options.limits.in_flight_per_node = 2;
  options.limits.queued_per_node = 2;
  Guest guest{options};
  for (std::uint32_t shard = 0; shard < 4; ++shard) REQUIRE(ended(guest.get(key_of(shard))) == "ok");
  const std::string frozen_key = key_of(1), other_key = key_of(0);
  REQUIRE(cluster.leader(0) != cluster.leader(1));
  cluster.freeze(*cluster.leader(1));
  std::vector<GetOutcome> hanging(4);
  for (const GetOutcome& read : hanging) guest->get(frozen_key, {.timeout = 10s}, read.callback());

  // It goes on with the same read whenever it is told that there is room.
  int tries = 0, refused = 0;
  std::function<void()> produce = [&] {
    ++tries;
    guest->get(frozen_key, {.timeout = 10s}, [&](Result<std::optional<Entry>> found) {
      if (found.has_value() || found.error().code != ErrorCode::overloaded) return;
      ++refused;
      guest->when_room(1, [&](Result<void> room) {
        if (room) produce();
      });
    });
  };
  produce();
  REQUIRE(guest.loop().run_until([&] { return refused == 1; }));
  CHECK(guest->has_room());
  constexpr int others = 20;
  for (int i = 0; i < others; ++i) CHECK(ended(guest.get(other_key)) == "ok");
  CHECK(tries <= 1 + others);
  CHECK(tries > 1);
  cluster.thaw(*cluster.leader(1));
  REQUIRE(guest.wait(hanging));
  REQUIRE(guest.loop().run_until([&] { return refused < tries; }));
}

TEST_CASE("A callback sees the room that its operation made") {
  const Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.limits.operations = 1;
  Guest guest{options};
  bool room = false;
  const GetOutcome second;
  guest->get("key", [&](Result<std::optional<Entry>>) {
    room = guest->has_room();
    guest->get("key", second.callback());
  });
  REQUIRE(guest.wait(second));
  CHECK(room);
  CHECK(ended(second) == "ok");
}

TEST_CASE("An operation that is larger than the limit is refused for good, and the client has room") {
  // Overloaded would be wrong: who waits for room and tries again would do so for ever.
  const Cluster cluster = start();
  ClientOptions options = cluster.client_options();
  options.limits.bytes = 1000;
  Guest guest{options};
  int events = 0;
  const auto subscription = guest->load().subscribe([&](const LoadEvent&) { ++events; });
  const auto refused = guest.put("key", std::string(2000, 'v'));
  CHECK(ended(refused) == "invalid_argument");
  CHECK(refused.error().message.find("LimitOptions::bytes") != std::string::npos);
  CHECK(guest->has_room());
  CHECK(events == 1);  // the replay
  CHECK(ended(guest.put("key", std::string(900, 'v'))) == "ok");
}

TEST_CASE("A lane that is full refuses with overloaded, and says which limit it was") {
  const Cluster cluster = start({.election = 10s});
  ClientOptions options = cluster.client_options();
  options.writes.queued_per_shard = 2;
  Guest guest{options};
  std::vector<PutOutcome> writes(4);
  for (const auto& write : writes) guest->put(key_of(1), "value", write.callback());
  REQUIRE(guest.wait(writes[3]));
  CHECK(ended(writes[3]) == "overloaded");
  CHECK(writes[3].error().message.find("queued_per_shard") != std::string::npos);
  CHECK_FALSE(writes[3].error().maybe_applied);
  CHECK_FALSE(writes[2].came());
}
