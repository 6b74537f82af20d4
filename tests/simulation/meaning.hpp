#pragma once

#include <cstdint>
#include <string>

#include <norikv/error.hpp>

#include "core/transport.hpp"

namespace norikv::simulation {

/// What a reply means, by the server's contract. Written a second time, on purpose: the client's own table
/// (src/core/status_policy.cpp) is what is tested.
struct Meaning {
  enum class Class : std::uint8_t {
    success,
    not_leader,
    not_processed,
    ambiguous,
    throttled,
    unknown_level,
    permanent
  };
  Class kind = Class::success;
  ErrorCode code{};
  bool definite = true;   ///< For a write: it is known whether it was applied.
  Duration pause{0};      ///< The server asks to stay away so long.
  bool mismatch = false;  ///< The server compared, and the key was another one than the write was for.
  std::string leader{};   ///< Who leads, says a node that does not: an address or an id.

  [[nodiscard]] bool success() const { return kind == Class::success; }
};

[[nodiscard]] Meaning meaning_of(const core::Reply& reply, wire::Method method);

}  // namespace norikv::simulation
