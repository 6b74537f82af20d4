// One contestant in one workload, in a process of its own; bench.py runs it. Prints one JSON object.
//
// usage: contestant NAME get|put IN-FLIGHT VALUE-BYTES SHARDS PORT,... SERVER-PID,... WARM-UP-SECONDS SECONDS RATE
//                   SENT-PER-NODE
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "contestants.hpp"

namespace {

using namespace norikv;

std::vector<int> numbers_of(std::string_view text) {
  std::vector<int> numbers{0};
  for (const char c : text) {
    if (c == ',')
      numbers.push_back(0);
    else
      numbers.back() = 10 * numbers.back() + (c - '0');
  }
  return numbers;
}

bench::Workload workload_of(char** argument) {
  bench::Workload workload;
  workload.op = std::string_view{argument[0]} == "put" ? bench::Op::put : bench::Op::get;
  workload.in_flight = static_cast<std::uint32_t>(std::strtoul(argument[1], nullptr, 10));
  workload.value_bytes = std::strtoull(argument[2], nullptr, 10);
  workload.shards = static_cast<std::uint32_t>(std::strtoul(argument[3], nullptr, 10));
  for (const int port : numbers_of(argument[4])) workload.addresses.push_back("127.0.0.1:" + std::to_string(port));
  workload.server_pids = numbers_of(argument[5]);
  workload.warm_up = std::chrono::duration<double>{std::strtod(argument[6], nullptr)};
  workload.measured = std::chrono::duration<double>{std::strtod(argument[7], nullptr)};
  workload.rate = std::strtod(argument[8], nullptr);
  workload.sent_per_node = std::strtoull(argument[9], nullptr, 10);
  return workload;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 12) {
    std::fputs(
        "usage: contestant NAME get|put IN-FLIGHT VALUE-BYTES SHARDS PORT,... SERVER-PID,... WARM-UP SECONDS RATE "
        "SENT-PER-NODE\n",
        stderr);
    return 2;
  }
  const std::string_view name = argv[1];
  const bench::Workload workload = workload_of(argv + 2);
  bench::Meter meter{workload};
  std::thread time{[&] { meter.run(); }};
  if (name == "norikv-grpc") {
    bench::run_norikv(workload, meter, TransportKind::grpc);
  } else if (name == "norikv-h2") {
    bench::run_norikv(workload, meter, TransportKind::h2);
  } else if (name == "raw-callback-stub") {
    bench::run_callback_stub(workload, meter);
  } else if (name == "raw-sync-stub") {
    bench::run_sync_stub(workload, meter);
  } else {
    bench::give_up("there is no such contestant");
  }
  time.join();
  meter.print();
}
