#include <sstream>
#include <thread>

#include <prometheus/text_serializer.h>

#include "prometheus/metrics.hpp"

// The exporter alone: the test tells its observers what a client would.
using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

OperationEnd ended(OperationKind kind, std::optional<ErrorCode> error, Duration duration) {
  OperationEnd end;
  end.operation = 1;
  end.kind = kind;
  end.error = error;
  end.duration = duration;
  return end;
}

AttemptStart started(std::string node, AttemptReason reason) {
  AttemptStart start;
  start.node = std::move(node);
  start.reason = reason;
  return start;
}

// A client with a number of its own, as far as an observer can see.
struct FakeClient {
  std::uint64_t number = 1;
  std::optional<Stats> stats = Stats{};

  void start(Observer& observer) const {
    observer.on_client_start({number, {}, [this] { return stats; }});
  }
  void end(Observer& observer) { observer.on_client_end({number, {}, *stats}); }
};

}  // namespace

TEST_CASE("Operations are counted by kind and outcome") {
  PrometheusExporter exporter;
  const auto observer = exporter.observer();
  observer->on_operation_end(ended(OperationKind::get, std::nullopt, 3ms));
  observer->on_operation_end(ended(OperationKind::get, std::nullopt, 30ms));
  observer->on_operation_end(ended(OperationKind::put, ErrorCode::overloaded, 0ms));

  const Scrape scrape{exporter};
  CHECK(scrape.value("norikv_client_operations_total", {{"kind", "get"}, {"outcome", "ok"}}) == 2);
  CHECK(scrape.value("norikv_client_operations_total", {{"kind", "put"}, {"outcome", "overloaded"}}) == 1);
  CHECK(scrape.count("norikv_client_operation_duration_seconds", {{"kind", "get"}, {"result", "ok"}}) == 2);
  CHECK(scrape.count("norikv_client_operation_duration_seconds", {{"kind", "put"}, {"result", "error"}}) == 1);
}

TEST_CASE("Durations are exported in seconds, cumulated by bounds") {
  PrometheusExporter exporter;
  const auto observer = exporter.observer();
  for (const Duration duration : {Duration{-1ns}, Duration{100us}, Duration{2ms}, Duration{3ms}, Duration{1h}})
    observer->on_operation_end(ended(OperationKind::get, std::nullopt, duration));

  const auto sample =
      Scrape{exporter}.sample("norikv_client_operation_duration_seconds", {{"kind", "get"}, {"result", "ok"}});
  REQUIRE(sample);
  const auto& histogram = sample->histogram;
  CHECK(histogram.sample_count == 5);
  CHECK(histogram.sample_sum == Approx(3600 + 0.0051));
  REQUIRE(histogram.bucket.size() == 16);
  CHECK(histogram.bucket[0].upper_bound == 0.0001);
  CHECK(histogram.bucket[0].cumulative_count == 2);  // a bound belongs to its bucket
  CHECK(histogram.bucket[4].upper_bound == 0.0025);
  CHECK(histogram.bucket[4].cumulative_count == 3);
  CHECK(histogram.bucket[5].cumulative_count == 4);
  CHECK(histogram.bucket.back().upper_bound == 10);
  CHECK(histogram.bucket.back().cumulative_count == 4);
}

TEST_CASE("The search for a leader is no operation, but its requests are attempts") {
  PrometheusExporter exporter;
  const auto observer = exporter.observer();
  observer->on_operation_start([] {
    OperationStart start;
    start.kind = OperationKind::probe;
    return start;
  }());
  AttemptStart attempt = started("a:1", AttemptReason::first);
  attempt.kind = OperationKind::probe;
  observer->on_attempt_start(attempt);
  observer->on_operation_end(ended(OperationKind::probe, std::nullopt, 1ms));

  const Scrape scrape{exporter};
  CHECK(scrape.family("norikv_client_operations_total")->metric.empty());
  CHECK(scrape.count("norikv_client_operation_queue_duration_seconds") == 0);
  CHECK(scrape.value("norikv_client_attempts_total", {{"node", "a:1"}, {"reason", "first"}}) == 1);
}

