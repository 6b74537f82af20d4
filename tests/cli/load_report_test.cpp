#include "cli/load_report.hpp"

#include <chrono>
#include <limits>
#include <string>

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::cli;
using namespace std::chrono_literals;

TEST_CASE("a quantile is not below the latency it stands for, and at most a thirtysecond above") {
  const Duration latency = GENERATE(1ns, 31ns, 32ns, 1'000ns, 4'097ns, 123'457ns, 1'000'000'007ns, 3'600s);
  CAPTURE(latency.count());
  Latencies latencies;
  latencies.add(latency);
  latencies.add(Duration{10 * 3'600s});
  CHECK(latencies.quantile(0.5) > latency);
  CHECK(latencies.quantile(0.5) <= latency + latency / 32 + 1ns);
}

TEST_CASE("a quantile is never above the longest latency") {
  Latencies latencies;
  latencies.add(1'000'001ns);
  CHECK(latencies.quantile(0.999) == 1'000'001ns);
  CHECK(latencies.max() == 1'000'001ns);
}

TEST_CASE("quantiles split the latencies by rank") {
  Latencies latencies;
  for (int i = 0; i < 90; ++i) latencies.add(1ms);
  for (int i = 0; i < 10; ++i) latencies.add(100ms);
  CHECK(latencies.count() == 100);
  CHECK(latencies.quantile(0.9) < 2ms);
  CHECK(latencies.quantile(0.91) > 99ms);
}

TEST_CASE("without latencies there are no quantiles and no rows") {
  CHECK(Latencies{}.quantile(0.5) == 0ns);
  CHECK(Latencies{}.rows().empty());
}

TEST_CASE("rows go in steps of 1, 2 and 5, from the first that has any to the last, empty ones between them too") {
  Latencies latencies;
  latencies.add(999us);
  latencies.add(1ms);  // a bound belongs to the row above it
  latencies.add(7ms);
  const auto rows = latencies.rows();
  REQUIRE(rows.size() == 4);
  CHECK((rows[0].below == 1ms && rows[0].count == 1));
  CHECK((rows[1].below == 2ms && rows[1].count == 1));
  CHECK((rows[2].below == 5ms && rows[2].count == 0));
  CHECK((rows[3].below == 10ms && rows[3].count == 1));
}

TEST_CASE("any latency has its place, the longest and a negative one too") {
  Latencies latencies;
  latencies.add(Duration{std::numeric_limits<Duration::rep>::max()});
  latencies.add(-1s);
  CHECK(latencies.count() == 2);
  CHECK(latencies.quantile(1) == latencies.max());
  std::uint64_t shown = 0;
  for (const auto& row : latencies.rows()) shown += row.count;
  CHECK(shown == 2);
}

TEST_CASE("a duration is shown with three digits and a unit that fits") {
  CHECK(to_short_text(1'500ns) == "1.50 us");
  CHECK(to_short_text(999us) == "999 us");
  CHECK(to_short_text(12'340us) == "12.3 ms");
  CHECK(to_short_text(2s) == "2.00 s");
  CHECK(to_short_text(0s) == "0.00 us");
}

TEST_CASE("a number is shown in groups of three digits") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1'000) == "1,000");
  CHECK(grouped(1'234'567) == "1,234,567");
}

TEST_CASE("a report tells what succeeded, what was missing and what failed, and draws a row for each step") {
  LoadResult result;
  for (int i = 0; i < 3; ++i) result.latencies.add(1'500us);
  result.latencies.add(3ms);
  result.missing = 1;
  result.errors = {{"timed_out", 2}, {"unavailable", 1}};
  result.seconds = 2;
  result.cpu_seconds = 0.0004;
  CHECK(to_text(Bench{}, result) ==
        "get of 100 B over grpc, 64 in flight, 2.0 s\n"
        "succeeded  4: 2 per second, 100.0 us of this process's CPU each\n"
        "missing    1 of them found no value\n"
        "failed     3: timed_out 2, unavailable 1\n"
        "latency    p50 1.51 ms, p90 3.00 ms, p99 3.00 ms, p99.9 3.00 ms, max 3.00 ms\n"
        "\n"
        "  < 2.00 ms  ########################################   75.00 %\n"
        "  < 5.00 ms  ##############                             25.00 %\n");
}

TEST_CASE("a report in JSON is one object with every figure") {
  LoadResult result;
  result.latencies.add(2ms);
  result.errors = {{"timed_out", 2}};
  result.seconds = 0.5;
  result.cpu_seconds = 0.0001;
  Bench bench;
  bench.rate = 7;
  CHECK(to_json(bench, result) ==
        R"({"op":"get","in_flight":64,"rate":7,"value_bytes":100,"keys":1000,"transport":"grpc","seconds":0.50,)"
        R"("operations":1,"ops_per_s":2.00,"cpu_us_per_op":100.00,"missing":0,"failed":2,"errors":{"timed_out":2},)"
        R"("p50_us":2000.00,"p90_us":2000.00,"p99_us":2000.00,"p999_us":2000.00,"max_us":2000.00})");
}

TEST_CASE("a load of which nothing succeeded has a report too") {
  CHECK(to_json(Bench{}, {}).find(R"("rate":null)") != std::string::npos);
  CHECK(to_text(Bench{}, {}).find("succeeded  0: 0 per second") != std::string::npos);
}
