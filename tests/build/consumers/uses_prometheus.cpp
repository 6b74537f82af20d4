// A user's program that links norikv-prometheus. No server: a client that was never created exports nothing but names.
#include <cstdio>
#include <memory>

#include <norikv/norikv.hpp>
#include <norikv/prometheus.hpp>

int main() {
  const auto exporter = std::make_shared<norikv::PrometheusExporter>();
  norikv::ClientOptions options;
  options.observer = exporter->observer({{"client", "consumer"}});
  options.observer->on_operation_end(norikv::OperationEnd{});
  const std::shared_ptr<prometheus::Collectable> collectable = exporter;
  std::printf("%zu metrics\n", collectable->Collect().size());
  return collectable->Collect().empty() ? 1 : 0;
}
