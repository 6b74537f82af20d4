#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <norikv/observer.hpp>

#include "support/catch.hpp"

namespace norikv::test {

using AnyObservation = std::variant<OperationStart, AttemptStart, AttemptEnd, RetryPlan, OperationEnd>;

/// An observation in a line: "get 1 starts", "get 1: attempt 1 (first) to a:7447", "get 1: attempt 1 ended not_leader",
/// "get 1: again, not_leader at a:7447", "get 1 ends ok". Ids of probes begin with 0 again.
class Told {
 public:
  [[nodiscard]] std::string operator()(const OperationStart& start) const { return name(start) + " starts"; }
  [[nodiscard]] std::string operator()(const AttemptStart& start) const {
    return name(start) + ": attempt " + std::to_string(start.number) + " (" + std::string{to_string(start.reason)} +
           ") to " + start.node;
  }
  [[nodiscard]] std::string operator()(const AttemptEnd& end) const {
    return name(end) + ": attempt " + std::to_string(end.number) + " ended " + outcome(end.error);
  }
  [[nodiscard]] std::string operator()(const RetryPlan& retry) const {
    return name(retry) + ": again, " + std::string{to_string(retry.cause)} + " at " + retry.node;
  }
  [[nodiscard]] std::string operator()(const OperationEnd& end) const {
    return name(end) + " ends " + outcome(end.error);
  }

 private:
  template <class Facts>
  static std::string name(const Facts& facts) {
    return std::string{to_string(facts.kind)} + " " + std::to_string(facts.operation & ~(std::uint64_t{1} << 63));
  }
  static std::string outcome(std::optional<ErrorCode> error) { return error ? std::string{to_string(*error)} : "ok"; }
};

using Lines = std::vector<std::string>;

inline Lines told(const std::vector<AnyObservation>& observations) {
  Lines lines;
  for (const AnyObservation& observation : observations) lines.push_back(std::visit(Told{}, observation));
  return lines;
}

/// What holds for every story: each operation has one start and one end, with its attempts between them; each attempt
/// has one start and one end, and they are numbered from 1. What is left open comes back.
class Story {
 public:
  void operator()(const OperationStart& start) {
    REQUIRE(start.queued >= Duration{0});
    REQUIRE(open_.emplace(start.operation, Open{}).second);
    REQUIRE(ended_.count(start.operation) == 0);
  }
  void operator()(const AttemptStart& start) {
    Open& operation = of(start.operation);
    REQUIRE(start.number == ++operation.attempts);
    REQUIRE_FALSE(start.node.empty());
    REQUIRE(operation.on_wire.insert(start.number).second);
    REQUIRE(operation.on_wire.size() <= 2);
  }
  void operator()(const AttemptEnd& end) { REQUIRE(of(end.operation).on_wire.erase(end.number) == 1); }
  void operator()(const RetryPlan& retry) {
    REQUIRE(of(retry.operation).on_wire.count(retry.after) == 0);
    REQUIRE(retry.pause >= Duration{0});
  }
  void operator()(const OperationEnd& end) {
    if (end.operation == 0) return;  // refused
    const Open& operation = of(end.operation);
    REQUIRE(operation.on_wire.empty());
    REQUIRE(end.attempts == operation.attempts);
    open_.erase(end.operation);
    ended_.insert(end.operation);
  }

  [[nodiscard]] std::size_t open() const { return open_.size(); }
  [[nodiscard]] std::size_t ended() const { return ended_.size(); }

 private:
  struct Open {
    std::uint32_t attempts = 0;
    std::set<std::uint32_t> on_wire;
  };
  Open& of(std::uint64_t operation) {
    REQUIRE(open_.count(operation) == 1);
    return open_[operation];
  }

  std::map<std::uint64_t, Open> open_;
  std::set<std::uint64_t> ended_;
};

}  // namespace norikv::test
