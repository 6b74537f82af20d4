#pragma once

#include <cstdint>

namespace norikv::core {

// Across layers things are named by number, never by pointer: a late answer for a number that is gone is dropped.
enum class OpId : std::uint64_t {};     ///< One operation of a user, or one probe.
enum class CallId : std::uint64_t {};   ///< One request on the wire.
enum class WatchId : std::uint64_t {};  ///< One topology stream.

}  // namespace norikv::core
