#include "util/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace norikv {
namespace {

/// A quarter of the smallest power of two: bucket 4 * k + j holds [(4 + j) * 2^k, (5 + j) * 2^k) of these.
constexpr std::int64_t quarter = 250;
constexpr std::size_t last_bucket = LatencyHistogram::bucket_count - 1;

}  // namespace

Duration LatencyHistogram::upper_bound(std::size_t bucket) noexcept {
  bucket = std::min(bucket, last_bucket);
  return Duration{static_cast<std::int64_t>(5 + bucket % 4) * quarter << bucket / 4};
}

Duration LatencyHistogram::quantile(double q) const noexcept {
  if (count == 0) return Duration{0};
  const double wanted = q > 0 ? std::min(q, 1.0) * static_cast<double>(count) : 0;  // not a number: as 0
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < last_bucket; ++bucket) {
    seen += buckets[bucket];
    if (seen > 0 && static_cast<double>(seen) >= wanted) return std::min(upper_bound(bucket), max);
  }
  return max;
}

namespace util {

std::size_t bucket_of(Duration duration) noexcept {
  const std::int64_t quarters = duration.count() / quarter;
  if (quarters < 4) return 0;
  const auto value = static_cast<std::uint64_t>(quarters);
  const auto power = static_cast<std::size_t>(std::bit_width(value)) - 3;
  return std::min(4 * power + (value >> power & 3), last_bucket);
}

void Histogram::record(Duration duration) noexcept {
  const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
  buckets_[bucket_of(duration)].add();
  sum_.add(nanoseconds);
  if (nanoseconds > max_.value()) max_.set(nanoseconds);
}

LatencyHistogram Histogram::snapshot() const noexcept {
  LatencyHistogram snapshot;
  for (std::size_t bucket = 0; bucket < snapshot.buckets.size(); ++bucket) {
    snapshot.buckets[bucket] = buckets_[bucket].value();
    snapshot.count += snapshot.buckets[bucket];
  }
  snapshot.sum = Duration{static_cast<std::int64_t>(sum_.value())};
  snapshot.max = Duration{static_cast<std::int64_t>(max_.value())};
  return snapshot;
}

}  // namespace util
}  // namespace norikv
