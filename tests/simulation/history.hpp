#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "simulation/linearizability.hpp"
#include "simulation/record.hpp"
#include "simulation/scenario.hpp"
#include "simulation/trace.hpp"

namespace norikv::simulation {

/// What happened to each key, put together from what the users of all clients were told.
class Histories {
 public:
  explicit Histories(const Scenario& scenario) : scenario_(scenario) {}

  void add(const OperationRecord& operation);
  /// Throws if there is a key whose history no register explains; then `trace` tells it.
  void check(Trace& trace) const;

 private:
  struct History {
    std::vector<Access> told;             // by what users were told
    std::vector<Access> known;            // as the servers know: which writes took effect, and in which order
    std::vector<std::string> operations;  // behind `told`
  };
  void add(const OperationRecord& operation, const Access& access, bool happened);

  void add_looks(const OperationRecord& operation);
  [[nodiscard]] std::optional<Access> write_of(const OperationRecord& operation) const;
  [[nodiscard]] Access::Kind kind_of(const OperationRecord& operation) const;

  const Scenario& scenario_;
  std::map<std::string, History> histories_;
};

}  // namespace norikv::simulation
