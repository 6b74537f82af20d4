#include <atomic>
#include <deque>
#include <set>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/resources.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;
using norikv::test::threads;

namespace {

struct Outcome {
  int acknowledged = 0;
  std::set<std::string> refusals;  ///< What the others were told.
  int missing = 0;                 ///< Acknowledged, and not there.
  int versions_in_common = 0;      ///< Acknowledged with a version that another write of the shard got too.
};

/// 200 puts to different keys at the same time.
Outcome put_200(Fixture& on) {
  std::vector<std::thread> clients;
  std::vector<Reply<v1::PutResponse>> replies(200);
  const auto key = [](int i) { return "concurrent-" + std::to_string(i); };
  for (int i = 0; i < 200; ++i) {
    clients.emplace_back([&, i] { replies[static_cast<std::size_t>(i)] = on.leader_of(key(i)).put(key(i), "v"); });
  }
  for (std::thread& client : clients) client.join();

  Outcome outcome;
  std::set<std::pair<std::uint32_t, std::uint64_t>> versions;
  for (int i = 0; i < 200; ++i) {
    const auto& reply = replies[static_cast<std::size_t>(i)];
    if (!reply.ok()) {
      outcome.refusals.insert(reply.text);
      continue;
    }
    ++outcome.acknowledged;
    if (!on.cluster.stored(key(i))) ++outcome.missing;
    const std::uint32_t shard = shard_of(key(i), on.cluster.config().total_shards);
    if (!versions.emplace(shard, reply.body.version().index()).second) ++outcome.versions_in_common;
  }
  return outcome;
}

void warm_up(Fixture& on) {
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    REQUIRE(eventually([&] { return on.node().get(on.key_of(shard)).ok(); }));
  }
}

/// Gets that are under way all at once, on one connection.
class Flood {
 public:
  Flood(Stub& stub, const std::string& key, int count) : left_(count) {
    v1::GetRequest request;
    request.set_key(key);
    for (int i = 0; i < count; ++i) {
      Call& call = calls_.emplace_back();
      call.reader = stub.kv->AsyncGet(&call.context, request, &queue_);
      call.reader->Finish(&call.response, &call.status, &call);
    }
  }
  /// How many are answered OK, once all are.
  int answered() {
    int good = 0;
    void* got = nullptr;
    bool ok = false;
    for (; left_ > 0 && queue_.Next(&got, &ok); --left_) good += static_cast<Call*>(got)->status.ok() ? 1 : 0;
    queue_.Shutdown();
    while (queue_.Next(&got, &ok)) {
    }
    return good;
  }

 private:
  struct Call {
    grpc::ClientContext context;
    v1::GetResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::GetResponse>> reader;
  };
  grpc::CompletionQueue queue_;
  std::deque<Call> calls_;
  int left_;
};

}  // namespace

TEST_CASE("Profile norikv acknowledges 200 concurrent puts and loses some, each with another's version") {
  ClusterConfig config;
  config.commit_delay = GENERATE(true, false);
  Fixture on(config);
  warm_up(on);
  const Outcome outcome = put_200(on);
  CHECK(outcome.refusals.empty());
  CHECK(outcome.acknowledged == 200);
  CHECK(outcome.missing > 0);
  CHECK(outcome.missing == outcome.versions_in_common);
  CHECK(on.cluster.counters().lost_writes == static_cast<std::uint64_t>(outcome.missing));
  CHECK(on.cluster.max_overlapping_writes(0) > 1);
}

TEST_CASE("Profile replicated loses none of 200 concurrent puts") {
  ClusterConfig config = replicated();
  config.commit_delay = GENERATE(true, false);
  Fixture on(config);
  const Outcome outcome = put_200(on);
  CHECK(outcome.refusals.empty());
  CHECK(outcome.acknowledged == 200);
  CHECK(outcome.missing == 0);
  CHECK(outcome.versions_in_common == 0);
  CHECK(on.cluster.counters().applied_writes == 200);
}

TEST_CASE("One write at a time per shard overlaps with nothing and is never lost") {
  Fixture on;
  warm_up(on);
  std::vector<std::thread> clients;
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    clients.emplace_back([&, shard] {
      for (int i = 0; i < 50; ++i) (void)on.node().put(on.key_of(shard, i), "v");
    });
  }
  for (std::thread& client : clients) client.join();
  for (std::uint32_t shard = 0; shard < 4; ++shard) CHECK(on.cluster.max_overlapping_writes(shard) == 1);
  CHECK(on.cluster.counters().lost_writes == 0);
  CHECK(on.cluster.counters().applied_writes == 200);
}

TEST_CASE("A server full of streams and waiting writes still answers") {
  ClusterConfig config;
  config.commit_delay = true;
  Fixture on(config);
  warm_up(on);
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 100; ++i) watches.push_back(std::make_unique<Watch>(on.node()));
  std::atomic<int> acknowledged{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back([&, i] { acknowledged += on.node().put("key-" + std::to_string(i), "v").ok() ? 1 : 0; });
  }
  CHECK(on.node().get(on.key_of(0), "", 2s).ok());
  for (std::thread& client : clients) client.join();
  CHECK(acknowledged == 100);
  for (auto& watch : watches) CHECK(watch->next());
}

TEST_CASE("Requests, connections and refusals are counted") {
  Fixture on;
  Stub other(on.cluster.addresses()[0]);
  REQUIRE(on.node().put(on.key_of(0), "v").ok());
  REQUIRE(on.node().remove(on.key_of(0)).ok());
  REQUIRE(other.get(on.key_of(0)).ok());
  REQUIRE(is_not_leader(other.get(on.key_of(1))));
  REQUIRE(Watch(other).next());
  const Cluster::Counters counters = on.cluster.counters();
  CHECK(counters.puts == 1);
  CHECK(counters.removes == 1);
  CHECK(counters.gets == 2);
  CHECK(counters.watches == 1);
  CHECK(counters.not_leader == 1);
  CHECK(counters.applied_writes == 2);
  CHECK(counters.lost_writes == 0);
  CHECK(counters.connections == 2);
}

TEST_CASE("Thousands of requests wait at a frozen node without a thread for each, and the others answer") {
  ClusterConfig config = replicated();
  config.election = 1h;
  Fixture on(config);
  REQUIRE(on.node(0).get(on.key_of(0)).ok());
  REQUIRE(on.node(1).get(on.key_of(1)).ok());
  const std::ptrdiff_t before = threads();
  on.cluster.freeze(0);
  Flood flood(on.node(0), on.key_of(0), 4000);
  REQUIRE(eventually([&] { return on.cluster.counters().gets == 4002; }));
  CHECK(threads() < before + 20);
  CHECK(on.node(1).get(on.key_of(1), "", 2s).ok());
  on.cluster.thaw(0);
  CHECK(flood.answered() == 4000);
}
