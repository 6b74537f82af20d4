#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "simulation/record.hpp"

namespace norikv::simulation {

/// What became of one seed.
struct Report {
  std::optional<Violation> violation;
  std::string scenario;  ///< In words.
  std::string trace;     ///< If it was asked for.
  std::size_t operations = 0, succeeded = 0, requests = 0;
  std::uint64_t steps = 0;
};

enum class Tracing : std::uint8_t { off, on };

/// The whole life of a cluster and its clients, from one seed: users and faults, then recovery, then the close, and
/// every check. The same seed gives the same life. [any thread]
[[nodiscard]] Report run_seed(std::uint64_t seed, Tracing tracing = Tracing::off);

}  // namespace norikv::simulation
