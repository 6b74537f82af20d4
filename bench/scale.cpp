// What an operation, an event or a view costs as the work around it grows; scale.py runs it, once for each point.
// Prints one JSON object.
//
// usage: scale session OPERATIONS-IN-FLIGHT SHARDS NODES
//        scale change SHARDS NODES CALLS-IN-FLIGHT
//        scale subscribers COUNT
//        scale views grpc|h2 SHARDS SECONDS PORT,...
//        scale memory grpc|h2 OPERATIONS SILENT-PORT,...
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/norikv.hpp>

#include "allocations.hpp"
#include "session_driver.hpp"

namespace {

using namespace norikv;
using namespace std::chrono_literals;

[[noreturn]] void give_up(std::string_view why) {
  std::fprintf(stderr, "scale: %.*s\n", static_cast<int>(why.size()), why.data());
  std::_Exit(1);
}

double seconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}
/// Of this thread: what others of the machine do does not count.
double thread_cpu() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }
double process_cpu() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

/// Nanoseconds of processor time that one call takes: the smallest of several runs, which others disturbed least.
double cost_of(std::size_t calls, const std::function<void()>& one) {
  double least = 1e9;
  for (int run = 0; run < 7; ++run) {
    const double before = thread_cpu();
    for (std::size_t i = 0; i < calls; ++i) one();
    least = std::min(least, (thread_cpu() - before) / static_cast<double>(calls));
  }
  return least * 1e9;
}

ClientOptions options_for(std::vector<std::string> nodes, std::uint32_t shards) {
  ClientOptions options;
  options.nodes = std::move(nodes);
  options.total_shards = shards;
  options.limits.operations = options.limits.in_flight_per_node = 100'000;
  return options;
}

std::string get_reply() {
  v1::GetResponse reply;
  reply.set_value(std::string(100, 'v'));
  reply.mutable_version()->set_index(1);
  return reply.SerializeAsString();
}

/// Gets through a session that knows every leader.
std::unique_ptr<bench::SessionDriver> driver_of(std::uint32_t shards, std::size_t nodes) {
  auto driver = std::make_unique<bench::SessionDriver>(options_for(bench::addresses(nodes), shards), wire::Method::get,
                                                       wire::encode_get("key-100000"), get_reply());
  // Each node tells its name, and the first one tells all.
  core::Session& session = driver->session();
  for (std::size_t node = nodes; node-- > 0;)
    session.on_view(core::WatchId{node + 1},
                    wire::decode_leaders(bench::view_bytes(node == 0 ? shards : 0, nodes, 1, 0, node)).value(),
                    bench::begin);
  TimePoint now = bench::begin;
  while (session.next_deadline() <= now + 1us) session.advance_to(now += 1us);  // slice by slice
  static_cast<void>(driver->deliver());
  return driver;
}