TEST_CASE("The same labels are the same observer, and other labels are other samples") {
  PrometheusExporter exporter;
  const auto orders = exporter.observer({{"client", "orders"}});
  const auto users = exporter.observer({{"client", "users"}});
  CHECK(exporter.observer({{"client", "orders"}}) == orders);
  CHECK(users != orders);
  orders->on_operation_end(ended(OperationKind::get, std::nullopt, 1ms));
  users->on_operation_end(ended(OperationKind::get, std::nullopt, 1ms));

  const Scrape scrape{exporter};
  CHECK(scrape.family("norikv_client_operations_total")->metric.size() == 2);
  CHECK(scrape.value("norikv_client_operations_total", {{"client", "users"}, {"kind", "get"}, {"outcome", "ok"}}) == 1);
}

TEST_CASE("Labels that Prometheus does not allow, or that are the metrics' own, are left out") {
  PrometheusExporter exporter;
  const auto observer = exporter.observer(
      {{"kind", "x"}, {"le", "x"}, {"__name__", "x"}, {"9", "x"}, {"a-b", "x"}, {"", "x"}, {"ok_1", "x"}});
  observer->on_operation_end(ended(OperationKind::get, std::nullopt, 1ms));
  const Scrape scrape{exporter};
  CHECK(scrape.value("norikv_client_operations_total", {{"ok_1", "x"}, {"kind", "get"}, {"outcome", "ok"}}) == 1);
}

TEST_CASE("Counters of clients that ended are kept, and gauges are of those that live") {
  PrometheusExporter exporter;
  const auto observer = exporter.observer();
  FakeClient first{1, {}}, second{2, {}};
  first.stats.emplace();
  second.stats.emplace();
  first.stats->views = 10;
  first.stats->operations = 3;
  second.stats->views = 5;
  second.stats->operations = 4;
  first.start(*observer);
  second.start(*observer);
  CHECK(Scrape{exporter}.value("norikv_client_views_total") == 15);
  CHECK(Scrape{exporter}.value("norikv_client_pending_operations") == 7);
  CHECK(Scrape{exporter}.value("norikv_client_clients") == 2);

  first.stats->views = 11;
  first.end(*observer);
  CHECK(Scrape{exporter}.value("norikv_client_views_total") == 16);
  CHECK(Scrape{exporter}.value("norikv_client_pending_operations") == 4);
  CHECK(Scrape{exporter}.value("norikv_client_clients") == 1);

  second.stats.reset();  // gone without an end
  CHECK(Scrape{exporter}.value("norikv_client_views_total") == 16);
  CHECK(Scrape{exporter}.value("norikv_client_clients") == 0);
}

