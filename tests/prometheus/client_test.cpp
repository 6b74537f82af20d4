#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "client/guest.hpp"
#include "prometheus/metrics.hpp"

// What a real client exports, and that it is what docs/metrics.md promises.
using namespace norikv;
using namespace norikv::test;

namespace {

struct Promise {
  std::string type;
  std::set<std::string> labels;
  friend bool operator==(const Promise&, const Promise&) = default;
};

std::string type_of(::prometheus::MetricType type) {
  switch (type) {
    case ::prometheus::MetricType::Counter:
      return "counter";
    case ::prometheus::MetricType::Gauge:
      return "gauge";
    case ::prometheus::MetricType::Histogram:
      return "histogram";
    default:
      return "another";
  }
}

// The rows "| `name` | type | `label`, `label` | unit | meaning |".
std::map<std::string, Promise> promised() {
  std::ifstream document{NORIKV_METRICS_DOCUMENT};
  const std::regex row{R"(\| `(norikv_\w+)` \| (\w+) \| ([^|]*)\|[^|]*\|[^|]+\|)"};
  const std::regex label{"`([^`]+)`"};
  std::map<std::string, Promise> metrics;
  for (std::string line; std::getline(document, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    Promise& metric = metrics[match[1]];
    metric.type = match[2];
    const std::string labels = match[3];
    for (std::sregex_iterator it{labels.begin(), labels.end(), label}, end; it != end; ++it)
      metric.labels.insert((*it)[1]);
  }
  return metrics;
}

}  // namespace

TEST_CASE("The metrics of a real client are those of docs/metrics.md") {
  // A shard that is touched first refuses: so there are retries and failed attempts too.
  const Cluster cluster = start({.election = 30ms});
  PrometheusExporter exporter;
  ClientOptions options = cluster.client_options();
  options.observer = exporter.observer({{"client", "test"}});
  Guest guest{std::move(options)};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  REQUIRE(value_of(guest.get("key")) == "value");
  REQUIRE(guest.loop().run_until([&] { return guest->stats().views > 0; }));

  std::map<std::string, Promise> exported;
  const Scrape scrape{exporter};
  for (const auto& family : scrape.families()) {
    INFO(family.name);
    Promise& metric = exported[family.name];
    metric.type = type_of(family.type);
    CHECK_FALSE(family.help.empty());
    CHECK_FALSE(family.metric.empty());
    for (const auto& sample : family.metric) {
      for (const auto& [name, value] : labels_of(sample)) metric.labels.insert(name);
    }
    CHECK(metric.labels.erase("client") == 1);  // ours
  }
  const std::map<std::string, Promise> documented = promised();
  CHECK(documented.size() == 35);
  for (const auto& [name, metric] : documented) {
    INFO(name);
    REQUIRE(exported.count(name) == 1);
    CHECK(exported[name].type == metric.type);
    CHECK(exported[name].labels == metric.labels);
  }
  for (const auto& [name, metric] : exported) {
    INFO(name);
    CHECK(documented.count(name) == 1);
  }
}

TEST_CASE("What the exporter counts is what the client did") {
  const Cluster cluster = start();
  PrometheusExporter exporter;
  ClientOptions options = cluster.client_options();
  options.observer = exporter.observer();
  const std::string node = cluster.addresses()[0];
  {
    Guest guest{options};
    for (int i = 0; i < 5; ++i) REQUIRE(ended(guest.put("key", "value")) == "ok");
    for (int i = 0; i < 7; ++i) REQUIRE(ended(guest.get("key")) == "ok");
    CHECK(ended(guest.get(std::string(max_key_size + 1, 'k'))) == "invalid_argument");

    const Scrape scrape{exporter};
    CHECK(scrape.value("norikv_client_operations_total", {{"kind", "put"}, {"outcome", "ok"}}) == 5);
    CHECK(scrape.value("norikv_client_operations_total", {{"kind", "get"}, {"outcome", "ok"}}) == 7);
    CHECK(scrape.value("norikv_client_operations_total", {{"kind", "get"}, {"outcome", "invalid_argument"}}) == 1);
    CHECK(scrape.count("norikv_client_operation_duration_seconds", {{"kind", "put"}, {"result", "ok"}}) == 5);
    double attempts = 0;
    for (const auto& sample : scrape.family("norikv_client_attempts_total")->metric) attempts += sample.counter.value;
    CHECK(attempts == static_cast<double>(guest->stats().attempts));
    CHECK(scrape.value("norikv_client_clients") == 1);
    CHECK(scrape.value("norikv_client_pending_operations") == 0);
    CHECK(scrape.value("norikv_client_node_health", {{"health", "up"}, {"node", node}}) == 1);
    CHECK(scrape.count("norikv_client_loop_turn_duration_seconds") > 0);
  }
  // The client has ended; what it counted stays.
  const Scrape after{exporter};
  CHECK(after.value("norikv_client_operations_total", {{"kind", "put"}, {"outcome", "ok"}}) == 5);
  CHECK(after.value("norikv_client_clients") == 0);
  CHECK(after.family("norikv_client_node_in_flight")->metric.empty());
}
