#include "core/cluster_state.hpp"
#include "support/catch.hpp"
#include "support/session_script.hpp"

// Views that are too large for one input.
using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t shards = 65'536;
constexpr TimePoint start{1h};

std::string name(std::size_t node) { return "node" + std::to_string(node); }

/// A view in which `leader(shard)` leads; -1 = nobody.
template <class Leader>
wire::LeaderView view_of(std::size_t self, std::uint64_t epoch, std::uint32_t listed, Leader leader) {
  wire::LeaderView view;
  view.epoch = epoch;
  view.nodes = {{name(self), "0.0.0.0:7447", "unknown"}};
  view.leaders = {name(0), name(1)};
  for (std::uint32_t shard = 0; shard < listed; ++shard) {
    const int led = leader(shard);
    view.shards.push_back({shard, led < 0 ? wire::LeaderView::nobody : static_cast<std::uint32_t>(led)});
  }
  return view;
}

/// Two nodes that know each other's names.
struct Cluster {
  ClusterState state{{"a:1", "b:1"}, shards};
  TimePoint now = start;
  std::size_t inputs = 0, changes = 0, most_changes = 0;

  Cluster() {
    for (const std::size_t node : {0, 1}) {
      state.on_stream_opened(node, now);
      take(node, view_of(node, 1, 0, [](auto) { return -1; }));
    }
  }
  void note(const ClusterState::Change& change) {
    state.publish(change);
    ++inputs;
    changes += change.leaders.size();
    most_changes = std::max(most_changes, change.leaders.size());
  }
  void show(std::size_t node, wire::LeaderView view) { note(state.on_view(node, std::move(view), now += 1ms)); }
  void go_on(std::size_t node) {
    now += 1ms;
    note(state.on_next_slice(node));
  }
  void take(std::size_t node, wire::LeaderView view) {
    show(node, std::move(view));
    while (state.amid_view(node)) go_on(node);
  }
};

}  // namespace

TEST_CASE("A large view that changes everything comes in bounded changes, and all of it comes") {
  Cluster cluster;
  cluster.inputs = 0;
  cluster.take(0, view_of(0, 2, shards, [](std::uint32_t shard) { return static_cast<int>(shard % 2); }));
  CHECK(cluster.changes == shards);
  CHECK(cluster.most_changes <= ClusterState::changes_per_slice);
  CHECK(cluster.inputs == shards / ClusterState::changes_per_slice);
  for (std::uint32_t shard = 0; shard < shards; ++shard) REQUIRE(cluster.state.leader(shard) == int(shard % 2));
  CHECK(cluster.state.snapshot()->shards.back().leader == 1);
}

TEST_CASE("A large view without news takes as many inputs as it has slices") {
  Cluster cluster;
  cluster.take(0, view_of(0, 2, shards, [](auto) { return 0; }));
  cluster.inputs = cluster.changes = 0;
  cluster.take(0, view_of(0, 2, shards, [](auto) { return 0; }));
  CHECK(cluster.inputs == shards / ClusterState::shards_per_slice);
  CHECK(cluster.changes == 0);
}

TEST_CASE("What the first view of a new stream does not confirm is forgotten in bounded changes") {
  Cluster cluster;
  cluster.take(0, view_of(0, 2, shards, [](auto) { return 0; }));
  cluster.state.on_stream_opened(0, cluster.now += 1ms);
  cluster.changes = cluster.most_changes = 0;
  cluster.take(0, view_of(0, 1, 0, [](auto) { return 0; }));
  CHECK(cluster.changes == shards);
  CHECK(cluster.most_changes <= ClusterState::changes_per_slice);
  CHECK(cluster.state.leader(shards - 1) == -1);
}

