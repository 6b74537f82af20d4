#include "prometheus/families.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace norikv::metrics {
namespace {

using ::prometheus::ClientMetric;
using ::prometheus::MetricFamily;
using ::prometheus::MetricType;

constexpr std::array<std::string_view, 10> own_labels{"cause", "error",   "health", "kind",   "le",
                                                      "node",  "outcome", "reason", "result", "version"};

bool is_label(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto next = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  // Names that begin with two underscores are Prometheus's own.
  return !name.empty() && letter(name.front()) && !name.starts_with("__") &&
         std::all_of(name.begin(), name.end(), next);
}

}  // namespace

void Families::label(const Labels& labels) {
  common_.clear();
  for (const auto& [name, value] : labels) common_.push_back({name, value});
}

MetricFamily& Families::family(const Definition& definition) {
  const auto [place, fresh] = places_.try_emplace(definition.name, families_.size());
  if (fresh) families_.push_back({definition.name, definition.help, definition.type, {}});
  return families_[place->second];
}

ClientMetric Families::labelled(std::vector<Label> labels) const {
  ClientMetric metric;
  metric.label = common_;
  std::move(labels.begin(), labels.end(), std::back_inserter(metric.label));
  return metric;
}

void Families::number(const Definition& definition, std::vector<Label> labels, double value) {
  ClientMetric metric = labelled(std::move(labels));
  if (definition.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family(definition).metric.push_back(std::move(metric));
}

void Families::durations(const Definition& definition, std::vector<Label> labels, const Buckets& buckets) {
  ClientMetric metric = labelled(std::move(labels));
  metric.histogram = buckets.read();
  family(definition).metric.push_back(std::move(metric));
}

Labels allowed(Labels labels) {
  std::erase_if(labels, [](const auto& label) {
    return !is_label(label.first) || std::find(own_labels.begin(), own_labels.end(), label.first) != own_labels.end();
  });
  return labels;
}

}  // namespace norikv::metrics