TEST_CASE("Nodes are told as their client has them, and counted as others when it has them no more") {
  PrometheusExporter exporter;
  const auto observer = exporter.observer();
  FakeClient client;
  NodeStats node;
  node.node = "a:1";
  node.health = NodeHealth::suspect;
  node.breaker = BreakerState::half_open;
  node.in_flight = 4;
  node.ghosts = 1;
  node.queued = 9;
  client.stats->nodes = {node};
  client.start(*observer);
  observer->on_attempt_start(started("a:1", AttemptReason::hedge));
  observer->on_attempt_start(started("b:1", AttemptReason::first));
  AttemptEnd end;
  end.node = "b:1";
  end.error = ErrorCode::unavailable;
  observer->on_attempt_end(end);

  const Scrape before{exporter};
  CHECK(before.value("norikv_client_node_health", {{"health", "suspect"}, {"node", "a:1"}}) == 1);
  CHECK(before.value("norikv_client_node_health", {{"health", "up"}, {"node", "a:1"}}) == 0);
  CHECK(before.value("norikv_client_node_breaker_open", {{"node", "a:1"}}) == 1);
  CHECK(before.value("norikv_client_node_in_flight", {{"node", "a:1"}}) == 4);
  CHECK(before.value("norikv_client_node_ghosts", {{"node", "a:1"}}) == 1);
  CHECK(before.value("norikv_client_node_queued", {{"node", "a:1"}}) == 9);
  CHECK(before.value("norikv_client_attempts_total", {{"node", "b:1"}, {"reason", "first"}}) == 1);
  // It told of a node that is no more: the scrape that saw it last is over.
  const Scrape after{exporter};
  CHECK(after.value("norikv_client_attempts_total", {{"node", "b:1"}, {"reason", "first"}}) == 0);
  CHECK(after.value("norikv_client_attempts_total", {{"node", "a:1"}, {"reason", "hedge"}}) == 1);
  // What it had counted is not lost, however often nodes leave.
  CHECK(after.value("norikv_client_attempts_total", {{"node", "other"}, {"reason", "first"}}) == 1);
  CHECK(after.value("norikv_client_attempt_errors_total", {{"error", "unavailable"}, {"node", "other"}}) == 1);
  CHECK(after.count("norikv_client_attempt_duration_seconds", {{"node", "other"}, {"result", "error"}}) == 1);
  observer->on_attempt_start(started("c:1", AttemptReason::first));
  static_cast<void>(exporter.Collect());
  const Scrape later{exporter};
  CHECK(later.value("norikv_client_attempts_total", {{"node", "other"}, {"reason", "first"}}) == 2);
}

TEST_CASE("An exporter that nobody scrapes does not grow with the nodes that come and go") {
  PrometheusExporter exporter;
  const auto observer = exporter.observer();
  for (int i = 0; i < 10000; ++i)
    observer->on_attempt_start(started("node-" + std::to_string(i), AttemptReason::first));
  const Scrape scrape{exporter};
  CHECK(scrape.family("norikv_client_attempts_total")->metric.size() == 257);
  CHECK(scrape.value("norikv_client_attempts_total", {{"node", "other"}, {"reason", "first"}}) == 10000 - 256);
}

TEST_CASE("Each family is there once, also before anything has happened, and the text serializer takes it") {
  PrometheusExporter exporter;
  const auto one = exporter.observer({{"client", "one"}});
  const auto two = exporter.observer({{"client", "two"}});
  std::ostringstream text;
  ::prometheus::TextSerializer().Serialize(text, exporter.Collect());
  std::map<std::string, int> types;
  std::istringstream lines{text.str()};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) ++types[line.substr(7, line.find(' ', 7) - 7)];
  }
  CHECK(types.size() == 35);
  for (const auto& [name, times] : types) {
    INFO(name);
    CHECK(times == 1);
  }
}

TEST_CASE("Loops may tell while somebody scrapes") {
  PrometheusExporter exporter;
  const auto observer = exporter.observer();
  constexpr int each = 2000;
  std::vector<std::thread> loops;
  for (int t = 0; t < 2; ++t) {
    loops.emplace_back([&] {
      FakeClient client{static_cast<std::uint64_t>(std::hash<std::thread::id>{}(std::this_thread::get_id())), Stats{}};
      client.start(*observer);
      for (int i = 0; i < each; ++i) observer->on_operation_end(ended(OperationKind::put, std::nullopt, 1ms));
      client.end(*observer);
    });
  }
  double before = 0;
  for (int i = 0; i < 50; ++i) {
    const double now = Scrape{exporter}.value("norikv_client_operations_total", {{"kind", "put"}, {"outcome", "ok"}});
    CHECK(now >= before);
    before = now;
  }
  for (std::thread& loop : loops) loop.join();
  CHECK(Scrape{exporter}.value("norikv_client_operations_total", {{"kind", "put"}, {"outcome", "ok"}}) == 2 * each);
}
