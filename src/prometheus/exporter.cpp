#include <norikv/prometheus.hpp>

#include <mutex>
#include <utility>

#include "prometheus/families.hpp"
#include "prometheus/recorder.hpp"

namespace norikv {

struct metrics::Recorders {
  std::mutex mutex;
  std::map<PrometheusExporter::Labels, std::shared_ptr<Recorder>> all;
};

PrometheusExporter::PrometheusExporter() : recorders_(std::make_unique<metrics::Recorders>()) {}
PrometheusExporter::~PrometheusExporter() = default;

std::shared_ptr<Observer> PrometheusExporter::observer(Labels labels) {
  labels = metrics::allowed(std::move(labels));
  const std::lock_guard lock{recorders_->mutex};
  std::shared_ptr<metrics::Recorder>& recorder = recorders_->all[labels];
  if (recorder == nullptr) recorder = std::make_shared<metrics::Recorder>(std::move(labels));
  return recorder;
}

std::vector<::prometheus::MetricFamily> PrometheusExporter::Collect() const {
  metrics::Families families;
  const std::lock_guard lock{recorders_->mutex};
  for (const auto& [labels, recorder] : recorders_->all) recorder->collect(families);
  return families.take();
}

}  // namespace norikv
