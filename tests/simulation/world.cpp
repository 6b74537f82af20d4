#include "simulation/world.hpp"

#include <memory>
#include <vector>

#include "simulation/chaos.hpp"
#include "simulation/history.hpp"
#include "simulation/host.hpp"
#include "simulation/users.hpp"

namespace norikv::simulation {
namespace {

using namespace std::chrono_literals;

// A world that goes on and on: no seed comes near this.
constexpr std::uint64_t max_steps = 400'000;

class World {
 public:
  World(std::uint64_t seed, Tracing tracing)
      : scenario_(draw_scenario(seed)),
        dice_(seed, 4),
        trace_(agenda_, tracing == Tracing::on),
        servers_(scenario_, agenda_, trace_),
        chaos_(scenario_, agenda_, servers_, hosts_) {
    for (std::size_t client = 0; client < scenario_.clients; ++client) {
      hosts_.push_back(std::make_unique<Host>(scenario_, client, agenda_, trace_, servers_));
      users_.push_back(std::make_unique<Users>(scenario_, *hosts_.back(), agenda_, values_));
    }
  }

  Report run() {
    Report report;
    report.scenario = scenario_.describe();
    trace_("{}", report.scenario);
    try {
      live();
    } catch (Violation& violation) {
      trace_("VIOLATION of {}: {}", violation.check, violation.detail);
      report.violation = std::move(violation);
    }
    report.trace = trace_.text();
    report.steps = agenda_.steps();
    for (const std::unique_ptr<Host>& host : hosts_) {
      for (const OperationRecord& operation : host->judge().operations()) {
        ++report.operations;
        report.succeeded += operation.succeeded() ? 1 : 0;
        report.requests += operation.attempts.size();
      }
    }
    return report;
  }

 private:
  void live() {
    for (std::size_t client = 0; client < hosts_.size(); ++client) {
      hosts_[client]->start();
      users_[client]->start();
    }
    chaos_.start();
    if (scenario_.closes_in_chaos) {
      agenda_.after(dice_.up_to(scenario_.chaos),
                    [this] { hosts_[0]->close(dice_.chance(0.5) ? 0s : dice_.up_to(1s)); });
    }
    pass(scenario_.chaos);
    trace_("everything is well from here on");
    chaos_.end();
    recover();
    close();
    check_histories();
  }

  // A client in a cluster that is well again does all that it is asked to.
  void recover() {
    // Streams are opened again within two seconds, and whatever waits for a deadline gets there.
    pass(3s);
    for (const std::unique_ptr<Users>& users : users_) users->stop();
    if (!scenario_.leaders_possible) return pass(6s);
    pass(6s);
    for (std::size_t client = 0; client < hosts_.size(); ++client) {
      if (!hosts_[client]->closing()) users_[client]->try_everything(20s);
    }
    pass(20s);
    for (const std::unique_ptr<Users>& users : users_) users->check_recovered();
  }

  void close() {
    for (const std::unique_ptr<Host>& host : hosts_) {
      if (!host->closing()) host->close(dice_.chance(0.5) ? 0s : 500ms);
    }
    pass(5s);
    for (const std::unique_ptr<Host>& host : hosts_) {
      host->judge().at_end();
      host->check_given_back();
    }
  }

  void pass(Duration time) {
    const TimePoint end = agenda_.now() + time;
    while (agenda_.advance(end)) {
      if (agenda_.steps() > max_steps) throw Violation{"endless", "it goes on and on"};
    }
  }

  void check_histories() {
    if (!scenario_.writes_are_safe()) return;
    Histories histories{scenario_, agenda_, servers_.kills()};
    for (const std::unique_ptr<Host>& host : hosts_) {
      for (const OperationRecord& operation : host->judge().operations()) histories.add(operation);
    }
    histories.check(trace_);
  }

  const Scenario scenario_;
  Dice dice_;
  Agenda agenda_;
  Trace trace_;
  Servers servers_;
  Values values_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<Users>> users_;
  Chaos chaos_;
};

}  // namespace

Report run_seed(std::uint64_t seed, Tracing tracing) { return World{seed, tracing}.run(); }

}  // namespace norikv::simulation
