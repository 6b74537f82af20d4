#include <algorithm>
#include <atomic>
#include <thread>

#include "client/guest.hpp"
#include "transport/raw_peer.hpp"

// What observers see: order, replay, chains, ends.
using namespace norikv;
using namespace norikv::test;

namespace {

Cluster replicated() {
  return start({.nodes = 3, .total_shards = 4, .profile = Profile::replicated, .election = 20ms});
}

bool all_leaders_known(const ClusterView& view) {
  return std::all_of(view.shards.begin(), view.shards.end(), [](const ShardView& shard) { return shard.leader >= 0; });
}

}  // namespace

TEST_CASE("A subscription starts with exactly one replay, then changes that follow from each other") {
  Cluster cluster = replicated();
  Guest guest{cluster};
  REQUIRE(ended(guest.ready({.need = Need::all_nodes})) == "ok");
  struct Seen {
    EventKind kind;
    std::shared_ptr<const ClusterView> before, after;
    std::size_t leaders;
  };
  std::vector<Seen> seen;
  const auto subscription = guest->topology().subscribe([&](const TopologyEvent& event) {
    seen.push_back({event.kind, event.before, event.after, event.leaders_changed.size()});
  });
  REQUIRE(guest.loop().run_until([&] { return !seen.empty(); }));
  for (std::uint32_t node : {1u, 2u, 0u}) {
    REQUIRE(cluster.move_leader(0, node));
    REQUIRE(guest.loop().run_until([&] {
      const NodeView* leader = seen.back().after->leader_of(0);
      return leader != nullptr && leader->address == cluster.addresses()[node];
    }));
  }
  CHECK(seen.size() >= 4);
  CHECK(seen[0].kind == EventKind::replay);
  CHECK(seen[0].before == seen[0].after);
  for (std::size_t i = 1; i < seen.size(); ++i) {
    CHECK(seen[i].kind == EventKind::change);
    CHECK(seen[i].after->generation == seen[i].before->generation + 1);
    CHECK(seen[i].before->generation == seen[i - 1].after->generation);
  }
}

TEST_CASE("A view that repeats itself is no event") {
  // Real time: views come every 20 ms.
  const Cluster cluster = start({.election = 5ms, .view_interval = 20ms});
  Guest guest{cluster};
  REQUIRE(ended(guest.get(key_of(0))) == "ok");
  REQUIRE(ended(guest.ready()) == "ok");
  guest.loop().run_for(100ms);
  int events = 0;
  const auto subscription = guest->topology().subscribe([&](const TopologyEvent&) { ++events; });
  const auto views = guest->stats().views;
  REQUIRE(guest.loop().run_until([&] { return guest->stats().views > views + 5; }));
  CHECK(events == 1);  // the replay
}

TEST_CASE("The leaders that a view tells are the cluster's") {
  Cluster cluster = replicated();
  Guest guest{cluster};
  REQUIRE(guest.loop().run_until([&] { return all_leaders_known(*guest->cluster()); }));
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    CHECK(guest->cluster()->leader_of(shard)->address == cluster.addresses()[cluster.leader(shard).value()]);
  }
}

TEST_CASE("A leader that moves is seen without any request") {
  Cluster cluster = replicated();
  Guest guest{cluster};
  REQUIRE(guest.loop().run_until([&] { return all_leaders_known(*guest->cluster()); }));
  const std::uint32_t target = (cluster.leader(2).value() + 1) % 3;
  std::vector<LeaderChange> changes;
  const auto subscription = guest->leadership().subscribe([&](const LeadershipEvent& event) {
    if (event.kind == EventKind::change) changes.insert(changes.end(), event.changes.begin(), event.changes.end());
  });
  const std::string before = guest->cluster()->leader_of(2)->address;
  guest.loop().run_for(5ms);
  REQUIRE(cluster.move_leader(2, target));
  REQUIRE(guest.loop().run_until([&] { return !changes.empty(); }));
  CHECK(changes[0].shard == 2);
  CHECK(changes[0].before == before);
  CHECK(changes[0].after == cluster.addresses()[target]);
  CHECK(changes[0].source == LeaderSource::view);
}

TEST_CASE("A node that is started again has a new incarnation, and its streams tell how it went") {
  Cluster cluster = start();
  Guest guest{cluster};
  std::vector<ConnectionState> states;
  int replays = 0;
  const auto subscription = guest->connections().subscribe([&](const ConnectionEvent& event) {
    if (event.kind == EventKind::replay) {
      ++replays;
    } else {
      states.push_back(event.state);
    }
  });
  REQUIRE(ended(guest.ready()) == "ok");
  REQUIRE(guest->cluster()->nodes[0].incarnation == 1);
  CHECK(replays == 1);
  states.clear();
  cluster.stop(0);
  REQUIRE(guest.loop().run_until([&] { return guest->cluster()->nodes[0].health == NodeHealth::down; }));
  REQUIRE(cluster.restart(0));
  REQUIRE(guest.loop().run_until([&] { return guest->cluster()->nodes[0].incarnation == 2; }));
  CHECK(guest->cluster()->nodes[0].health == NodeHealth::up);
  guest.loop().run_for(5ms);
  REQUIRE(states.size() >= 4);
  CHECK(states[0] == ConnectionState::lost);
  CHECK(states[1] == ConnectionState::backing_off);
  CHECK(states[2] == ConnectionState::connecting);
  CHECK(states.back() == ConnectionState::connected);
}

