#include "core/router.hpp"

#include <set>

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1h};

struct Cluster {
  ClusterState state{{"a:1", "b:1", "c:1"}, 16};
  Router router{state};
  void set_down(std::size_t node) { static_cast<void>(state.on_health(node, NodeHealth::down, "test")); }
};

}  // namespace

TEST_CASE("A shard without a known leader has none to route to") {
  Cluster cluster;
  CHECK_FALSE(cluster.router.leader(0));
  static_cast<void>(cluster.state.on_leader_answer(0, 2, start, start));
  CHECK(cluster.router.leader(0) == 2u);
  CHECK_FALSE(cluster.router.leader(1));
}

TEST_CASE("A round asks each node once, beginning at another node for each shard") {
  for (std::uint32_t shard = 0; shard < 16; ++shard) {
    Cluster cluster;
    Rotation rotation;
    CHECK(cluster.router.round_over(rotation, start));
    std::vector<std::size_t> order;
    do {
      order.push_back(cluster.router.next(shard, rotation, start));
    } while (!cluster.router.round_over(rotation, start));
    CHECK(order == std::vector<std::size_t>{shard % 3, (shard + 1) % 3, (shard + 2) % 3});
    CHECK(cluster.router.next(shard, rotation, start) == shard % 3);
  }
}

TEST_CASE("A node that is down is left out of a round") {
  Cluster cluster;
  cluster.set_down(1);
  Rotation rotation;
  CHECK(cluster.router.next(0, rotation, start) == 0);
  CHECK(cluster.router.next(0, rotation, start) == 2);
  CHECK(cluster.router.round_over(rotation, start));
}

TEST_CASE("When all nodes are down all are asked") {
  Cluster cluster;
  for (std::size_t node = 0; node < 3; ++node) cluster.set_down(node);
  Rotation rotation;
  std::set<std::size_t> asked;
  for (int i = 0; i < 3; ++i) asked.insert(cluster.router.next(5, rotation, start));
  CHECK(asked.size() == 3);
  CHECK(cluster.router.round_over(rotation, start));
}

TEST_CASE("A node that goes down in mid-round ends the round without it") {
  Cluster cluster;
  Rotation rotation;
  CHECK(cluster.router.next(0, rotation, start) == 0);
  CHECK(cluster.router.next(0, rotation, start) == 1);
  cluster.set_down(2);
  CHECK(cluster.router.round_over(rotation, start));
}

TEST_CASE("A node that comes back in mid-round is asked in it") {
  Cluster cluster;
  cluster.set_down(2);
  Rotation rotation;
  CHECK(cluster.router.next(0, rotation, start) == 0);
  CHECK(cluster.router.next(0, rotation, start) == 1);
  static_cast<void>(cluster.state.on_health(2, NodeHealth::up, "test"));
  CHECK_FALSE(cluster.router.round_over(rotation, start));
  CHECK(cluster.router.next(0, rotation, start) == 2);
}