TEST_CASE("Of the views that come while one is taken in the latest is taken in behind it") {
  Cluster cluster;
  cluster.show(0, view_of(0, 2, shards, [](auto) { return 0; }));
  REQUIRE(cluster.state.amid_view(0));
  cluster.show(0, view_of(0, 3, shards, [](auto) { return -1; }));
  cluster.show(0, view_of(0, 4, shards, [](auto) { return 1; }));
  while (cluster.state.amid_view(0)) cluster.go_on(0);
  CHECK(cluster.state.snapshot()->nodes[0].epoch == 4);
  CHECK(cluster.state.leader(0) == 1);
  CHECK(cluster.state.leader(shards - 1) == 1);
  CHECK(cluster.changes == 2 * shards);
}

TEST_CASE("A new stream ends what was left of a view of the one before") {
  Cluster cluster;
  cluster.show(0, view_of(0, 2, shards, [](auto) { return 0; }));
  cluster.state.on_stream_opened(0, cluster.now += 1ms);
  CHECK_FALSE(cluster.state.amid_view(0));
  CHECK(cluster.state.leader(shards - 1) == -1);
}

TEST_CASE("What was learned after a view came is not undone when the view's last slice is taken in") {
  Cluster cluster;
  cluster.show(0, view_of(0, 2, shards, [](auto) { return 0; }));
  REQUIRE(cluster.state.amid_view(0));
  const TimePoint asked = cluster.now += 1ms;
  cluster.note(cluster.state.on_leader_answer(shards - 1, 1, asked, cluster.now += 1ms));
  while (cluster.state.amid_view(0)) cluster.go_on(0);
  CHECK(cluster.state.leader(shards - 2) == 0);
  CHECK(cluster.state.leader(shards - 1) == 1);
}

TEST_CASE("A node that its own view removes has nothing more to tell") {
  // The seed is named, the others are told of. They tell of each other until one of them does not any more.
  ClusterState state{{"seed:1"}, 4, [](std::string_view, std::string_view address) { return std::string{address}; }};
  TimePoint now = start;
  const auto show = [&](std::size_t node, std::uint64_t epoch, std::vector<std::string> others) {
    const auto address = [&](std::size_t of) { return of == 0 ? "seed:1" : of == 1 ? "a:1" : "b:1"; };
    wire::LeaderView view;
    view.epoch = epoch;
    view.nodes = {{name(node), address(node), "unknown"}};
    for (const std::string& other : others) view.nodes.push_back({other, other, "follower"});
    view.leaders = {name(node)};
    view.shards = {{1, 0}};
    const ClusterState::Change change = state.on_view(node, std::move(view), now += 1ms);
    state.publish(change);
    return change;
  };
  show(0, 1, {"a:1", "b:1"});
  show(1, 1, {"b:1"});
  show(2, 1, {"a:1"});
  show(0, 2, {});
  REQUIRE(state.node_count() == 3);
  const ClusterState::Change change = show(1, 2, {});
  CHECK(change.removed.size() == 2);
  CHECK(state.node_count() == 1);
  CHECK_FALSE(state.amid_view(1));
  CHECK(state.health(1) == NodeHealth::unknown);
  CHECK(state.leader(1) == -1);
}

TEST_CASE("A stream that is opened again amid a large view, for whatever reason, leaves nothing of the view behind") {
  auto options = test::watched_nodes(1);
  options.total_shards = shards;
  test::Script script{options};
  std::vector<std::uint32_t> all(shards);
  for (std::uint32_t shard = 0; shard < shards; ++shard) all[shard] = shard;
  const auto amid_view = [&] { return script.leader(0) == 0 && script.leader(shards - 1) == -1; };
  script.claims(0, all);
  REQUIRE(amid_view());
  SECTION("other certificates") { script.session().reopen_streams(script.now()); }
  SECTION("its end, and a loop that was blocked until it is due again") {
    script.end_stream(0);
    script.oversleep(1s);
  }
  script.wait(1s);
  CHECK(script.streaming(0));
  script.claims(0, all);
  script.wait(1s);
  CHECK(script.leader(shards - 1) == 0);
}

