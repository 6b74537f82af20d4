#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include <prometheus/client_metric.h>

#include <norikv/types.hpp>

namespace norikv::metrics {

/// Durations by upper bounds in seconds, the same for every histogram: fine where a local cluster answers, coarse up to
/// the default timeout and beyond.
class Buckets {
 public:
  static constexpr std::array bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                     0.05,   0.1,     0.25,   0.5,   1.0,    2.5,   5.0,  10.0};

  void add(Duration duration) {
    const double seconds = std::chrono::duration<double>(std::max(duration, Duration{0})).count();
    const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin();
    ++counts_[static_cast<std::size_t>(bucket)];
    sum_ += seconds;
  }

  void add(const Buckets& more) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += more.counts_[i];
    sum_ += more.sum_;
  }

  [[nodiscard]] ::prometheus::ClientMetric::Histogram read() const {
    ::prometheus::ClientMetric::Histogram histogram;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      histogram.sample_count += counts_[i];
      histogram.bucket.push_back({histogram.sample_count, bounds[i]});
    }
    histogram.sample_count += counts_.back();
    histogram.sample_sum = sum_;
    return histogram;
  }

 private:
  std::array<std::uint64_t, bounds.size() + 1> counts_{};
  double sum_ = 0;
};

}  // namespace norikv::metrics
