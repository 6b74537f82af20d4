#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <uv.h>

#include <norikv/types.hpp>

#include "util/address.hpp"

namespace norikv::transport::h2 {

/// Where a socket connects to.
struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// Addresses that need no look-up. Empty = it is a name.
[[nodiscard]] std::vector<Endpoint> endpoints_of(const util::Address& address);

/// Whoever asks for a look-up.
class LookupOwner {
 public:
  virtual void on_lookup(std::vector<Endpoint> found, std::string error) = 0;

 protected:
  ~LookupOwner() = default;
};

/// Those of a transport that are under way.
class Lookups {
 public:
  [[nodiscard]] std::size_t pending() const noexcept { return pending_; }

 protected:
  ~Lookups() = default;

 private:
  friend class Lookup;
  /// One has come home, whether or not anybody still wants it.
  virtual void on_lookup_over() = 0;
  std::size_t pending_ = 0;
};

/// One look-up of a name, in the thread pool of libuv. It can't be made to let go of the loop, and once it runs it
/// can't be cancelled either; so it owns itself, and tells nobody once it was forgotten.
class Lookup {
 public:
  /// Null if libuv refused.
  static Lookup* start(uv_loop_t* loop, const util::Address& address, LookupOwner& owner, Lookups& all);
  void forget();

 private:
  Lookup(LookupOwner& owner, Lookups& all) noexcept : owner_(&owner), all_(all) {}
  static void on_result(uv_getaddrinfo_t* request, int status, addrinfo* found);

  uv_getaddrinfo_t request_{};
  LookupOwner* owner_;
  Lookups& all_;
};

/// What a socket tells, in a callback of libuv.
class SocketOwner {
 public:
  virtual void on_connected() = 0;
  virtual void on_readable() = 0;
  virtual void on_writable() = 0;
  /// It did not connect.
  virtual void on_socket_error(int error) = 0;
  /// It is over, and what has arrived can still be read.
  virtual void on_broken() = 0;

 protected:
  ~SocketOwner() = default;
};

/// Handles that a host closed under us: nobody tells when libuv is through with them, so they are kept to the end.
using LostHandles = std::vector<std::unique_ptr<uv_poll_t>>;

/// A non-blocking stream socket on the loop, which it never holds. It raises no SIGPIPE. Owned by a `Connection`. [loop
/// thread]
class Socket {
 public:
  Socket(uv_loop_t* loop, SocketOwner& owner, LostHandles& lost) noexcept : loop_(loop), owner_(owner), lost_(lost) {}
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  /// Begins to connect; what comes of it is told to the owner. An error number, or 0.
  [[nodiscard]] int connect(const Endpoint& endpoint, Duration user_timeout);

  /// Bytes moved; 0: none now (write), or the peer has ended (read); negative: an error number, EAGAIN for none now.
  [[nodiscard]] std::ptrdiff_t read(char* to, std::size_t room) noexcept;
  [[nodiscard]] std::ptrdiff_t write(std::span<iovec> parts) noexcept;
  /// Whether `on_writable` is to be called.
  void want_write(bool wanted);

  /// Whether a host closed our handle.
  [[nodiscard]] bool taken_away() const noexcept;
  /// Gives the descriptor back at once. The handle goes when libuv is through with it.
  void close();

 private:
  void listen(int events);
  static void on_poll(uv_poll_t* handle, int status, int events);

  uv_loop_t* const loop_;
  SocketOwner& owner_;
  LostHandles& lost_;
  int fd_ = -1;
  int events_ = 0;
  bool connected_ = false;
  uv_poll_t* poll_ = nullptr;
};

}  // namespace norikv::transport::h2