TEST_CASE("A node that goes while a view is taken in leads nothing, whatever is left of the view") {
  Cluster cluster;
  cluster.show(0, view_of(0, 2, shards, [](auto) { return 1; }));
  cluster.note(cluster.state.set_nodes({"a:1"}, cluster.now += 1ms));
  while (cluster.state.amid_view(0)) cluster.go_on(0);
  CHECK(cluster.state.leader(0) == -1);
  CHECK(cluster.state.leader(shards - 1) == -1);
}

TEST_CASE("A shard that a view lists twice has the leader that is named first, and view after view it stays") {
  Cluster cluster;
  wire::LeaderView twice = view_of(0, 2, 4, [](auto) { return 0; });
  twice.shards.push_back({1, 1});
  cluster.take(0, twice);
  CHECK(cluster.state.leader(1) == 0);
  cluster.changes = 0;
  cluster.take(0, twice);
  CHECK(cluster.changes == 0);
}

TEST_CASE("Of several that are said to lead a shard the first one that is known does") {
  Cluster cluster;
  wire::LeaderView view = view_of(0, 2, 0, [](auto) { return 0; });
  view.leaders.emplace_back("stranger");
  view.shards = {{3, 2}, {3, 1}, {3, 0}};
  cluster.take(0, view);
  CHECK(cluster.state.leader(3) == 1);
}

TEST_CASE("The session takes a large view in over several moments, and says when it wants the next") {
  ClientOptions options = test::watched_nodes(2);
  options.total_shards = shards;
  Session session{options, 1};
  TimePoint now = start;
  session.start(now);
  const auto first_stream = std::get<StartWatch>(session.take_actions().front()).id;
  session.on_view(first_stream, view_of(0, 1, shards, [](auto) { return 0; }), now);
  std::size_t moments = 1, told = 0;
  const auto count_events = [&] {
    std::size_t in_this_moment = 0;
    for (const Delivery& delivery : session.deliveries()) {
      if (const auto* event = std::get_if<TopologyEvent>(&delivery)) in_this_moment += event->leaders_changed.size();
    }
    session.deliveries().clear();
    REQUIRE(in_this_moment <= ClusterState::changes_per_slice);
    told += in_this_moment;
  };
  count_events();
  for (; session.cluster()->shards.back().leader < 0; ++moments) {
    REQUIRE(session.next_deadline() <= now + 1us);
    session.advance_to(now);
    REQUIRE(session.deliveries().empty());  // not before time has passed: other work has its turn
    session.advance_to(now += 1us);
    count_events();
  }
  CHECK(moments == shards / ClusterState::changes_per_slice);
  CHECK(told == shards);
}

TEST_CASE("A session that closes leaves the rest of a view alone") {
  ClientOptions options = test::watched_nodes(1);
  options.total_shards = shards;
  Session session{options, 1};
  session.start(start);
  session.on_view(std::get<StartWatch>(session.take_actions().front()).id,
                  view_of(0, 1, shards, [](auto) { return 0; }), start);
  session.close(0s, start);
  session.advance_to(start + 1ms);
  CHECK(session.cluster()->shards.back().leader == -1);
  CHECK(session.held().timers == 0);
}

TEST_CASE("A change copies the part of a snapshot that it is about, and no more") {
  Cluster cluster;
  cluster.take(0, view_of(0, 2, shards, [](auto) { return 0; }));
  const auto before = cluster.state.snapshot();
  cluster.note(cluster.state.on_hint(3, 1, cluster.now, cluster.now += 1ms));
  const auto after = cluster.state.snapshot();
  CHECK(after->shards[3].leader == 1);
  CHECK(before->shards[3].leader == 0);
  std::size_t copied = 0;
  for (std::uint32_t shard = 0; shard < shards; ++shard) copied += &before->shards[shard] != &after->shards[shard];
  CHECK(copied <= 512);
  CHECK(&before->nodes[0] == &after->nodes[0]);
}
