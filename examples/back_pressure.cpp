// A producer that is faster than the cluster. The client takes what its limits allow; `has_room` says when to stop and
// `when_room` when to go on, so nothing is refused and memory stays bounded.
#include <algorithm>
#include <iostream>
#include <string>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

#include <uv.h>

struct Producer {
  norikv::Client& client;
  int next = 0, stored = 0, failed = 0, pauses = 0;
  std::size_t most_in_flight = 0;

  void produce() {
    for (; next < 1000 && client.has_room(); ++next) {
      client.put("item:" + std::to_string(next), "...",
                 [this](norikv::Result<norikv::Written> written) { ++(written ? stored : failed); });
    }
    most_in_flight = std::max(most_in_flight, client.stats().operations);
    if (next == 1000) return client.drain([this] { client.close(); });
    ++pauses;
    client.when_room(50, [this](norikv::Result<void> room) {
      if (room) produce();  // else the client was closed
    });
  }
};

int main() {
  auto cluster = norikv::testing::Cluster::start({.total_shards = 16});
  if (!cluster) return std::cerr << cluster.error().describe() << '\n', 1;
  norikv::ClientOptions options = cluster->client_options();
  options.limits.operations = 100;
  auto client = norikv::Client::create(uv_default_loop(), options);
  if (!client) return std::cerr << client.error().describe() << '\n', 1;

  Producer producer{*client};
  producer.produce();
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  std::cout << producer.stored << " stored, " << producer.failed << " failed\n";
  std::cout << "at most " << producer.most_in_flight << " in flight, " << producer.pauses << " pauses\n";
  std::cout << client->stats().overloaded << " refused\n";
}
