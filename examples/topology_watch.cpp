// Watches who leads a shard. An event carries the state before and after, so there is nothing to remember and nothing
// to miss.
//
// The first event is a replay of the state as it is. A subscription alone does not keep the loop alive: `ref()` does.
#include <iostream>
#include <string>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

#include <uv.h>

constexpr std::uint32_t shard = 0;

struct Watcher {
  norikv::testing::Cluster& cluster;
  norikv::Client& client;
  norikv::Subscription watching{};
  int moves = 0;

  void start() {
    client.ref();
    watching = client.topology().subscribe([this](const norikv::TopologyEvent& event) { show(event); },
                                           [] { std::cout << "the client is closed\n"; });
  }

  void show(const norikv::TopologyEvent& event) {
    if (event.kind == norikv::EventKind::replay) {
      const norikv::NodeView* leader = event.after->leader_of(shard);
      std::cout << event.after->nodes.size() << " nodes; shard 0 is led by " << (leader ? leader->address : "nobody")
                << '\n';
      move_leader();
    }
    for (const norikv::LeaderChange& change : event.leaders_changed) {
      if (change.shard != shard || change.after.empty()) continue;
      std::cout << "shard 0 moved from " << change.before << " to " << change.after << ": " << event.cause << '\n';
      ++moves < 3 ? move_leader() : client.close();
    }
  }

  // Stands in for the outside world.
  void move_leader() { cluster.move_leader(shard, (cluster.leader(shard).value() + 1) % 3); }
};

int main() {
  auto cluster = norikv::testing::Cluster::start({.nodes = 3, .profile = norikv::testing::Profile::replicated});
  if (!cluster) return std::cerr << cluster.error().describe() << '\n', 1;
  auto client = norikv::Client::create(uv_default_loop(), cluster->client_options());
  if (!client) return std::cerr << client.error().describe() << '\n', 1;

  Watcher watcher{*cluster, *client};
  client->wait_ready({.need = norikv::Need::all_nodes}, [&](norikv::Result<void> ready) {
    if (!ready) return std::cerr << ready.error().describe() << '\n', client->close();
    watcher.start();
  });
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
