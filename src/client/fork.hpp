#pragma once

#include <cstdint>

namespace norikv::client {

/// How many forks lie between the start of the program and this process. A client compares it with the number at its
/// creation: in a child its threads and connections do not exist. [any thread]
[[nodiscard]] std::uint32_t fork_generation() noexcept;

}  // namespace norikv::client