TEST_CASE("A stream that does not speak is silent, and its node suspect") {
  Cluster cluster = start({.election = 5ms, .view_interval = 20ms});
  ClientOptions options = cluster.client_options();
  options.connection.silence = 100ms;
  Guest guest{options};
  REQUIRE(ended(guest.ready()) == "ok");
  bool silent = false;
  const auto subscription = guest->connections().subscribe(
      [&](const ConnectionEvent& event) { silent = silent || event.state == ConnectionState::silent; });
  cluster.freeze(0);
  REQUIRE(guest.loop().run_until([&] { return silent; }));
  CHECK(guest->cluster()->nodes[0].health == NodeHealth::suspect);
  cluster.thaw(0);
  CHECK(guest.loop().run_until([&] { return guest->cluster()->nodes[0].health == NodeHealth::up; }));
}

TEST_CASE("After unsubscribe returned on the loop's thread no event comes, also from inside the subscriber") {
  Cluster cluster = replicated();
  Guest guest{cluster};
  int inside = 0;
  int other = 0;
  Subscription subscription;
  subscription = guest->topology().subscribe([&](const TopologyEvent&) {
    ++inside;
    subscription.unsubscribe();
  });
  auto second = guest->topology().subscribe([&](const TopologyEvent&) { ++other; });
  REQUIRE(guest.loop().run_until([&] { return other > 0; }));
  second = Subscription{};
  const int before = other;
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    REQUIRE(cluster.move_leader(shard, (cluster.leader(shard).value() + 1) % 3));
  }
  REQUIRE(guest.loop().run_until([&] { return all_leaders_known(*guest->cluster()); }));
  guest.loop().run_for(20ms);
  CHECK(inside == 1);
  CHECK(other == before);
}

TEST_CASE("A subscriber may subscribe, and the new one starts with its own replay") {
  const Cluster cluster = start();
  Guest guest{cluster};
  int replays = 0;
  bool subscribed = false;
  guest->topology()
      .subscribe([&](const TopologyEvent&) {
        if (std::exchange(subscribed, true)) return;
        guest->topology()
            .subscribe([&](const TopologyEvent& event) { replays += event.kind == EventKind::replay ? 1 : 0; })
            .detach();
      })
      .detach();
  REQUIRE(guest.loop().run_until([&] { return replays == 1; }));
  REQUIRE(ended(guest.ready()) == "ok");
  CHECK(replays == 1);
}

TEST_CASE("Subscriptions end once when the client closes, those that were given up do not") {
  const Cluster cluster = start();
  Guest guest{cluster};
  int ends = 0;
  int given_up = 0;
  const auto topology = guest->topology().subscribe([](const TopologyEvent&) {}, [&] { ++ends; });
  const auto leaders = guest->leadership().subscribe([](const LeadershipEvent&) {}, [&] { ++ends; });
  const auto streams = guest->connections().subscribe([](const ConnectionEvent&) {}, [&] { ++ends; });
  const auto load = guest->load().subscribe([](const LoadEvent&) {}, [&] { ++ends; });
  const auto warnings = guest->warnings().subscribe([](const WarningEvent&) {}, [&] { ++ends; });
  auto dropped = guest->topology().subscribe([](const TopologyEvent&) {}, [&] { ++given_up; });
  dropped.unsubscribe();
  guest->topology().subscribe([](const TopologyEvent&) {}, [&] { ++given_up; }).unsubscribe();
  guest.loop().run_for(10ms);
  CHECK(ends == 0);
  REQUIRE(guest.close());
  CHECK(ends == 5);
  CHECK(given_up == 0);
  CHECK_FALSE(topology.active());
}

