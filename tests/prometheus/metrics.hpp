#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <norikv/prometheus.hpp>

#include "support/catch.hpp"

namespace norikv::test {

using Labels = std::map<std::string, std::string>;

inline Labels labels_of(const ::prometheus::ClientMetric& metric) {
  Labels labels;
  for (const auto& label : metric.label) CHECK(labels.emplace(label.name, label.value).second);
  return labels;
}

/// What one scrape gave.
class Scrape {
 public:
  explicit Scrape(const PrometheusExporter& exporter) : families_(exporter.Collect()) {}

  [[nodiscard]] const std::vector<::prometheus::MetricFamily>& families() const { return families_; }
  [[nodiscard]] const ::prometheus::MetricFamily* family(const std::string& name) const {
    const auto found =
        std::find_if(families_.begin(), families_.end(), [&](const auto& it) { return it.name == name; });
    return found == families_.end() ? nullptr : &*found;
  }
  /// The sample with exactly these labels; none if there is none, and a failed test if there are several.
  [[nodiscard]] std::optional<::prometheus::ClientMetric> sample(const std::string& name,
                                                                 const Labels& labels = {}) const {
    std::optional<::prometheus::ClientMetric> found;
    if (family(name) == nullptr) return found;
    for (const auto& metric : family(name)->metric) {
      if (labels_of(metric) != labels) continue;
      CHECK_FALSE(found);
      found = metric;
    }
    return found;
  }
  /// A counter's or a gauge's value; 0 if there is no such sample.
  [[nodiscard]] double value(const std::string& name, const Labels& labels = {}) const {
    const auto found = sample(name, labels);
    if (!found) return 0;
    return family(name)->type == ::prometheus::MetricType::Counter ? found->counter.value : found->gauge.value;
  }
  /// How many durations a histogram has; 0 if there is no such sample.
  [[nodiscard]] std::uint64_t count(const std::string& name, const Labels& labels = {}) const {
    const auto found = sample(name, labels);
    return found ? found->histogram.sample_count : 0;
  }

 private:
  std::vector<::prometheus::MetricFamily> families_;
};

}  // namespace norikv::test
