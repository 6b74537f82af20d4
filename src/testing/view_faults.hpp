#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wire/wire.hpp"

namespace norikv::testing {

/// How a node's view is falsified.
struct ViewFault {
  std::uint64_t epoch_back = 0;  ///< It says an epoch that is so much lower; 0 at least.
  std::string own_id{};          ///< What the node is called ...
  std::string claimed_id{};      ///< ... and what it calls itself; empty = the truth.

  friend bool operator==(const ViewFault&, const ViewFault&) = default;
};
using ViewFaults = std::vector<ViewFault>;

/// The view as the node tells it. Epochs add up; of the ids the latest claim counts.
[[nodiscard]] wire::View falsified(wire::View view, const ViewFaults& faults);

}  // namespace norikv::testing
