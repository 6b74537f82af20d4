#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "simulation/world.hpp"

// The command behind `./dev simulate`.
namespace {

using namespace norikv::simulation;

struct Arguments {
  std::uint64_t seeds = 2000;
  std::uint64_t first = 1;
  std::uint64_t seed = 0;  // this one alone
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  bool trace = false;
  bool ok = true;
};

Arguments parse(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--trace") {
      arguments.trace = true;
      continue;
    }
    std::uint64_t number = 0;
    if (++i == count || std::from_chars(words[i], words[i] + std::strlen(words[i]), number).ec != std::errc{}) {
      arguments.ok = false;
      break;
    }
    if (word == "--seeds")
      arguments.seeds = number;
    else if (word == "--first")
      arguments.first = number;
    else if (word == "--seed")
      arguments.seed = number;
    else if (word == "--jobs")
      arguments.jobs = static_cast<unsigned>(number);
    else
      arguments.ok = false;
  }
  return arguments;
}

int run_one(std::uint64_t seed, bool trace) {
  const Report report = run_seed(seed, trace ? Tracing::on : Tracing::off);
  std::fputs(report.trace.c_str(), stdout);
  std::printf("seed %llu: %s\n%zu operations, %zu succeeded, %zu requests, %llu steps\n",
              static_cast<unsigned long long>(seed), report.scenario.c_str(), report.operations, report.succeeded,
              report.requests, static_cast<unsigned long long>(report.steps));
  if (report.violation) std::printf("%s: %s\n", report.violation->check.c_str(), report.violation->detail.c_str());
  std::printf("%d passed, %d failed\n", report.violation ? 0 : 1, report.violation ? 1 : 0);
  return report.violation ? 1 : 0;
}

class Runner {
 public:
  explicit Runner(const Arguments& arguments) : arguments_(arguments), next_(arguments.first) {}

  int run() {
    std::vector<std::thread> workers;
    for (unsigned job = 0; job < arguments_.jobs; ++job) workers.emplace_back([this] { work(); });
    for (std::thread& worker : workers) worker.join();
    std::printf("%llu operations, %llu succeeded, %llu requests\n", static_cast<unsigned long long>(operations_),
                static_cast<unsigned long long>(succeeded_), static_cast<unsigned long long>(requests_));
    std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(arguments_.seeds - failed_),
                static_cast<unsigned long long>(failed_));
    return failed_ > 0 ? 1 : 0;
  }

 private:
  void work() {
    for (;;) {
      const std::uint64_t seed = next_.fetch_add(1);
      if (seed >= arguments_.first + arguments_.seeds) return;
      record(seed, run_seed(seed));
    }
  }

  void record(std::uint64_t seed, const Report& report) {
    const std::lock_guard lock{mutex_};
    operations_ += report.operations;
    succeeded_ += report.succeeded;
    requests_ += report.requests;
    if (report.violation && ++failed_ <= 20) {
      std::printf("seed %llu FAILED (%s)\n  %s: %s\n  replay: ./dev simulate --seed %llu --trace\n",
                  static_cast<unsigned long long>(seed), report.scenario.c_str(), report.violation->check.c_str(),
                  report.violation->detail.c_str(), static_cast<unsigned long long>(seed));
    }
    const std::uint64_t step = std::max<std::uint64_t>(1, arguments_.seeds / 10);
    if (++done_ % step == 0)
      std::printf("%llu of %llu seeds\n", static_cast<unsigned long long>(done_),
                  static_cast<unsigned long long>(arguments_.seeds));
    std::fflush(stdout);
  }

  const Arguments arguments_;
  std::atomic<std::uint64_t> next_;
  std::mutex mutex_;
  std::uint64_t done_ = 0, failed_ = 0, operations_ = 0, succeeded_ = 0, requests_ = 0;
};

}  // namespace

int main(int count, char** words) {
  const Arguments arguments = parse(count, words);
  if (!arguments.ok) {
    std::fputs("usage: simulate [--seeds N] [--first SEED] [--jobs N] | --seed SEED [--trace]\n", stderr);
    return 2;
  }
  if (arguments.seed != 0) return run_one(arguments.seed, arguments.trace);
  return Runner{arguments}.run();
}
