#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/connect.hpp"
#include "cli/load.hpp"
#include "cli/output.hpp"
#include "cli/stop.hpp"

namespace norikv::cli {
namespace {

using Clock = std::chrono::steady_clock;

// What is due within one pause starts together, and that is in its latency; without a rate a tick only repeats what
// failed.
constexpr auto pause_at_rate = std::chrono::microseconds{250};
constexpr auto pause = std::chrono::milliseconds{20};
constexpr auto progress_interval = std::chrono::milliseconds{500};
/// What a request takes beside its value: key and framing, generously.
constexpr std::size_t bytes_beside_value = 2048;

ClientOptions options_of(const Bench& bench) {
  ClientOptions options;
  options.connection.transport = bench.transport;
  options.writes.in_flight_per_shard = bench.writes_per_shard;
  // The limits shall not be what is measured.
  options.writes.queued_per_shard = std::max(options.writes.queued_per_shard, bench.in_flight);
  options.limits.operations = std::max<std::size_t>(options.limits.operations, bench.in_flight);
  options.limits.in_flight_per_node = std::max<std::size_t>(options.limits.in_flight_per_node, bench.in_flight);
  options.limits.bytes =
      std::max(options.limits.bytes, std::size_t{bench.in_flight} * (bench.value_bytes + bytes_beside_value));
  return options;
}

/// Calls `tick` of the load, and `show` now and then, until `over` or a stop signal.
template <class Over, class Show>
void keep_going(Load& load, Clock::duration between, const Stop& stop, Over over, Show show) {
  auto next_progress = Clock::now();
  while (!stop.requested() && !over()) {
    load.tick();
    if (Clock::now() >= next_progress) {
      show_progress(show());
      next_progress += progress_interval;
    }
    std::this_thread::sleep_for(between);
  }
  load.finish();
  show_progress("");
}

/// Stores every key once. Fails with what the first write that failed says.
Outcome<void> fill(Client& client, const Bench& bench, const Stop& stop) {
  Load load(client, bench, {Verb::put, std::nullopt, bench.keys});
  keep_going(
      load, std::chrono::milliseconds{2}, stop, [&] { return load.failed() > 0 || load.succeeded() == bench.keys; },
      [&] { return fmt::format("storing keys: {} of {}", grouped(load.succeeded()), grouped(bench.keys)); });
  if (load.first_error()) return tl::unexpected(client_failure(*load.first_error(), bench.target));
  return {};
}

std::string progress_of(const Load& load, Clock::duration passed, const Bench& bench, double rate) {
  const auto seconds = [](Duration duration) { return std::chrono::duration<double>(duration).count(); };
  return fmt::format("{:.1f} of {:.1f} s: {} per second, {} failed", seconds(passed), seconds(bench.time),
                     grouped(static_cast<std::uint64_t>(rate)), grouped(load.failed()));
}

}  // namespace

Outcome<void> run(const Bench& bench, Format format) {
  Stop stop;
  Outcome<Client> client = connect(bench.target, options_of(bench));
  if (!client) return tl::unexpected(std::move(client.error()));
  stop.listen();
  if (auto filled = fill(*client, bench, stop); !filled) return filled;
  if (stop.requested()) return {};

  Load load(*client, bench, {bench.verb, bench.rate, std::nullopt});
  const auto began = Clock::now();
  auto last_time = began;
  std::uint64_t last_count = 0;
  keep_going(
      load, bench.rate ? Clock::duration{pause_at_rate} : Clock::duration{pause}, stop,
      [&] { return Clock::now() - began >= bench.time; },
      [&] {
        const auto now = Clock::now();
        const std::uint64_t count = load.succeeded();
        const double passed = std::chrono::duration<double>(now - std::exchange(last_time, now)).count();
        const double since = static_cast<double>(count - std::exchange(last_count, count));
        return progress_of(load, now - began, bench, passed > 0 ? since / passed : 0);
      });
  if (load.succeeded() == 0 && load.first_error()) {
    return tl::unexpected(client_failure(*load.first_error(), bench.target));
  }
  return write_stdout(format == Format::json ? to_json(bench, load.result()) + '\n' : to_text(bench, load.result()));
}

}  // namespace norikv::cli
