#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "support/catch.hpp"
#include "support/lateness.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;

namespace {

/// The id of the node that leads a shard in a view; empty = none.
std::string leader_in(const v1::ClusterView& view, int shard) {
  for (const v1::ShardReplica& replica : view.shards(shard).replicas()) {
    if (replica.leader()) return replica.node_id();
  }
  return {};
}

}  // namespace

TEST_CASE("A follower refuses with the leader's address in the trailers") {
  Fixture on(replicated());
  const auto put = on.node(0).put(on.key_of(1), "v");
  CHECK(put.code == grpc::UNAVAILABLE);
  CHECK(put.text == "NOT_LEADER");
  CHECK(put.hint == on.cluster.addresses()[1]);
  const auto get = on.node(0).get(on.key_of(1));
  CHECK(get.text == "NOT_LEADER: strong consistency requires leader");
  CHECK(get.hint == on.cluster.addresses()[1]);
}

TEST_CASE("No hint is sent while a shard elects its leader") {
  ClusterConfig config = replicated();
  config.election = 1h;
  Fixture on(config);
  on.cluster.stop(1);
  const auto reply = on.node(0).put(on.key_of(1), "v");
  CHECK(is_not_leader(reply));
  CHECK(reply.metadata == 0);
}

TEST_CASE("What the leader acknowledged every node has") {
  Fixture on(replicated());
  REQUIRE(on.node(1).put(on.key_of(1), "v").ok());
  for (std::uint32_t node = 0; node < 3; ++node) CHECK(on.node(node).get(on.key_of(1), "eventual").body.value() == "v");
}

TEST_CASE("Every open stream hears of a moved leader at once") {
  ClusterConfig config = replicated();
  config.view_interval = 1h;
  Fixture on(config);
  std::vector<std::unique_ptr<Watch>> watches;
  for (std::uint32_t node = 0; node < 3; ++node) {
    watches.push_back(std::make_unique<Watch>(on.node(node)));
    CHECK(leader_in(watches.back()->next().value(), 0) == "node0");
  }
  const norikv::test::Lateness lateness;
  REQUIRE(on.cluster.move_leader(0, 2));
  const auto start = Clock::now();
  for (auto& watch : watches) CHECK(leader_in(watch->next().value(), 0) == "node2");
  CHECK(Clock::now() - start < 500ms + 10 * lateness.worst());
}

TEST_CASE("Streams of the other nodes show a stopped node's shards without, then with another leader") {
  ClusterConfig config = replicated();
  config.view_interval = 1h;
  config.election = 50ms;
  Fixture on(config);
  Watch watch(on.node(1));
  REQUIRE(leader_in(watch.next().value(), 0) == "node0");
  on.cluster.stop(0);
  const v1::ClusterView electing = watch.next().value();
  CHECK(leader_in(electing, 0).empty());
  CHECK(electing.nodes(0).role() == "failed");
  CHECK(leader_in(watch.next().value(), 0) == "node1");
  REQUIRE(on.cluster.restart(0));
  CHECK(watch.next().value().nodes(0).role() == "follower");
}

TEST_CASE("Writes go on while the leader moves, each acknowledged one is kept, and no version comes twice") {
  ClusterConfig config = replicated();
  config.commit_delay = true;
  config.total_shards = 1;
  Fixture on(config);
  std::atomic<bool> done{false};
  std::thread mover([&] {
    for (std::uint32_t node = 1; !done; node = (node + 1) % 3) {
      (void)on.cluster.move_leader(0, node);
      std::this_thread::sleep_for(40ms);  // Real time: leaders move in the middle of commits.
    }
  });
  std::vector<std::thread> writers;
  std::mutex mutex;
  std::map<std::uint64_t, std::string> acknowledged;  // by index
  std::set<std::string> refused;
  int versions_in_common = 0;
  for (int writer = 0; writer < 8; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 60; ++i) {
        const std::string key = "key-" + std::to_string(writer) + "-" + std::to_string(i);
        const auto reply = on.node(static_cast<std::uint32_t>(i) % 3).put(key, "v");
        const std::lock_guard lock(mutex);
        if (!reply.ok()) {
          refused.insert(key);
        } else if (!acknowledged.emplace(reply.body.version().index(), key).second) {
          ++versions_in_common;
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  mover.join();
  CHECK(versions_in_common == 0);
  CHECK_FALSE(acknowledged.empty());
  CHECK_FALSE(refused.empty());
  for (const auto& [index, key] : acknowledged) CHECK(on.cluster.stored(key) == "v");
  for (const std::string& key : refused) CHECK(on.cluster.stored(key) == std::nullopt);
}

TEST_CASE("A counter that 16 threads raise by compare-and-swap is exact") {
  ClusterConfig config = replicated(1);
  config.total_shards = 1;
  Fixture on(config);
  REQUIRE(on.node().put("counter", "0").ok());
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 16; ++thread) {
    threads.emplace_back([&] {
      for (int raised = 0; raised < 10;) {
        const auto read = on.node().get("counter");
        v1::PutRequest request;
        request.set_key("counter");
        request.set_value(std::to_string(std::stoi(read.body.value()) + 1));
        *request.mutable_if_match() = read.body.version();
        if (on.node().put(request).ok()) ++raised;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(on.cluster.stored("counter") == "160");
}