TEST_CASE("Thousands of subscribers hear all events in order, whoever of them leaves, and end once with the client") {
  struct Subscriber {
    Subscription subscription;
    int replays = 0;
    int ends = 0;
    std::uint64_t last = 0;  // generation
    bool in_order = true;
  };
  Cluster cluster = replicated();
  Guest guest{cluster};
  REQUIRE(ended(guest.ready({.need = Need::all_nodes})) == "ok");
  constexpr std::size_t count = 4000;
  std::vector<Subscriber> all(count);
  std::uint64_t last = 0;
  bool close_now = false;
  for (std::size_t i = 0; i < count; ++i) {
    all[i].subscription = guest->topology().subscribe(
        [&, i](const TopologyEvent& event) {
          Subscriber& self = all[i];
          self.replays += event.kind == EventKind::replay ? 1 : 0;
          self.in_order = self.in_order && (self.last == 0 || event.before->generation == self.last);
          self.last = event.after->generation;
          last = std::max(last, self.last);
          // Every third one leaves in its first change, and takes the one after it along.
          if (event.kind == EventKind::change && i % 3 == 0) {
            self.subscription.unsubscribe();
            if (i + 1 < count) all[i + 1].subscription.unsubscribe();
          }
          if (close_now && i == 2) guest->close();
        },
        [&, i] { ++all[i].ends; });
  }
  const auto leads = [&](std::uint32_t node) {
    const NodeView* leader = guest->cluster()->leader_of(0);
    return leader != nullptr && leader->address == cluster.addresses()[node];
  };
  const auto stays = [](std::size_t i) { return i % 3 == 2; };
  const auto everybody_heard = [&] {
    for (std::size_t i = 0; i < count; ++i) {
      if (stays(i) && all[i].last != last) return false;
    }
    return last == guest->cluster()->generation;
  };
  REQUIRE(guest.loop().run_until([&] { return last > 0 && everybody_heard(); }));
  for (const std::uint32_t node : {1u, 2u}) {
    REQUIRE(cluster.move_leader(0, node));
    REQUIRE(guest.loop().run_until([&] { return leads(node) && everybody_heard(); }));
  }
  close_now = true;
  REQUIRE(cluster.move_leader(0, 0));
  REQUIRE(guest.loop().run_until([&] { return all.back().ends > 0 || all[2].ends > 0; }));
  REQUIRE(guest.loop().run_until_idle());
  for (std::size_t i = 0; i < count; ++i) {
    INFO(i);
    REQUIRE(all[i].replays == 1);
    REQUIRE(all[i].in_order);
    REQUIRE(all[i].ends == (stays(i) ? 1 : 0));
  }
}

TEST_CASE("A subscription that is made while the client closes ends too") {
  const Cluster cluster = start();
  for (int turns = 0; turns < 12; ++turns) {
    Guest guest{cluster};
    REQUIRE(ended(guest.get("key")) == "ok");
    bool closed = false;
    guest->close([&] { closed = true; });
    for (int i = 0; i < turns && !closed; ++i) uv_run(guest.loop().loop(), UV_RUN_NOWAIT);
    int ends = 0;
    const auto late = guest->topology().subscribe([](const TopologyEvent&) {}, [&] { ++ends; });
    REQUIRE(guest.loop().run_until_idle());
    CHECK(closed);
    CHECK(ends == 1);
  }
}

TEST_CASE("cluster() may be read by any thread while it changes") {
  Cluster cluster = replicated();
  Guest guest{cluster};
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread reader{[&] {
    std::uint64_t last = 0;
    while (!stop) {
      const auto view = guest->cluster();
      if (view == nullptr || view->generation < last || view->nodes.size() != 3 || view->shards.size() != 4) ++wrong;
      if (view != nullptr) last = view->generation;
    }
  }};
  REQUIRE(guest.loop().run_until([&] { return all_leaders_known(*guest->cluster()); }));
  for (std::uint32_t step = 0; step < 30; ++step) {
    REQUIRE(cluster.move_leader(step % 4, step % 3));
    guest.loop().run_for(2ms);
  }
  stop = true;
  reader.join();
  CHECK(wrong == 0);
}

TEST_CASE("wait_ready tells when any node, and when all nodes have answered") {
  Cluster cluster = replicated();
  cluster.stop(2);
  Guest guest{cluster};
  CHECK(ended(guest.ready()) == "ok");
  const ReadyOutcome all;
  guest->wait_ready({.timeout = 20s, .need = Need::all_nodes}, all.callback());
  REQUIRE(guest.loop().run_until([&] {
    const auto view = guest->cluster();
    return view->nodes[0].health == NodeHealth::up && view->nodes[1].health == NodeHealth::up;
  }));
  CHECK_FALSE(all.came());
  REQUIRE(cluster.restart(2));
  REQUIRE(guest.wait(all, 20s));
  CHECK(ended(all) == "ok");
}

TEST_CASE("wait_ready ends at its time-out when no node answers") {
  const RawPeer nobody{Form::ipv4};
  Guest guest{{.nodes = {nobody.address()}}};
  CHECK(ended(guest.ready({.timeout = 50ms})) == "deadline_exceeded");
}

TEST_CASE("A server with more shards than the client was told is reported") {
  const Cluster cluster = start({.total_shards = 16, .election = 1ms, .view_interval = 20ms});
  ClientOptions options = cluster.client_options();
  options.total_shards = 2;
  Guest guest{options};
  std::vector<WarningEvent> warnings;
  const auto subscription = guest->warnings().subscribe([&](const WarningEvent& event) { warnings.push_back(event); });
  for (std::uint32_t shard = 0; shard < 16; ++shard) static_cast<void>(guest.get(key_of(shard, 16)));
  REQUIRE(guest.loop().run_until([&] { return !warnings.empty(); }));
  CHECK(warnings[0].kind == WarningKind::shard_count_mismatch);
  CHECK(warnings[0].message.find("total_shards") != std::string::npos);
}
