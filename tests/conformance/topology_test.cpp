#include <algorithm>
#include <set>

#include "conformance/endpoint.hpp"

// Leaders and views: the contract's list, 26 to 31.
using namespace norikv;
using namespace norikv::test;

namespace {

ClientOptions without_views() {
  ClientOptions options = endpoint().options();
  options.connection.watch_topology = false;
  return options;
}

/// Reads one key of each shard.
void touch_all(Guest& guest) {
  for (const std::uint32_t shard : endpoint().shards())
    REQUIRE(ended(guest.get(endpoint().key("touch", shard))) == "ok");
}

bool knows_leaders(Client& client) {
  const auto view = client.cluster();
  const auto shards = endpoint().shards();
  return std::all_of(shards.begin(), shards.end(), [&](auto shard) { return view->leader_of(shard) != nullptr; });
}

std::vector<std::string> addresses(const ClusterView& view) {
  std::vector<std::string> found;
  for (const NodeView& node : view.nodes) found.push_back(node.address);
  return found;
}

}  // namespace

TEST_CASE("(26) A node that does not lead names the leader, and the client goes there") {
  if (endpoint().nodes().size() < 2) {
    NORIKV_SKIP_WITHOUT(Feature::several_nodes, "one node never names another one");
  }
  std::set<LeaderSource> sources;
  std::uint64_t refusals = 0;
  // Each node is the first of the list once, so each shard asks a node that does not lead it.
  for (std::size_t turn = 0; turn < endpoint().nodes().size(); ++turn) {
    ClientOptions options = without_views();
    std::rotate(options.nodes.begin(), options.nodes.begin() + static_cast<std::ptrdiff_t>(turn), options.nodes.end());
    Guest guest{options};
    const auto watching = guest->leadership().subscribe([&](const LeadershipEvent& event) {
      for (const LeaderChange& change : event.changes) sources.insert(change.source);
    });
    touch_all(guest);
    refusals += guest->stats().not_leader;
  }
  if (refusals == 0) NORIKV_SKIP("every node answered for every shard");
  if (sources.count(LeaderSource::hint) == 0) {
    NORIKV_SKIP_WITHOUT(Feature::leader_hints, "this server's refusals name no leader");
  }
  SUCCEED("a hint was followed");
}

TEST_CASE("(27) Once a shard's leader is known it is asked alone") {
  Guest guest{without_views()};
  touch_all(guest);
  CHECK(knows_leaders(guest.client()));
  const Stats before = guest->stats();
  for (int round = 0; round < 5; ++round) touch_all(guest);
  CHECK(guest->stats().not_leader == before.not_leader);
  CHECK(guest->stats().attempts == before.attempts + 5 * endpoint().shards().size());
  CHECK(guest->stats().leader_changes == before.leader_changes);
}

TEST_CASE("(27) Each node may be the first one named") {
  for (std::size_t turn = 0; turn < endpoint().nodes().size(); ++turn) {
    ClientOptions options = endpoint().options();
    std::rotate(options.nodes.begin(), options.nodes.begin() + static_cast<std::ptrdiff_t>(turn), options.nodes.end());
    Guest guest{options};
    touch_all(guest);
    CHECK(ended(guest.ready({.need = Need::all_nodes})) == "ok");
  }
}

TEST_CASE("(29) A subscriber is told what is, then what changes, each change following from the one before") {
  Guest guest{endpoint().options()};
  struct Seen {
    EventKind kind;
    std::uint64_t before, after;
  };
  std::vector<Seen> seen;
  const auto watching = guest->topology().subscribe([&](const TopologyEvent& event) {
    seen.push_back({event.kind, event.before->generation, event.after->generation});
  });
  touch_all(guest);
  REQUIRE(ended(guest.ready({.need = Need::all_nodes})) == "ok");
  REQUIRE(guest.loop().run_until([&] { return seen.size() >= 2 && knows_leaders(guest.client()); }, 20s));
  CHECK(seen[0].kind == EventKind::replay);
  CHECK(seen[0].before == seen[0].after);
  for (std::size_t i = 1; i < seen.size(); ++i) {
    CHECK(seen[i].kind == EventKind::change);
    CHECK(seen[i].before == seen[i - 1].after);
    CHECK(seen[i].after == seen[i].before + 1);
  }
}

