#pragma once

#include <cstdint>
#include <optional>
#include <utility>

namespace norikv::testing {

/// A TCP port of 127.0.0.1 that stays ours while no server listens on it: a bound socket that does not listen.
///
/// Without it a stopped node's port could become the local end of somebody's outgoing connection (even of a client's
/// attempt to reach that very port, which then talks to itself), and the restart would fail. Owned by the cluster.
class ReservedPort {
 public:
  /// `port` 0 = any free one. None if somebody else has it.
  [[nodiscard]] static std::optional<ReservedPort> take(std::uint16_t port);
  ReservedPort(ReservedPort&& other) noexcept : socket_(std::exchange(other.socket_, -1)), port_(other.port_) {}
  ReservedPort& operator=(ReservedPort&&) = delete;
  ~ReservedPort();

  [[nodiscard]] std::uint16_t number() const noexcept { return port_; }

 private:
  ReservedPort(int socket, std::uint16_t port) noexcept : socket_(socket), port_(port) {}
  int socket_;
  std::uint16_t port_;
};

}  // namespace norikv::testing
