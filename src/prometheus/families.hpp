#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/metric_family.h>

#include "prometheus/buckets.hpp"

namespace norikv::metrics {

using Labels = std::map<std::string, std::string>;

/// One metric: its name says its unit. The list is docs/metrics.md.
struct Definition {
  const char* name;
  ::prometheus::MetricType type;
  const char* help;
};

/// The families of one scrape. Each that was ever named is there, in the order of its first mention, samples or not.
class Families {
 public:
  using Label = ::prometheus::ClientMetric::Label;

  /// Labels that every sample has from now on.
  void label(const Labels& labels);
  void declare(const Definition& definition) { static_cast<void>(family(definition)); }
  void number(const Definition& definition, std::vector<Label> labels, double value);
  void durations(const Definition& definition, std::vector<Label> labels, const Buckets& buckets);

  [[nodiscard]] std::vector<::prometheus::MetricFamily> take() { return std::move(families_); }

 private:
  [[nodiscard]] ::prometheus::MetricFamily& family(const Definition& definition);
  [[nodiscard]] ::prometheus::ClientMetric labelled(std::vector<Label> labels) const;

  std::vector<Label> common_;
  std::vector<::prometheus::MetricFamily> families_;
  std::map<std::string_view, std::size_t> places_;  // by name
};

/// What Prometheus allows of a client's labels, less those that metrics have themselves.
[[nodiscard]] Labels allowed(Labels labels);

}  // namespace norikv::metrics
