#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <norikv/error.hpp>
#include <norikv/export.hpp>
#include <norikv/testing/faults.hpp>
#include <norikv/types.hpp>

namespace norikv::testing {

/// How a connection ends.
enum class Ending : std::uint8_t {
  fin,  ///< In order: what was passed on before arrives. What the proxy still held (`delay`, `throttle`, `hold`) does
        ///< not.
  rst,  ///< Reset.
};

/// Which way bytes go.
enum class Direction : std::uint8_t { to_client, to_server };

/// A TCP proxy for tests: on 127.0.0.1, in front of any server on 127.0.0.1. It passes bytes on, and knows none of
/// them.
///
/// A client that is to use it gets its address in place of the server's. But a server that names itself in hints or
/// views leads past the proxy: `Cluster::isolate` and the other faults of a cluster work at the node itself.
/// [any thread] Ends with all its connections when it is destroyed. Faults heal when the returned object ends; it may
/// outlive the proxy.
class Proxy {
 public:
  /// Starts in front of `server`, such as "127.0.0.1:7447", which need not be there yet. `port` 0 = any free one.
  /// Error: `invalid_argument` for another address, `unavailable` if the port is taken.
  [[nodiscard]] static NORIKV_EXPORT Result<Proxy> start(std::string_view server, std::uint16_t port = 0);
  NORIKV_EXPORT Proxy(Proxy&&) noexcept;
  NORIKV_EXPORT Proxy& operator=(Proxy&&) noexcept;
  NORIKV_EXPORT ~Proxy();

  /// "127.0.0.1:port": what a client dials.
  [[nodiscard]] NORIKV_EXPORT const std::string& address() const noexcept;

  /// Cuts all connections that are open now, on both sides.
  NORIKV_EXPORT void cut(Ending ending = Ending::rst);
  /// Cuts each connection, those that are open now and those to come, when so many more bytes have passed in this
  /// direction: exactly so many arrive. `hits()` counts connections.
  [[nodiscard]] NORIKV_EXPORT Fault cut_after(std::uint64_t bytes, Direction direction, Ending ending = Ending::rst);
  /// Every byte arrives so much later, in both directions. Several delays add up.
  [[nodiscard]] NORIKV_EXPORT Fault delay(Duration time);
  /// At most so many bytes per second, for each connection and direction. Of several the least counts; 0 lets nothing
  /// pass.
  [[nodiscard]] NORIKV_EXPORT Fault throttle(std::uint64_t bytes_per_second);
  /// Connections are accepted and nothing is passed on: silence. What was held is passed on when it heals.
  [[nodiscard]] NORIKV_EXPORT Fault hold();
  /// New connections are refused. Those that are open stay; `cut` ends them.
  [[nodiscard]] NORIKV_EXPORT Fault refuse();

  struct Counters {
    std::uint64_t connections = 0;  ///< Accepted since the start.
    std::uint64_t open = 0;         ///< Now.
    std::uint64_t cut = 0;          ///< Ended by `cut` and `cut_after`.
    std::uint64_t unreachable = 0;  ///< Ended because the server did not accept.
    std::uint64_t to_client = 0;    ///< Bytes passed on.
    std::uint64_t to_server = 0;
  };
  [[nodiscard]] NORIKV_EXPORT Counters counters() const;

 private:
  struct Impl;
  explicit Proxy(std::shared_ptr<Impl> impl) noexcept;
  std::shared_ptr<Impl> impl_;  ///< Faults know it too, weakly.
};

}  // namespace norikv::testing
