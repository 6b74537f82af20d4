#pragma once

#include <string>
#include <vector>

#include <norikv/cluster.hpp>

// What `watch` prints: one line per event. Pure functions.
namespace norikv::cli {

/// For people: "GENERATION KIND: what; what; ... (cause)".
[[nodiscard]] std::string to_line(const TopologyEvent& event);
[[nodiscard]] std::string to_json(const TopologyEvent& event);

[[nodiscard]] std::string to_line(const WarningEvent& event);
[[nodiscard]] std::string to_json(const WarningEvent& event);

/// "0-3, 7": ascending numbers, neighbours joined; beyond a handful of groups only how many more there are.
[[nodiscard]] std::string ranges(const std::vector<std::uint32_t>& ascending);

}  // namespace norikv::cli
