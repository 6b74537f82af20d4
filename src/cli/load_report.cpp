#include "cli/load_report.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/json.hpp"

namespace norikv::cli {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;

constexpr std::size_t widest_bar = 40;

/// 1, 2, 5, 10 ... microseconds; the last row takes what is beyond.
Duration end_of_row(std::size_t row) {
  constexpr std::array<std::int64_t, 3> steps{1, 2, 5};
  std::int64_t microseconds = steps[row % 3];
  for (std::size_t power = 0; power < row / 3; ++power) microseconds *= 10;
  return duration_cast<Duration>(std::chrono::microseconds{microseconds});
}

double microseconds(Duration duration) { return std::chrono::duration<double, std::micro>(duration).count(); }

double per(double amount, double of) { return of > 0 ? amount / of : 0; }

constexpr std::array<std::pair<const char*, double>, 4> quantiles{
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}};

std::string histogram(const Latencies& latencies) {
  const std::vector<Latencies::Row> rows = latencies.rows();
  std::uint64_t most = 1;
  for (const Latencies::Row& row : rows) most = std::max(most, row.count);
  std::string text;
  for (const Latencies::Row& row : rows) {
    // What is there at all can be seen.
    const auto width = static_cast<std::size_t>((row.count * widest_bar + most - 1) / most);
    text += fmt::format("  < {:>7}  {:<{}}  {:>6.2f} %\n", to_short_text(row.below), std::string(width, '#'),
                        widest_bar, 100 * per(static_cast<double>(row.count), static_cast<double>(latencies.count())));
  }
  return text;
}

}  // namespace

std::size_t Latencies::bucket_of(std::uint64_t nanoseconds) {
  if (nanoseconds < (1U << bits)) return nanoseconds;
  const auto shift = static_cast<unsigned>(std::bit_width(nanoseconds)) - 1 - bits;
  return (std::size_t{shift} << bits) + (nanoseconds >> shift);
}

std::uint64_t Latencies::end_of(std::size_t bucket) {
  if (bucket < (2U << bits)) return bucket + 1;
  const std::size_t shift = (bucket >> bits) - 1;
  return (bucket - (shift << bits) + 1) << shift;
}

void Latencies::add(Duration latency) {
  latency = std::max(latency, Duration{0});
  max_ = std::max(max_, latency);
  ++count_;
  ++buckets_[bucket_of(static_cast<std::uint64_t>(nanoseconds{latency}.count()))];
  std::size_t row = 0;
  while (row + 1 < rows_.size() && latency >= end_of_row(row)) ++row;
  ++rows_[row];
}

Duration Latencies::quantile(double share) const {
  const double wanted = share * static_cast<double>(count_);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (buckets_[bucket] == 0 || static_cast<double>(seen) < wanted) continue;
    // Unsigned: the end of the last bucket is no Duration any more.
    const std::uint64_t highest = std::min(end_of(bucket), static_cast<std::uint64_t>(nanoseconds{max_}.count()));
    return nanoseconds{static_cast<std::int64_t>(highest)};
  }
  return max_;
}

std::vector<Latencies::Row> Latencies::rows() const {
  std::vector<Row> rows;
  std::uint64_t seen = 0;
  for (std::size_t row = 0; row < rows_.size() && seen < count_; ++row) {
    seen += rows_[row];
    if (seen > 0) rows.push_back({end_of_row(row), rows_[row]});
  }
  return rows;
}

std::uint64_t LoadResult::failed() const {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : errors) sum += count;
  return sum;
}

std::string to_short_text(Duration duration) {
  constexpr std::array<std::pair<double, const char*>, 3> units{{{1e6, "s"}, {1e3, "ms"}, {1, "us"}}};
  const double value = microseconds(duration);
  for (const auto& [length, name] : units) {
    if (value < length && length > 1) continue;
    const double shown = value / length;
    const int decimals = shown < 9.995 ? 2 : shown < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f} {}", shown, decimals, name);
  }
  return {};
}

std::string grouped(std::uint64_t number) {
  std::string text = fmt::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string to_text(const Bench& bench, const LoadResult& result) {
  const Latencies& latencies = result.latencies;
  const auto ended = static_cast<double>(latencies.count());
  std::string text = fmt::format(
      "{} of {} B over {}, {} in flight{}, {:.1f} s\n", to_string(bench.verb), grouped(bench.value_bytes),
      to_string(bench.transport), grouped(bench.in_flight),
      bench.rate ? fmt::format(" at most, {} due per second", grouped(*bench.rate)) : std::string{}, result.seconds);
  text += fmt::format("succeeded  {}: {} per second, {:.1f} us of this process's CPU each\n",
                      grouped(latencies.count()), grouped(static_cast<std::uint64_t>(per(ended, result.seconds))),
                      per(result.cpu_seconds * 1e6, ended));
  if (result.missing > 0) text += fmt::format("missing    {} of them found no value\n", grouped(result.missing));
  if (result.failed() > 0) {
    std::vector<std::string> errors;
    for (const auto& [name, count] : result.errors) errors.push_back(fmt::format("{} {}", name, grouped(count)));
    text += fmt::format("failed     {}: {}\n", grouped(result.failed()), fmt::join(errors, ", "));
  }
  text += "latency    ";
  for (const auto& [name, share] : quantiles) {
    text += fmt::format("{} {}, ", name, to_short_text(latencies.quantile(share)));
  }
  return text + fmt::format("max {}\n\n{}", to_short_text(latencies.max()), histogram(latencies));
}

std::string to_json(const Bench& bench, const LoadResult& result) {
  const Latencies& latencies = result.latencies;
  const auto ended = static_cast<double>(latencies.count());
  const auto decimal = [](double number) { return fmt::format("{:.2f}", number); };
  JsonObject errors;
  for (const auto& [name, count] : result.errors) errors.number(name, count);
  JsonObject object;
  object.text("op", to_string(bench.verb))
      .number("in_flight", bench.in_flight)
      .raw("rate", bench.rate ? fmt::to_string(*bench.rate) : "null")
      .number("value_bytes", bench.value_bytes)
      .number("keys", bench.keys)
      .text("transport", to_string(bench.transport))
      .raw("seconds", decimal(result.seconds))
      .number("operations", latencies.count())
      .raw("ops_per_s", decimal(per(ended, result.seconds)))
      .raw("cpu_us_per_op", decimal(per(result.cpu_seconds * 1e6, ended)))
      .number("missing", result.missing)
      .number("failed", result.failed())
      .raw("errors", errors.str());
  for (const auto& [name, share] : quantiles) {
    std::string field = name;
    std::erase(field, '.');
    object.raw(field + "_us", decimal(microseconds(latencies.quantile(share))));
  }
  return object.raw("max_us", decimal(microseconds(latencies.max()))).str();
}

}  // namespace norikv::cli
