#include "cli/events.hpp"

#include <memory>
#include <string>

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::cli;

namespace {

std::shared_ptr<ClusterView> two_nodes() {
  auto view = std::make_shared<ClusterView>();
  view->generation = 7;
  NodeView a;
  a.address = "a:1";
  a.health = NodeHealth::up;
  a.id = "node0";
  a.role = "follower";
  NodeView b;
  b.address = "b:1";
  b.health = NodeHealth::down;
  view->nodes = {a, b};
  view->shards = {{}, {}, {}, {}};
  return view;
}

TopologyEvent event_of(EventKind kind, std::shared_ptr<ClusterView> view) {
  TopologyEvent event;
  event.kind = kind;
  event.before = view;
  event.after = view;
  return event;
}

}  // namespace

TEST_CASE("neighbours in a list of shards are joined") {
  CHECK(ranges({0}) == "0");
  CHECK(ranges({0, 1, 2, 3}) == "0-3");
  CHECK(ranges({0, 1, 3, 7, 8}) == "0-1, 3, 7-8");
}

TEST_CASE("a list of shards with many gaps is cut") {
  CHECK(ranges({0, 2, 4, 6, 8, 10, 12, 14, 16, 18}) == "0, 2, 4, 6, 8, 10, 12, 14 and 2 more");
}

TEST_CASE("a replay tells all nodes and all leaders") {
  auto view = two_nodes();
  view->shards = {{}, {0, LeaderSource::view}, {0, LeaderSource::view}, {}};
  CHECK(to_line(event_of(EventKind::replay, view)) == "7 now: a:1 up, follower, id node0; b:1 down; shards 1-2: a:1");
}

TEST_CASE("a replay without leaders says so") {
  CHECK(to_line(event_of(EventKind::replay, two_nodes())) ==
        "7 now: a:1 up, follower, id node0; b:1 down; no leader known");
}

TEST_CASE("a change tells only what changed, and why") {
  TopologyEvent event = event_of(EventKind::change, two_nodes());
  event.nodes_changed = {"b:1"};
  event.leaders_changed = {{0, "b:1", "a:1", LeaderSource::view},
                           {1, "b:1", "a:1", LeaderSource::view},
                           {3, "b:1", "", LeaderSource::refusal}};
  event.cause = "b:1 is down";
  CHECK(to_line(event) == "7 change: b:1 down; shard 3: b:1 -> no leader; shards 0-1: b:1 -> a:1 (b:1 is down)");
}

TEST_CASE("an event is one line, whatever a server calls itself") {
  auto view = two_nodes();
  NodeView node;
  node.id = "x\ny";
  view->nodes = {node};
  CHECK(to_line(event_of(EventKind::replay, view)).find('\n') == std::string::npos);
  CHECK(to_json(event_of(EventKind::replay, view)).find('\n') == std::string::npos);
}

TEST_CASE("a change in JSON has the nodes as they are and the leaders that changed") {
  TopologyEvent event = event_of(EventKind::change, two_nodes());
  event.leaders_changed = {{3, "", "a:1", LeaderSource::answer}};
  event.cause = "an answer";
  CHECK(to_json(event) == R"({"event":"change","generation":7,"cause":"an answer","nodes":[)"
                          R"({"address":"a:1","id":"node0","role":"follower","health":"up"},)"
                          R"({"address":"b:1","id":"","role":"","health":"down"}],)"
                          R"("leaders":[{"shard":3,"before":null,"after":"a:1","source":"answer"}]})");
}

TEST_CASE("a replay in JSON has every known leader") {
  auto view = two_nodes();
  view->shards = {{}, {}, {0, LeaderSource::view}, {}};
  const std::string json = to_json(event_of(EventKind::replay, view));
  CHECK(json.find(R"("event":"replay")") != std::string::npos);
  CHECK(json.find(R"("leaders":[{"shard":2,"before":null,"after":"a:1","source":"view"}])") != std::string::npos);
}

TEST_CASE("a warning is one line for people and an object for machines") {
  WarningEvent event;
  event.kind = WarningKind::write_collision;
  event.message = "two writes\ngot one version";
  event.node = "a:1";
  event.shard = 9;
  CHECK(to_line(event) == "norikv: warning: two writes got one version");
  CHECK(to_json(event) ==
        R"({"warning":"write_collision","message":"two writes\ngot one version","node":"a:1","shard":9})");
}

TEST_CASE("a warning about the number of shards names the option") {
  WarningEvent event;
  event.kind = WarningKind::shard_count_mismatch;
  event.node = "a:1";
  CHECK(to_line(event) ==
        "norikv: warning: a:1 has another number of shards than this command assumes: "
        "pass the right one with --shards");
}