TEST_CASE("(29) Views that repeat themselves are fresh, and no event") {
  Guest guest{endpoint().options()};
  touch_all(guest);
  REQUIRE(ended(guest.ready({.need = Need::all_nodes})) == "ok");
  REQUIRE(guest.loop().run_until([&] { return knows_leaders(guest.client()); }, 20s));
  // The views that tell of the shards touched just now. Real time: a view per second.
  const auto another = [&, nodes = endpoint().nodes().size()](std::uint64_t after) {
    return guest.loop().run_until([&] { return guest->stats().views >= after + 2 * nodes; }, 20s);
  };
  REQUIRE(another(guest->stats().views));
  int changes = 0;
  const auto watching = guest->topology().subscribe(
      [&](const TopologyEvent& event) { changes += event.kind == EventKind::change ? 1 : 0; });
  const auto before = guest->cluster();
  REQUIRE(another(guest->stats().views));
  CHECK(changes == 0);
  for (std::size_t node = 0; node < before->nodes.size(); ++node) {
    const NodeView now = guest->cluster()->nodes[node];
    CHECK(now.health == NodeHealth::up);
    CHECK(now.epoch > before->nodes[node].epoch);
    CHECK(now.incarnation == before->nodes[node].incarnation);
    CHECK(now.last_view > before->nodes[node].last_view);
  }
}

TEST_CASE("(29) Subscribers come and go, each for itself") {
  Guest guest{endpoint().options()};
  int stays = 0;
  int leaves = 0;
  int given_up = 0;
  const auto first = guest->topology().subscribe([&](const TopologyEvent&) { ++stays; });
  Subscription second;
  second = guest->topology().subscribe([&](const TopologyEvent&) {
    ++leaves;
    second.unsubscribe();
  });
  guest->topology().subscribe([&](const TopologyEvent&) { ++given_up; }).unsubscribe();
  touch_all(guest);
  REQUIRE(ended(guest.ready({.need = Need::all_nodes})) == "ok");
  REQUIRE(guest.loop().run_until([&] { return stays >= 2; }, 20s));
  CHECK(leaves == 1);
  CHECK(given_up == 0);
}

TEST_CASE("(30) A node is dialled by the address it was configured with, whatever views call it") {
  Guest guest{endpoint().options()};
  touch_all(guest);
  REQUIRE(ended(guest.ready({.need = Need::all_nodes})) == "ok");
  CHECK(addresses(*guest->cluster()) == endpoint().nodes());
  for (const std::uint32_t shard : endpoint().shards()) {
    const NodeView* leader = guest->cluster()->leader_of(shard);
    REQUIRE(leader != nullptr);
    CHECK(std::count(endpoint().nodes().begin(), endpoint().nodes().end(), leader->address) == 1);
  }
}

TEST_CASE("(31) What several nodes tell is one view, in which each touched shard has a leader") {
  if (endpoint().nodes().size() < 2) NORIKV_SKIP_WITHOUT(Feature::several_nodes, "there is one node");
  {
    Guest guest{endpoint().options()};
    touch_all(guest);
  }
  // It asks for nothing: what it knows it has from views.
  Guest watching{endpoint().options()};
  REQUIRE(watching.loop().run_until([&] { return knows_leaders(watching.client()); }, 20s));
  REQUIRE(ended(watching.ready({.need = Need::all_nodes})) == "ok");
  std::set<std::string> ids;
  for (const NodeView& node : watching->cluster()->nodes) ids.insert(node.id);
  CHECK(ids.size() == endpoint().nodes().size());
  // The leaders are right: those that they name answer.
  touch_all(watching);
  CHECK(watching->stats().not_leader == 0);
}
