#pragma once

#include <cstdint>

#include <norikv/types.hpp>

// gRPC's state that is shared by the whole process. The only singleton of this library; it is never destroyed.
namespace norikv::transport {

/// Whether this gRPC needs heartbeats at all: its callback threads, after a second without an event, sleep for 100 ms
/// in which nobody reads replies. From 1.71 on they do not exist any more.
[[nodiscard]] bool needs_heartbeat() noexcept;

/// Keeps gRPC's callback threads and library state for the life of the process, from the first call on: the last
/// channel of a process otherwise joins those threads where it is destroyed, up to 100 ms long. [any thread]
void keep_grpc();

/// Gives gRPC's callback threads an event, unless somebody did so less than `interval` ago. Returns when the next one
/// is due. Costs no network, and is over by itself: nothing has to wait for it. [any thread]
TimePoint heartbeat(TimePoint now, Duration interval);

/// Heartbeats of this process so far. [any thread]
[[nodiscard]] std::uint64_t heartbeats() noexcept;

}  // namespace norikv::transport
