#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.hpp"

namespace norikv::bench {

using Clock = std::chrono::steady_clock;

enum class Op { get, put };

/// A closed loop: so many operations in flight, and each that ends starts the next one. With a rate an open one: they
/// arrive at that rate, whether the ones before have ended or not.
struct Workload {
  Op op = Op::get;
  std::uint32_t in_flight = 1;
  std::size_t value_bytes = 100;
  double rate = 0;                // per second; 0 = closed loop
  std::size_t sent_per_node = 0;  // requests on their way to a node at most, where a client has such a limit; 0 = all
  std::uint32_t shards = 64;
  std::vector<std::string> addresses;  // the nodes; shards are dealt out among them in turn
  std::vector<int> server_pids;
  std::chrono::duration<double> warm_up{0.3};
  std::chrono::duration<double> measured{1.0};
};

/// The node that leads the key's shard.
[[nodiscard]] std::size_t node_of(const Workload& workload, std::string_view key);

/// Keys in turn, the same for every contestant.
[[nodiscard]] const std::string& next_key(std::size_t& turn);

/// When operations of an open loop are due. Whoever asks once a millisecond starts those that are, and counts their
/// latency from when they were.
class Arrivals {
 public:
  explicit Arrivals(double rate) : interval_(1e9 / rate) {}
  [[nodiscard]] std::optional<Clock::time_point> next(Clock::time_point now) {
    const auto due = begin_ + std::chrono::nanoseconds{static_cast<std::int64_t>(count_ * interval_)};
    if (due > now) return std::nullopt;
    count_ += 1;
    return due;
  }

 private:
  Clock::time_point begin_ = Clock::now();
  double interval_;
  double count_ = 0;
};

/// What a contestant is measured with. A thread of its own lets time pass from the first operation's end on: warm up,
/// measure, count allocations, stop.
class Meter {
 public:
  explicit Meter(const Workload& workload) : workload_(workload) {}

  /// An operation ended well. [any thread] Whether its slot starts another.
  [[nodiscard]] bool on_end(Clock::time_point started, Clock::time_point now) {
    const Phase phase = phase_.load(std::memory_order_acquire);
    if (phase == Phase::connect) begin();
    if (phase == Phase::measure) own_histogram().add(now - started);
    if (phase == Phase::count) counted_.fetch_add(1, std::memory_order_relaxed);
    return phase != Phase::stop;
  }

  /// Lets time pass. Returns when contestants begin to stop.
  void run();
  /// The figures as one JSON object; when every operation has ended.
  void print() const;

 private:
  enum class Phase { connect, warm_up, measure, count, stop };

  void begin();
  Histogram& own_histogram();
  void count_allocations();

  const Workload& workload_;
  std::atomic<Phase> phase_{Phase::connect};
  std::atomic<std::uint64_t> counted_{0};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Histogram>> histograms_;
  double elapsed_ = 0, cpu_ = 0, server_cpu_ = 0, allocations_per_op_ = 0;
};

/// An operation failed: there is nothing to measure.
[[noreturn]] void give_up(std::string_view why);

}  // namespace norikv::bench
