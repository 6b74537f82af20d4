#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include <norikv/observer.hpp>
#include <norikv/stats.hpp>

#include "prometheus/families.hpp"

namespace norikv::metrics {

/// The clients of one recorder, for their `stats()`: gauges of those that live, and counters that keep what those that
/// ended had counted. [any thread]
class Clients {
 public:
  static constexpr std::size_t counter_count = 14;

  void add(const ClientStart& start);
  void remove(const ClientEnd& end);
  /// The nodes of the clients that live.
  std::map<std::string, NodeStats> collect(Families& families);

 private:
  using Counts = std::array<std::uint64_t, counter_count>;
  struct Client {
    std::function<std::optional<Stats>()> read;
    Counts last{};  // of a client that is gone without having ended
  };
  static void add_to(Counts& sum, const Counts& more);
  [[nodiscard]] static Counts counts_of(const Stats& stats);

  std::mutex mutex_;
  std::map<std::uint64_t, Client> living_;
  Counts ended_{};
};

}  // namespace norikv::metrics
