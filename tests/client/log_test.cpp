#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "client/guest.hpp"

// What `ClientOptions::log` is told, and at which level. docs/metrics.md lists the lines.
using namespace norikv;
using namespace norikv::test;

namespace {

using Lines = std::vector<std::pair<LogLevel, std::string>>;

ClientOptions logging(const Cluster& cluster, Lines& lines, LogLevel level) {
  ClientOptions options = cluster.client_options();
  options.log = [&lines](LogLevel of, std::string_view line) { lines.emplace_back(of, line); };
  options.log_level = level;
  return options;
}

bool has(const Lines& lines, LogLevel level, const std::string& begin) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const auto& line) { return line.first == level && line.second.starts_with(begin); });
}

}  // namespace

TEST_CASE("At level debug the log tells streams and leaders, one line each") {
  const Cluster cluster = start();
  const std::string node = cluster.addresses()[0];
  Lines lines;
  Guest guest{logging(cluster, lines, LogLevel::debug)};
  REQUIRE(ended(guest.put(key_of(3), "a value")) == "ok");
  REQUIRE(ended(guest.ready()) == "ok");
  REQUIRE(guest.loop().run_until(
      [&] { return has(lines, LogLevel::debug, "topology stream of " + node + ": connected"); }));
  CHECK(has(lines, LogLevel::debug, "topology stream of " + node + ": connecting"));
  CHECK(has(lines, LogLevel::debug, "shard 3: leader unknown -> " + node + " ("));
  for (const auto& [level, line] : lines) {
    CHECK(line.find(key_of(3)) == std::string::npos);
    CHECK(line.find("a value") == std::string::npos);
    CHECK(line.find('\n') == std::string::npos);
  }
}

TEST_CASE("At level info the log is silent as long as all is well, and tells a stream that broke") {
  Cluster cluster = start();
  const std::string node = cluster.addresses()[0];
  Lines lines;
  Guest guest{logging(cluster, lines, LogLevel::info)};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  REQUIRE(guest.loop().run_until([&] { return guest->stats().views > 0; }));
  CHECK(lines.empty());
  cluster.stop(0);
  REQUIRE(
      guest.loop().run_until([&] { return has(lines, LogLevel::info, "topology stream of " + node + ": lost ("); }));
  REQUIRE(guest.loop().run_until(
      [&] { return has(lines, LogLevel::info, "topology stream of " + node + ": backing_off ("); }));
}

TEST_CASE("At level error the log does not tell what is wrong with a stream") {
  Cluster cluster = start();
  Lines lines;
  Guest guest{logging(cluster, lines, LogLevel::error)};
  bool lost = false;
  const auto watching = guest->connections().subscribe(
      [&](const ConnectionEvent& event) { lost = lost || event.state == ConnectionState::lost; });
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  REQUIRE(guest.loop().run_until([&] { return guest->stats().views > 0; }));
  cluster.stop(0);
  REQUIRE(guest.loop().run_until([&] { return lost; }));
  CHECK(lines.empty());
}
