#include "testing/sockets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>

#ifdef __linux__
#include <linux/filter.h>
#endif

namespace norikv::testing::sockets {
namespace {

void set_flags(int descriptor) {
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

int tcp_socket() {
  const int created = ::socket(AF_INET, SOCK_STREAM, 0);
  if (created >= 0) set_flags(created);
  return created;
}

/// Of sockets that carry bytes: each is sent at once, and a connection that is gone is an error and no signal.
void prepare(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
  ::setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

template <class Ask>
std::uint16_t port_of(int socket, Ask ask) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  return ask(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0 ? ntohs(address.sin_port) : 0;
}

}  // namespace

int listen(std::uint16_t port) {
  const int created = tcp_socket();
  if (created < 0) return -1;
  const int on = 1;
  ::setsockopt(created, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (::bind(created, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(created, SOMAXCONN) == 0) {
    return created;
  }
  ::close(created);
  return -1;
}

int accept(int listening) {
  const int accepted = ::accept(listening, nullptr, nullptr);
  if (accepted < 0) return -1;
  set_flags(accepted);
  prepare(accepted);
  return accepted;
}

int connect(std::uint16_t port) {
  const int created = tcp_socket();
  if (created < 0) return -1;
  prepare(created);
  const sockaddr_in address = loopback(port);
  if (::connect(created, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EINPROGRESS) {
    return created;
  }
  ::close(created);
  return -1;
}

int take_error(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

int duplicate(int socket) { return ::fcntl(socket, F_DUPFD_CLOEXEC, 0); }

std::uint16_t local_port(int socket) { return port_of(socket, ::getsockname); }
std::uint16_t peer_port(int socket) { return port_of(socket, ::getpeername); }

void make_pipe(int (&ends)[2]) {
  if (::pipe(ends) != 0) return;
  set_flags(ends[0]);
  set_flags(ends[1]);
}

void drain(int pipe) {
  char bytes[64];
  while (::read(pipe, bytes, sizeof bytes) == sizeof bytes) {
  }
}

void reset(int socket) {
#ifdef __linux__
  // Dissolves the association, which in an open connection sends RST.
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  if (::connect(socket, &nowhere, sizeof nowhere) == 0) return;
#endif
  ::shutdown(socket, SHUT_RDWR);
}

void close_with_reset(int socket) {
  const linger now{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(socket);
}

#ifdef __linux__
bool drop_incoming(int socket) {
  sock_filter drop_all[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog program{1, drop_all};
  return ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

void take_incoming(int socket) {
  const int unused = 0;
  ::setsockopt(socket, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}
#else
bool drop_incoming(int) { return false; }
void take_incoming(int) {}
#endif

}  // namespace norikv::testing::sockets