void session(std::size_t in_flight, std::uint32_t shards, std::size_t nodes) {
  const auto driver = driver_of(shards, nodes);
  const auto submit = [&] { driver->submit(GetCallback{[](auto) {}}); };
  for (std::size_t i = 0; i < in_flight; ++i) submit();
  const auto one = [&] {
    driver->answer_one();
    if (!driver->deliver()) give_up("an operation failed");
    submit();
  };
  for (std::size_t i = 0; i < in_flight + 1'000; ++i) one();
  const double cost = cost_of(20'000, one);
  bench::start_counting_allocations();
  for (int i = 0; i < 1'000; ++i) one();
  const auto allocations = static_cast<double>(bench::stop_counting_allocations()) / 1'000;
  std::printf("{\"cpu_ns\": %.1f, \"allocs\": %.2f}\n", cost, allocations);
}

/// A node tells of one shard, which has moved: a new snapshot, an event, and requests to look after.
void change(std::uint32_t shards, std::size_t nodes, std::size_t in_flight) {
  const auto driver = driver_of(shards, nodes);
  for (std::size_t i = 0; i < in_flight; ++i) driver->submit(GetCallback{[](auto) {}});
  wire::LeaderView view = wire::decode_leaders(bench::view_bytes(0, nodes, 1, 0)).value();
  view.leaders = {bench::node_id(0), bench::node_id(1)};
  view.shards.resize(1);
  TimePoint now = bench::begin + 10s;
  const auto one = [&] {
    ++view.epoch;
    view.shards.front() = {1, static_cast<std::uint32_t>(view.epoch % 2)};
    driver->session().on_view(core::WatchId{1}, view, now += 1us);
    if (driver->session().deliveries().empty()) give_up("no event");
    static_cast<void>(driver->deliver());
  };
  std::printf("{\"cpu_ns\": %.1f}\n", cost_of(2'000, one));
}

/// Runs a client on a loop of its own until `work` has closed it.
void with_client(ClientOptions options, const std::function<void(Client&, uv_loop_t&)>& work) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  uv_loop_configure(&loop, UV_METRICS_IDLE_TIME);
  {
    auto client = Client::create(&loop, std::move(options));
    if (!client) give_up(client.error().describe());
    work(*client, loop);
    client->close();
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  if (uv_loop_close(&loop) != 0) give_up("something is left on the loop");
}

/// Events by way of a client that fills up and has room again.
void subscribers(std::size_t count) {
  ClientOptions options = options_for({"127.0.0.1:1"}, 16);
  options.connection.watch_topology = false;
  options.limits.operations = 1;
  with_client(std::move(options), [&](Client& client, uv_loop_t& loop) {
    std::size_t delivered = 0;
    std::vector<Subscription> subscriptions;
    const double before = thread_cpu();
    for (std::size_t i = 0; i < count; ++i)
      subscriptions.push_back(client.load().subscribe([&](const LoadEvent&) { ++delivered; }));
    while (delivered < count) uv_run(&loop, UV_RUN_ONCE);  // the replays
    const double subscribed = thread_cpu();
    const std::size_t cycles = std::max<std::size_t>(20, 20'000 / count);
    delivered = 0;
    double events = 1e9;
    for (int run = 0; run < 5; ++run) {
      const double began = thread_cpu();
      const std::size_t already = delivered;
      for (std::size_t cycle = 0; cycle < cycles; ++cycle) {
        bool over = false;
        Operation first = client.get("a", [&](auto) { over = true; });
        client.get("b", [](auto) {});
        first.cancel();
        const std::size_t expected = already + 2 * count * (cycle + 1);
        while (!over || delivered < expected) uv_run(&loop, UV_RUN_NOWAIT);
      }
      events = std::min(events, (thread_cpu() - began) / static_cast<double>(2 * cycles));
    }
    const double ended = thread_cpu();
    subscriptions.clear();
    for (int i = 0; i < 8; ++i) uv_run(&loop, UV_RUN_NOWAIT);
    const double unsubscribed = thread_cpu();
    const auto each = static_cast<double>(count);
    std::printf("{\"event_us\": %.2f, \"subscriber_ns\": %.1f, \"subscribe_ns\": %.0f, \"unsubscribe_ns\": %.0f}\n",
                events * 1e6, events * 1e9 / each, (subscribed - before) * 1e9 / each,
                (unsubscribed - ended) * 1e9 / each);
  });
}

std::vector<std::string> nodes_of(std::string_view ports) {
  std::vector<std::string> nodes;
  while (!ports.empty()) {
    const std::size_t end = std::min(ports.find(','), ports.size());
    nodes.push_back("127.0.0.1:" + std::string{ports.substr(0, end)});
    ports.remove_prefix(std::min(end + 1, ports.size()));
  }
  return nodes;
}

TransportKind transport_of(std::string_view name) { return name == "h2" ? TransportKind::h2 : TransportKind::grpc; }

struct LongestTurn final : Observer {
  Duration longest{};
  void on_turn(const LoopTurn& turn) override { longest = std::max(longest, turn.took); }
};

/// Runs the loop for a while, iteration by iteration, and how long the longest one was at work.
double longest_iteration(uv_loop_t& loop, double duration) {
  double longest = 0;
  const double end = seconds_of(CLOCK_MONOTONIC) + duration;
  uv_timer_t tick;
  uv_timer_init(&loop, &tick);
  uv_timer_start(
      &tick, [](uv_timer_t*) {}, 5, 5);
  while (seconds_of(CLOCK_MONOTONIC) < end) {
    const double before = thread_cpu();  // waiting costs none
    uv_run(&loop, UV_RUN_ONCE);
    longest = std::max(longest, thread_cpu() - before);
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&tick), nullptr);
  uv_run(&loop, UV_RUN_NOWAIT);
  return longest;
}

void views(TransportKind transport, std::uint32_t shards, double duration, std::string_view ports) {
  const auto observer = std::make_shared<LongestTurn>();
  ClientOptions options = options_for(nodes_of(ports), shards);
  options.connection.transport = transport;
  options.observer = observer;
  with_client(std::move(options), [&](Client& client, uv_loop_t& loop) {
    // The first view, which tells everything, is measured apart.
    const double first = longest_iteration(loop, 0.9);
    const auto first_turn = std::exchange(observer->longest, {});
    const std::uint64_t before = client.stats().views;
    const double cpu = process_cpu(), own = thread_cpu();
    const double longest = longest_iteration(loop, duration);
    const auto received = static_cast<double>(client.stats().views - before);
    if (received == 0) give_up("no view came");
    const auto ms = [](Duration time) { return std::chrono::duration<double, std::milli>(time).count(); };
    std::printf(
        "{\"first_iteration_ms\": %.3f, \"first_turn_ms\": %.3f, \"longest_iteration_ms\": %.3f, \"longest_turn_ms\": "
        "%.3f, \"cpu_ms\": %.3f, \"loop_cpu_ms\": %.3f, \"views\": %.0f}\n",
        first * 1e3, ms(first_turn), longest * 1e3, ms(observer->longest), (process_cpu() - cpu) / received * 1e3,
        (thread_cpu() - own) / received * 1e3, received);
  });
}

double resident() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// Of a client whose nodes are connected, and of gets that nobody answers.
void memory(TransportKind transport, std::size_t operations, std::string_view ports) {
  const auto run = [](uv_loop_t& loop, double duration) { static_cast<void>(longest_iteration(loop, duration)); };
  const std::vector<std::string> nodes = nodes_of(ports);
  ClientOptions options = options_for({nodes.front()}, 1024);
  options.connection.transport = transport;
  options.timeout = 60s;
  // What the libraries keep for all clients is there before.
  with_client(options, [&](Client&, uv_loop_t& loop) { run(loop, 0.3); });
  const auto none = bench::bytes_held();
  const double resident_before = resident();
  with_client(options, [&](Client& client, uv_loop_t& loop) {
    run(loop, 0.5);
    const auto one = bench::bytes_held();
    if (auto set = client.set_nodes(nodes); !set) give_up(set.error().describe());
    run(loop, 1.5);
    const auto all = bench::bytes_held();
    std::size_t ended = 0;
    std::vector<Operation> pending;
    for (std::size_t i = 0; i < operations; ++i)
      pending.push_back(client.get("key-" + std::to_string(100'000 + i), [&](auto) { ++ended; }));
    run(loop, 0.7);
    if (ended != 0) give_up("a silent server has answered");
    const auto in_flight = bench::bytes_held();
    const double resident_then = resident();
    for (Operation& operation : pending) operation.cancel();
    pending.clear();
    while (ended < operations) uv_run(&loop, UV_RUN_NOWAIT);
    run(loop, 0.5);
    const auto each = static_cast<double>(operations);
    std::printf(
        "{\"client\": %lld, \"node\": %.0f, \"operation\": %.0f, \"left_per_operation\": %.0f, \"resident\": %.0f}\n",
        static_cast<long long>(one - none), static_cast<double>(all - one) / static_cast<double>(nodes.size() - 1),
        static_cast<double>(in_flight - all) / each, static_cast<double>(bench::bytes_held() - all) / each,
        resident_then - resident_before);
  });
}

std::size_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
  bench::start_summing_memory();
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "memory") bench::start_summing_memory();
  if (what == "session" && argc == 5) {
    session(number(argv[2]), static_cast<std::uint32_t>(number(argv[3])), number(argv[4]));
  } else if (what == "change" && argc == 5) {
    change(static_cast<std::uint32_t>(number(argv[2])), number(argv[3]), number(argv[4]));
  } else if (what == "subscribers" && argc == 3) {
    subscribers(number(argv[2]));
  } else if (what == "views" && argc == 6) {
    views(transport_of(argv[2]), static_cast<std::uint32_t>(number(argv[3])), std::strtod(argv[4], nullptr), argv[5]);
  } else if (what == "memory" && argc == 5) {
    memory(transport_of(argv[2]), number(argv[3]), argv[4]);
  } else {
    give_up("usage: the first lines of scale.cpp");
  }
}
