#pragma once

#include <cstdint>

// The sockets of 127.0.0.1 that listeners and proxies use. All are non-blocking and closed on exec; descriptors are the
// caller's. Any thread.
namespace norikv::testing::sockets {

/// A listening socket; -1 if the port is taken. `port` 0 = any free one.
[[nodiscard]] int listen(std::uint16_t port);
/// The next connection; -1 if there is none.
[[nodiscard]] int accept(int listening);
/// A connection under way; -1 if it failed at once.
[[nodiscard]] int connect(std::uint16_t port);
/// Why a connection under way failed; 0 = it did not.
[[nodiscard]] int take_error(int socket);
[[nodiscard]] int duplicate(int socket);
[[nodiscard]] std::uint16_t local_port(int socket);
[[nodiscard]] std::uint16_t peer_port(int socket);

/// Both ends; for waking a thread that polls.
void make_pipe(int (&ends)[2]);
void drain(int pipe);

/// Ends the connection for every holder of the socket, with RST where the system has a way to do so.
void reset(int socket);
/// Closes it with RST.
void close_with_reset(int socket);

/// The kernel drops whatever comes in. False if the system can't.
bool drop_incoming(int socket);
void take_incoming(int socket);

}  // namespace norikv::testing::sockets
