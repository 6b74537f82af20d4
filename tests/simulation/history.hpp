#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/agenda.hpp"
#include "simulation/linearizability.hpp"
#include "simulation/record.hpp"
#include "simulation/scenario.hpp"
#include "simulation/trace.hpp"

namespace norikv::simulation {

/// What happened to each key, put together from what the users of all clients were told.
class Histories {
 public:
  /// `kills`: when servers died that forget what was to expire.
  Histories(const Scenario& scenario, const Agenda& agenda, const std::vector<std::uint64_t>& kills)
      : scenario_(scenario), agenda_(agenda), kills_(kills) {}

  void add(const OperationRecord& operation);
  /// Throws if there is a key whose history no register explains; then `trace` tells it.
  void check(Trace& trace);

 private:
  struct History {
    std::vector<Access> told;             // by what users were told
    std::vector<Access> known;            // as the servers know: which writes took effect, and in which order
    std::vector<std::string> operations;  // behind `told`
  };
  void tell(const OperationRecord& operation);
  void tell(const OperationRecord& operation, const Access& access, bool happened);
  void tell_looks(const OperationRecord& operation);
  void tell_kills(History& history) const;
  [[nodiscard]] std::optional<Access> write_of(const OperationRecord& operation) const;
  [[nodiscard]] Access::Kind kind_of(const OperationRecord& operation) const;
  [[nodiscard]] bool may_expire_unnoticed(const OperationRecord& operation) const;
  [[nodiscard]] bool may_come_back(const OperationRecord& operation) const;
  [[nodiscard]] std::vector<Access> repeats_of(const OperationRecord& operation, Access& first) const;

  const Scenario& scenario_;
  const Agenda& agenda_;
  const std::vector<std::uint64_t>& kills_;
  std::vector<const OperationRecord*> operations_;
  std::set<Value> mortal_;  // values with a time to live
  std::map<std::string, History> histories_;
};

}  // namespace norikv::simulation
