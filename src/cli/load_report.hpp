#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/invocation.hpp"

// What `bench` measured, and how it is shown. Pure.
namespace norikv::cli {

/// Counts durations, in buckets that are at most 1/32 of their value wide.
class Latencies {
 public:
  /// How many took less than `below` and not less than the row before it says.
  struct Row {
    Duration below;
    std::uint64_t count;
  };

  void add(Duration latency);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] Duration max() const { return max_; }
  /// What a share of them did not exceed, at most 1/32 too high; 0 of none.
  [[nodiscard]] Duration quantile(double share) const;
  /// In steps of 1, 2, 5, 10 ..., from the first row that has any to the last.
  [[nodiscard]] std::vector<Row> rows() const;

 private:
  static constexpr unsigned bits = 5;  // of a value that tell its bucket, behind the leading one
  static std::size_t bucket_of(std::uint64_t nanoseconds);
  static std::uint64_t end_of(std::size_t bucket);

  std::array<std::uint64_t, (64U << bits)> buckets_{};
  std::array<std::uint64_t, 28> rows_{};
  std::uint64_t count_ = 0;
  Duration max_{0};
};

struct LoadResult {
  Latencies latencies{};                          ///< Of what succeeded.
  std::uint64_t missing = 0;                      ///< Of those: gets that found nothing.
  std::map<std::string, std::uint64_t> errors{};  ///< How many failed, by the name of their `ErrorCode`.
  double seconds = 0;
  double cpu_seconds = 0;

  [[nodiscard]] std::uint64_t failed() const;
};

/// Several lines with a histogram, for people.
[[nodiscard]] std::string to_text(const Bench& bench, const LoadResult& result);
/// One JSON object.
[[nodiscard]] std::string to_json(const Bench& bench, const LoadResult& result);
/// Such as "1.25 ms": three digits that count.
[[nodiscard]] std::string to_short_text(Duration duration);
/// Such as "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t number);

}  // namespace norikv::cli
