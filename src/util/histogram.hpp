#pragma once

#include <array>
#include <cstddef>

#include <norikv/stats.hpp>
#include <norikv/types.hpp>

#include "util/counter.hpp"

namespace norikv::util {

/// The bucket of `LatencyHistogram` that a duration falls into; the first and the last also take what is beyond them.
[[nodiscard]] std::size_t bucket_of(Duration duration) noexcept;

/// Records what a `LatencyHistogram` shows. One thread records, any thread takes a snapshot.
class Histogram {
 public:
  /// [writer's thread] A few nanoseconds; a negative duration counts as zero.
  void record(Duration duration) noexcept;

  /// [any thread] Its `count` is the sum of its buckets; `sum` and `max` may be of a slightly different moment.
  [[nodiscard]] LatencyHistogram snapshot() const noexcept;

 private:
  std::array<Counter, LatencyHistogram::bucket_count> buckets_;
  Counter sum_;
  Counter max_;
};

}  // namespace norikv::util
