#include <norikv/prometheus.hpp>

#include <mutex>
#include <utility>

#include "prometheus/families.hpp"
#include "prometheus/recorder.hpp"

namespace norikv {

struct PrometheusExporter::State {
  std::mutex mutex;
  std::map<Labels, std::shared_ptr<metrics::Recorder>> recorders;
};

PrometheusExporter::PrometheusExporter() : state_(std::make_unique<State>()) {}
PrometheusExporter::~PrometheusExporter() = default;

std::shared_ptr<Observer> PrometheusExporter::observer(Labels labels) {
  labels = metrics::allowed(std::move(labels));
  const std::lock_guard lock{state_->mutex};
  std::shared_ptr<metrics::Recorder>& recorder = state_->recorders[labels];
  if (recorder == nullptr) recorder = std::make_shared<metrics::Recorder>(std::move(labels));
  return recorder;
}

std::vector<::prometheus::MetricFamily> PrometheusExporter::Collect() const {
  metrics::Families families;
  const std::lock_guard lock{state_->mutex};
  for (const auto& [labels, recorder] : state_->recorders) recorder->collect(families);
  return families.take();
}

}  // namespace norikv
