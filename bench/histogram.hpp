#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

namespace norikv::bench {

/// Counts durations in buckets that are at most 1/128 of their value wide. A value: each thread fills its own, and they
/// are added up at the end.
class Histogram {
 public:
  void add(std::chrono::nanoseconds duration) {
    const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
    ++buckets_[std::min(bucket_of(nanoseconds), buckets_.size() - 1)];
    ++count_;
  }

  void add(const Histogram& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }

  /// The duration below which this share of all durations is, in microseconds; 0 of none.
  [[nodiscard]] double quantile(double share) const {
    const double wanted = share * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (buckets_[i] != 0 && static_cast<double>(seen) >= wanted) return middle_of(i) / 1000.0;
    }
    return 0;
  }

 private:
  static constexpr unsigned bits = 7;  // of a value that tell its bucket, behind the leading one

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < (1U << bits)) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - bits;
    return (std::size_t{shift} << bits) + (value >> shift);
  }

  static double middle_of(std::size_t bucket) {
    if (bucket < (2U << bits)) return static_cast<double>(bucket);
    const std::size_t shift = (bucket >> bits) - 1;
    const std::uint64_t low = (bucket - (shift << bits)) << shift;
    return static_cast<double>(low) + static_cast<double>(std::uint64_t{1} << shift) / 2;
  }

  std::array<std::uint64_t, (40U << bits)> buckets_{};
  std::uint64_t count_ = 0;
};

}  // namespace norikv::bench
