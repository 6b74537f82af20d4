// A service that Prometheus can scrape: one exporter for all clients of the process, told by their observers. The
// program serves its metrics on a free port of this machine and prints where; it ends when it is told to on stdin.
#include <future>
#include <iostream>
#include <memory>
#include <string>

#include <norikv/norikv.hpp>
#include <norikv/prometheus.hpp>
#include <norikv/testing/cluster.hpp>

#include <prometheus/exposer.h>

int main() {
  auto cluster = norikv::testing::Cluster::start();
  if (!cluster) return std::cerr << cluster.error().describe() << '\n', 1;

  auto exporter = std::make_shared<norikv::PrometheusExporter>();
  prometheus::Exposer exposer{"127.0.0.1:0", 1};
  exposer.RegisterCollectable(exporter);

  norikv::ClientOptions options = cluster->client_options();
  options.observer = exporter->observer({{"client", "orders"}});
  auto client = norikv::Client::create(options);
  if (!client) return std::cerr << client.error().describe() << '\n', 1;

  for (int i = 0; i < 10; ++i) {
    std::promise<bool> done;
    client->put("order:" + std::to_string(i), "paid", [&](auto written) { done.set_value(written.has_value()); });
    if (!done.get_future().get()) return std::cerr << "a put failed\n", 1;
  }

  std::cout << "http://127.0.0.1:" << exposer.GetListeningPorts().front() << "/metrics" << std::endl;
  for (std::string line; std::getline(std::cin, line);) continue;
}
