#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <norikv/export.hpp>
#include <norikv/observer.hpp>

// Library norikv-prometheus: what clients do, as metrics for Prometheus. docs/metrics.md lists them.
namespace norikv {

namespace metrics {
struct Recorders;
}

/// The metrics of any number of clients.
///
///   auto exporter = std::make_shared<norikv::PrometheusExporter>();
///   auto client = norikv::Client::create({.nodes = ..., .observer = exporter->observer({{"client", "orders"}})});
///   exposer.RegisterCollectable(exporter);
///
/// One for all clients of a process: two that are scraped together would tell each metric twice. [any thread]
class NORIKV_EXPORT PrometheusExporter final : public ::prometheus::Collectable {
 public:
  using Labels = std::map<std::string, std::string>;

  PrometheusExporter();
  PrometheusExporter(const PrometheusExporter&) = delete;
  PrometheusExporter& operator=(const PrometheusExporter&) = delete;
  ~PrometheusExporter() override;

  /// What to set as `ClientOptions::observer`. It may serve several clients, whose numbers are then added up, and it
  /// may outlive the exporter. The same labels give the same observer. A label whose name Prometheus does not allow, or
  /// which a metric has itself (`kind`, `node`, ...), is left out.
  [[nodiscard]] std::shared_ptr<Observer> observer(Labels labels = {});

  /// All metrics, those without a sample yet included. Counters never go back, also when a client ends; those of a node
  /// that no client has any more go over to the node "other", and begin anew should it return.
  [[nodiscard]] std::vector<::prometheus::MetricFamily> Collect() const override;

 private:
  const std::unique_ptr<metrics::Recorders> recorders_;
};

}  // namespace norikv
