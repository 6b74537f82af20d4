#pragma once

#include <cstdint>
#include <string_view>

#include <norikv/types.hpp>

namespace norikv::core {

/// Which names for consistency levels a node understands: the 0.1.0 server knows its own and refuses those that the
/// SDKs document.
enum class Dialect : std::uint8_t { server, sdk };

[[nodiscard]] constexpr Dialect other(Dialect dialect) {
  return dialect == Dialect::server ? Dialect::sdk : Dialect::server;
}

/// What goes on the wire for a level.
[[nodiscard]] constexpr std::string_view consistency_text(Consistency level, Dialect dialect) {
  const bool server = dialect == Dialect::server;
  switch (level) {
    case Consistency::lease:
      return server ? "" : "lease";
    case Consistency::linearizable:
      return server ? "strong" : "linearizable";
    case Consistency::stale:
      return server ? "eventual" : "stale_ok";
    case Consistency::bounded:
      return server ? "bounded_staleness" : "stale_ok";
  }
  return "";
}

/// Whether only a leader answers reads of this level.
[[nodiscard]] constexpr bool needs_leader(Consistency level) {
  return level == Consistency::lease || level == Consistency::linearizable;
}

}  // namespace norikv::core
