#include <map>
#include <utility>

#include "stories/story.hpp"

// Ten thousand operations that wait for one leader.
using namespace norikv;
using namespace norikv::test;

namespace {

constexpr std::size_t operations = 10'000;

/// What the search for the leader cost: the requests that failed, for whoever is asked and does not lead refuses. Those
/// of the client's own probes are among them.
class Searching final : public Observer {
 public:
  void on_attempt_start(const AttemptStart& attempt) override {
    starts_.push_back({attempt.operation, attempt.number});
  }
  void on_attempt_end(const AttemptEnd& attempt) override {
    if (attempt.error) failed_.emplace(std::pair{attempt.operation, attempt.number}, starts_.size());
  }
  [[nodiscard]] std::size_t made() const { return failed_.size(); }
  /// The most of them that were under way at one moment.
  [[nodiscard]] std::size_t most_in_flight() const {
    std::size_t most = 0;
    std::vector<std::size_t> ends;  // of those under way, as counts of starts
    for (std::size_t start = 0; start < starts_.size(); ++start) {
      const auto found = failed_.find(starts_[start]);
      if (found == failed_.end()) continue;
      std::erase_if(ends, [start](std::size_t end) { return end <= start; });
      ends.push_back(found->second);
      most = std::max(most, ends.size());
    }
    return most;
  }

 private:
  using Attempt = std::pair<std::uint64_t, std::uint32_t>;  // its operation and its number
  std::vector<Attempt> starts_;
  std::map<Attempt, std::size_t> failed_;  // and how many had started when it ended
};

ClientOptions with_room(const Cluster& cluster) {
  ClientOptions options = cluster.client_options();
  options.timeout = 60s;
  options.limits.operations = 2 * operations;
  options.limits.queued_per_node = 2 * operations;
  options.writes.queued_per_shard = 200;
  return options;
}

/// Reads, and every hundredth one is a write: those go one after the other in any case.
std::vector<GetOutcome> submit(Guest& guest, std::vector<PutOutcome>& puts) {
  const std::string key = key_of(1);
  std::vector<GetOutcome> gets(operations - operations / 100);
  for (std::size_t i = 0; i < gets.size(); ++i) {
    guest->get(key, gets[i].callback());
    if (i % 99 == 0) guest->put(key, "value", puts.emplace_back().callback());
  }
  return gets;
}

std::uint64_t requests(const Cluster& cluster) {
  const Cluster::Counters counters = cluster.counters();
  return counters.gets + counters.puts;
}

void wait_for_all(Guest& guest, const std::vector<GetOutcome>& gets, const std::vector<PutOutcome>& puts) {
  REQUIRE(gets.size() + puts.size() == operations);
  REQUIRE(guest.wait(gets, 60s));
  REQUIRE(guest.wait(puts, 60s));
  for (const GetOutcome& outcome : gets) REQUIRE(ended(outcome) == "ok");
  for (const PutOutcome& outcome : puts) REQUIRE(ended(outcome) == "ok");
}

}  // namespace

TEST_CASE("Ten thousand operations on a cold shard cost at most 40 requests more than themselves") {
  const Cluster cluster = start({.election = 400ms, .overlap_window = 1ms});
  ClientOptions options = with_room(cluster);
  const auto searching = std::make_shared<Searching>();
  options.observer = searching;
  Guest guest{options};
  std::vector<PutOutcome> puts;
  const auto gets = submit(guest, puts);
  wait_for_all(guest, gets, puts);
  tell(
      "cold shard, 400 ms to its leader: {} requests for {} operations; {} to find the leader, at most {} at a "
      "time",
      requests(cluster), operations, searching->made(), searching->most_in_flight());
  CHECK(cluster.counters().not_leader > 0);
  CHECK(searching->made() <= 40);
  CHECK(searching->most_in_flight() <= 2);
  CHECK(requests(cluster) <= operations + 40);
}

TEST_CASE("Ten thousand operations on a shard that lost its leader cost at most 40 requests more than themselves") {
  Cluster cluster = start({.nodes = 3, .profile = Profile::replicated, .election = 400ms});
  ClientOptions options = with_room(cluster);
  const auto searching = std::make_shared<Searching>();
  options.observer = searching;
  Guest guest{options};
  REQUIRE(ended(guest.ready({.need = Need::all_nodes})) == "ok");
  const std::uint32_t leader = cluster.leader(1).value();
  cluster.stop(leader);
  REQUIRE(guest.loop().run_until([&] { return guest->cluster()->nodes[leader].health == NodeHealth::down; }));
  const auto before = requests(cluster);
  std::vector<PutOutcome> puts;
  const auto gets = submit(guest, puts);
  wait_for_all(guest, gets, puts);
  tell(
      "shard that lost its leader for 400 ms: {} requests for {} operations; {} to find the leader, at most {} at a "
      "time",
      requests(cluster) - before, operations, searching->made(), searching->most_in_flight());
  CHECK(searching->made() <= 40);
  CHECK(searching->most_in_flight() <= 2);
  CHECK(requests(cluster) - before <= operations + 40);
}

TEST_CASE("Ten thousand operations that wait for a leader have at most two requests in flight") {
  // Nobody answers: what is sent stays in flight, and can be counted.
  Cluster cluster = start({.nodes = 3, .profile = Profile::replicated, .election = 60s});
  ClientOptions options = with_room(cluster);
  options.connection.watch_topology = false;  // the leader is not known from views
  options.retry.attempt_timeout = 20s;
  Guest guest{options};
  for (std::uint32_t node = 0; node < 3; ++node) cluster.freeze(node);
  std::vector<PutOutcome> puts;
  const auto gets = submit(guest, puts);
  guest.loop().run_for(1s);  // real time: nothing more must happen
  tell("leader unknown and all nodes silent: {} requests in flight for {} operations", guest->stats().attempts,
       operations);
  CHECK(guest->stats().attempts >= 1);
  CHECK(guest->stats().attempts <= 2);
  for (std::uint32_t node = 0; node < 3; ++node) cluster.thaw(node);
  wait_for_all(guest, gets, puts);
}
