#include "meter.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

#include <norikv/routing.hpp>

#include "allocations.hpp"

namespace norikv::bench {

namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double own_cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double cpu_of(const std::vector<int>& pids) {
  double sum = 0;
  for (const int pid : pids) {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
    sum += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  }
  return sum;
}

}  // namespace

std::size_t node_of(const Workload& workload, std::string_view key) {
  return shard_of(key, workload.shards) % workload.addresses.size();
}

const std::string& next_key(std::size_t& turn) {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> made;
    for (int i = 0; i < 1024; ++i) made.push_back("key-" + std::to_string(100000 + i));
    return made;
  }();
  return keys[turn++ % keys.size()];
}

void give_up(std::string_view why) {
  std::fprintf(stderr, "bench: an operation failed: %.*s\n", static_cast<int>(why.size()), why.data());
  std::_Exit(1);
}

Histogram& Meter::own_histogram() {
  thread_local Histogram* mine = nullptr;  // there is one meter in a process
  if (mine == nullptr) {
    const std::lock_guard lock(mutex_);
    histograms_.push_back(std::make_unique<Histogram>());
    mine = histograms_.back().get();
  }
  return *mine;
}

void Meter::begin() {
  Phase connecting = Phase::connect;
  if (phase_.compare_exchange_strong(connecting, Phase::warm_up)) phase_.notify_all();
}

void Meter::run() {
  phase_.wait(Phase::connect);
  std::this_thread::sleep_for(workload_.warm_up);
  const double cpu = own_cpu(), server_cpu = cpu_of(workload_.server_pids);
  const auto started = Clock::now();
  phase_ = Phase::measure;
  std::this_thread::sleep_for(workload_.measured);
  phase_ = Phase::count;
  elapsed_ = std::chrono::duration<double>(Clock::now() - started).count();
  cpu_ = own_cpu() - cpu;
  server_cpu_ = cpu_of(workload_.server_pids) - server_cpu;
  count_allocations();
  phase_ = Phase::stop;
}

void Meter::count_allocations() {
  const std::uint64_t enough = std::max<std::uint64_t>(2000, 4 * std::uint64_t{workload_.in_flight});
  const auto end = Clock::now() + std::chrono::milliseconds{500};
  const std::uint64_t before = counted_;
  start_counting_allocations();
  while (counted_ - before < enough && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  const std::uint64_t operations = counted_ - before;
  const auto allocations = static_cast<double>(stop_counting_allocations());
  allocations_per_op_ = operations == 0 ? 0 : allocations / static_cast<double>(operations);
}

void Meter::print() const {
  Histogram all;
  for (const auto& one : histograms_) all.add(*one);
  if (all.count() == 0) give_up("none ended in the time that was measured");
  const auto operations = static_cast<double>(all.count());
  std::printf(
      "{\"ops_per_s\": %.1f, \"cpu_us_per_op\": %.4f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, "
      "\"allocs_per_op\": %.2f, \"server_cpu_us_per_op\": %.4f, \"server_core\": %.4f}\n",
      operations / elapsed_, cpu_ / operations * 1e6, all.quantile(0.5), all.quantile(0.99), all.quantile(0.999),
      allocations_per_op_, server_cpu_ / operations * 1e6, server_cpu_ / elapsed_);
}

}  // namespace norikv::bench
