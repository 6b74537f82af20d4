#include <norikv/cluster.hpp>

#include "support/catch.hpp"

using namespace norikv;

TEST_CASE("The states of nodes and streams have names") {
  CHECK(to_string(NodeHealth::unknown) == "unknown");
  CHECK(to_string(NodeHealth::up) == "up");
  CHECK(to_string(NodeHealth::suspect) == "suspect");
  CHECK(to_string(NodeHealth::down) == "down");
  CHECK(to_string(ConnectionState::connecting) == "connecting");
  CHECK(to_string(ConnectionState::connected) == "connected");
  CHECK(to_string(ConnectionState::lost) == "lost");
  CHECK(to_string(ConnectionState::backing_off) == "backing_off");
  CHECK(to_string(ConnectionState::silent) == "silent");
}

TEST_CASE("The sources of a leader and the kinds of warnings have names") {
  CHECK(to_string(LeaderSource::none) == "none");
  CHECK(to_string(LeaderSource::view) == "view");
  CHECK(to_string(LeaderSource::hint) == "hint");
  CHECK(to_string(LeaderSource::answer) == "answer");
  CHECK(to_string(LeaderSource::refusal) == "refusal");
  CHECK(to_string(WarningKind::write_collision) == "write_collision");
  CHECK(to_string(WarningKind::shard_count_mismatch) == "shard_count_mismatch");
}

TEST_CASE("A view finds the leader of a shard, and none for one that has no leader or does not exist") {
  ClusterView view;
  NodeView second;
  second.address = "b:2";
  view.nodes = {NodeView{}, second};
  view.shards = {{1, LeaderSource::view}, {-1, LeaderSource::none}};
  REQUIRE(view.leader_of(0) != nullptr);
  CHECK(view.leader_of(0)->address == "b:2");
  CHECK(view.leader_of(1) == nullptr);
  CHECK(view.leader_of(2) == nullptr);
}

TEST_CASE("A view finds a node by the address it was configured with") {
  ClusterView view;
  NodeView only;
  only.address = "a:1";
  view.nodes = {only};
  CHECK(view.node("a:1") == &view.nodes[0]);
  CHECK(view.node("a:2") == nullptr);
}
