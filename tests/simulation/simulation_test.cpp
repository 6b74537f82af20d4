#include "simulation/world.hpp"

#include <string>

#include "simulation/scenario.hpp"
#include "support/catch.hpp"

using namespace norikv::simulation;
using norikv::testing::Profile;

namespace {

constexpr std::uint64_t seeds = 2400;

/// Runs those of the seeds whose scenario is wanted; the two cases below share them out.
template <class Wanted>
void run_seeds(Wanted wanted) {
  std::uint64_t run = 0;
  std::string failures;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    if (!wanted(draw_scenario(seed))) continue;
    ++run;
    const Report report = run_seed(seed);
    if (!report.violation) continue;
    failures += "seed " + std::to_string(seed) + ": " + report.violation->check + ": " + report.violation->detail +
                "\n  replay: ./dev simulate --seed " + std::to_string(seed) + " --trace\n";
  }
  INFO(failures);
  CHECK(failures.empty());
  CHECK(run > seeds / 4);
}

}  // namespace

TEST_CASE("With servers like the real one every seed keeps every promise") {
  run_seeds([](const Scenario& scenario) { return scenario.cluster.profile == Profile::norikv; });
}

TEST_CASE("With servers as they should be every seed keeps every promise") {
  run_seeds([](const Scenario& scenario) { return scenario.cluster.profile == Profile::replicated; });
}

TEST_CASE("A seed replays exactly") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    const Report first = run_seed(seed, Tracing::on);
    CHECK(first.trace == run_seed(seed, Tracing::on).trace);
    CHECK(first.steps == run_seed(seed).steps);
    CHECK(first.trace != run_seed(seed + 1, Tracing::on).trace);
  }
}

TEST_CASE("The seeds do what they are for: operations succeed, fail, and are repeated") {
  std::size_t operations = 0;
  std::size_t succeeded = 0;
  std::size_t requests = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const Report report = run_seed(seed);
    operations += report.operations;
    succeeded += report.succeeded;
    requests += report.requests;
  }
  CHECK(operations > 200 * 50);
  CHECK(succeeded > operations / 2);
  CHECK(succeeded < operations - operations / 10);
  CHECK(requests > succeeded);
}
