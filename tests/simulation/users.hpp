#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "simulation/host.hpp"

namespace norikv::simulation {

/// The values that were written, over all clients: each one once.
struct Values {
  Value last = 0;
  Value next() { return ++last; }
};

/// Those who use one client: at random, and some in answer to what they are told.
class Users {
 public:
  Users(const Scenario& scenario, Host& host, Agenda& agenda, Values& values);

  /// They begin, and go on until `stop`.
  void start();
  void stop() { stopped_ = true; }

  /// Reads and writes each shard with plenty of time. Whether all of it succeeds is asked of `recovered`.
  void try_everything(Duration timeout);
  void check_recovered() const;

  [[nodiscard]] const std::vector<std::string>& keys() const { return keys_; }

 private:
  struct Seen {
    Value value = missing;
    Version version;
  };

  void act();
  void burst();
  void ask(const std::string& key);
  void follow_up(const OperationRecord& ended);
  void remember(const OperationRecord& read);
  void cancel_some();
  void something_else();
  [[nodiscard]] Host::Ask some_request(const std::string& key);
  void look_first(Host::Ask& write);
  std::optional<Host::Stored> decide(const OperationRecord& update);
  std::optional<Duration> some_ttl();
  void choose_key(Host::Ask& write);
  [[nodiscard]] const std::string& some_key() { return keys_[dice_.below(keys_.size())]; }
  [[nodiscard]] Duration some_timeout();

  const Scenario& scenario_;
  Host& host_;
  Agenda& agenda_;
  Values& values_;
  Dice dice_;
  Dice ttl_dice_;
  Dice key_dice_;
  std::vector<std::uint64_t> keyed_;  // operations with keys that may be used again
  std::vector<std::string> keys_;
  std::map<std::string, Seen> seen_;
  std::vector<std::uint64_t> trials_;
  std::size_t asked_ = 0;
  bool stopped_ = false;
};

}  // namespace norikv::simulation
