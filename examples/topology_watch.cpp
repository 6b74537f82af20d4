// Watches who leads a shard. An event carries the state before and after, so there is nothing to remember and nothing
// to miss.
//
// The first event is a replay of the state as it is. A subscription alone does not keep the loop alive: `ref()` does.
#include <chrono>
#include <iostream>
#include <string>
#include <thread>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

#include <uv.h>

using namespace std::chrono_literals;

constexpr std::uint32_t shard = 0;

std::string name_or_nobody(const std::string& address) { return address.empty() ? "nobody" : address; }

void show(const norikv::TopologyEvent& event) {
  if (event.kind == norikv::EventKind::replay) {
    std::cout << "watching " << event.after->nodes.size() << " nodes, " << event.after->shards.size() << " shards\n";
  }
  for (const std::string& node : event.nodes_changed) {
    std::cout << node << " is " << to_string(event.after->node(node)->health) << '\n';
  }
  for (const norikv::LeaderChange& change : event.leaders_changed) {
    if (change.shard != shard) continue;
    std::cout << "shard 0 moves from " << name_or_nobody(change.before) << " to " << name_or_nobody(change.after)
              << ": " << event.cause << '\n';
  }
}

int main() {
  auto cluster = norikv::testing::Cluster::start({.nodes = 3, .profile = norikv::testing::Profile::replicated});
  if (!cluster) return std::cerr << cluster.error().describe() << '\n', 1;
  auto client = norikv::Client::create(uv_default_loop(), cluster->client_options());
  if (!client) return std::cerr << client.error().describe() << '\n', 1;

  client->ref();
  const auto watching = client->topology().subscribe(show, [] { std::cout << "the client is closed\n"; });

  // Stands in for the outside world: leaders move now and then, and in the end somebody wants no more of it.
  const std::jthread world([&] {
    for (int move = 0; move < 3; ++move) {
      std::this_thread::sleep_for(200ms);
      cluster->move_leader(shard, (cluster->leader(shard).value_or(0) + 1) % 3);
    }
    std::this_thread::sleep_for(200ms);
    client->close();
  });
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
