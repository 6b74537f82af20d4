#include <algorithm>
#include <sstream>

#include "client/guest.hpp"
#include "client/process.hpp"

// gRPC up to 1.70 reads an answer that comes after a second of silence up to 100 ms late; the heartbeat prevents it. It
// is of the whole process, as gRPC's threads are, so each client has a process of its own, and so has the server.
using namespace norikv;
using namespace norikv::test;

namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int clients_per_group = 14;  // three silences each: 42 gets

Process client_process(const std::string& node, Duration heartbeat) {
  return Process{"A client with silences for another process",
                 {"NODE=" + node, "HEARTBEAT_NS=" + std::to_string(heartbeat.count())}};
}

/// How long the gets after the silences took, for all clients of a group.
std::vector<double> read_gets(std::vector<Process>& clients) {
  std::vector<double> gets;
  for (Process& client : clients) {
    const auto line = client.read_line(30s);
    REQUIRE(line.has_value());
    std::istringstream numbers{*line};
    for (double get = 0; numbers >> get;) gets.push_back(get);
  }
  std::sort(gets.begin(), gets.end());
  return gets;
}

std::size_t stalls(const std::vector<double>& gets) {
  const double limit = gets[gets.size() / 2] + 20;
  return static_cast<std::size_t>(std::count_if(gets.begin(), gets.end(), [&](double get) { return get > limit; }));
}

}  // namespace

TEST_CASE("A client with silences for another process", "[.process]") {
  ClientOptions options{.nodes = {setting("NODE")}, .total_shards = 4};
  options.connection.heartbeat = Duration{std::stoll(setting("HEARTBEAT_NS"))};
  options.connection.watch_topology = false;  // a view once a second would be no silence
  Guest guest{options};
  for (int i = 0; i < 5; ++i) REQUIRE(ended(guest.get("key")) == "ok");
  tell_parent("ready");
  while (line_of_parent()) {
    std::ostringstream line;
    for (const auto silence : {1000ms, 1200ms, 2000ms}) {
      guest.loop().run_for(silence);
      const auto begin = std::chrono::steady_clock::now();
      REQUIRE(ended(guest.get("key")) == "ok");
      line << Milliseconds(std::chrono::steady_clock::now() - begin).count() << ' ';
    }
    tell_parent(line.str());
  }
}

TEST_CASE("A get after a silence is as fast as any, thanks to the heartbeat; without it there are stalls", "[slow]") {
  // Real time: silences of 1, 1.2 and 2 s are what is tested; they pass in all processes at once.
  Process server = server_process();
  const auto node = server.read_line(20s);
  REQUIRE(node.has_value());
  std::vector<Process> with, without;
  for (int i = 0; i < clients_per_group; ++i) {
    with.push_back(client_process(*node, 500ms));
    without.push_back(client_process(*node, 0ms));
  }
  for (auto* group : {&with, &without}) {
    for (Process& client : *group) REQUIRE(client.read_line(60s) == "ready");
  }
  const bool needs_it = chosen_transport() == TransportKind::grpc;  // h2 has no threads that could doze off
  std::size_t slow_with = 0;
  std::size_t slow_without = 0;
  // A machine that is busy with other things makes a get late too, but not the same test three times over.
  for (int round = 0; round < 3; ++round) {
    for (auto* group : {&with, &without}) {
      for (const Process& client : *group) client.write_line("go");
    }
    const auto gets = read_gets(with);
    REQUIRE(gets.size() == 3 * clients_per_group);
    slow_with = stalls(gets);
    slow_without = std::max(slow_without, stalls(read_gets(without)));
    UNSCOPED_INFO("with heartbeat " << slow_with << " late, without " << slow_without << "; slowest " << gets.back()
                                    << " ms, median " << gets[gets.size() / 2] << " ms");
    if (slow_with == 0 && (slow_without > 0 || !needs_it)) break;
  }
  CHECK(slow_with == 0);
  if (needs_it) CHECK(slow_without > 0);
}
