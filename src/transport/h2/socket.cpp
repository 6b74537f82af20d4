#include "transport/h2/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace norikv::transport::h2 {
namespace {

#ifdef MSG_NOSIGNAL
constexpr int send_flags = MSG_NOSIGNAL;
#else
constexpr int send_flags = 0;
#endif

template <class T>
Endpoint endpoint_from(const T& address) {
  Endpoint endpoint;
  std::memcpy(&endpoint.storage, &address, sizeof address);
  endpoint.size = sizeof address;
  return endpoint;
}

int new_socket(int family) {
  const int fd = socket(family, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

void tune(int fd, int family, [[maybe_unused]] Duration user_timeout) {
  const int on = 1;
  if (family != AF_UNIX) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef TCP_USER_TIMEOUT
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(user_timeout).count();
    const auto bounded = static_cast<unsigned>(std::clamp<std::int64_t>(wait, 0, 1'000'000'000));
    if (bounded > 0) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &bounded, sizeof bounded);
#endif
  }
#ifdef SO_NOSIGPIPE
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

}  // namespace

// --- addresses ---

std::vector<Endpoint> endpoints_of(const util::Address& address) {
  using Kind = util::Address::Kind;
  if (address.kind == Kind::ipv4) {
    sockaddr_in inet{};
    inet.sin_family = AF_INET;
    inet.sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &inet.sin_addr);
    return {endpoint_from(inet)};
  }
  if (address.kind == Kind::ipv6) {
    sockaddr_in6 inet{};
    inet.sin6_family = AF_INET6;
    inet.sin6_port = htons(address.port);
    inet_pton(AF_INET6, address.host.c_str(), &inet.sin6_addr);
    return {endpoint_from(inet)};
  }
  if (address.kind == Kind::unix_socket) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    std::memcpy(local.sun_path, address.host.data(), std::min(address.host.size(), sizeof local.sun_path - 1));
    return {endpoint_from(local)};
  }
  return {};
}

Lookup* Lookup::start(uv_loop_t* loop, const util::Address& address, LookupOwner& owner, Lookups& all) {
  auto* const lookup = new Lookup(owner, all);
  lookup->request_.data = lookup;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const std::string port = std::to_string(address.port);
  if (uv_getaddrinfo(loop, &lookup->request_, on_result, address.host.c_str(), port.c_str(), &hints) != 0) {
    delete lookup;
    return nullptr;
  }
  ++all.pending_;
  return lookup;
}

void Lookup::forget() {
  owner_ = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&request_));
}

void Lookup::on_result(uv_getaddrinfo_t* request, int status, addrinfo* found) {
  auto* const self = static_cast<Lookup*>(request->data);
  LookupOwner* const owner = self->owner_;
  Lookups& all = self->all_;
  delete self;
  --all.pending_;
  std::vector<Endpoint> endpoints;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    Endpoint endpoint;
    if (one->ai_addrlen > sizeof endpoint.storage) continue;
    std::memcpy(&endpoint.storage, one->ai_addr, one->ai_addrlen);
    endpoint.size = one->ai_addrlen;
    endpoints.push_back(endpoint);
  }
  uv_freeaddrinfo(found);
  if (owner != nullptr) owner->on_lookup(std::move(endpoints), status == 0 ? "" : uv_strerror(status));
  all.on_lookup_over();
}

// --- Socket ---

Socket::~Socket() { close(); }

int Socket::connect(const Endpoint& endpoint, Duration user_timeout) {
  const int family = endpoint.storage.ss_family;
  fd_ = new_socket(family);
  if (fd_ < 0) return errno;
  tune(fd_, family, user_timeout);
  const int begun = ::connect(fd_, reinterpret_cast<const sockaddr*>(&endpoint.storage), endpoint.size);
  int error = begun == 0 || errno == EINPROGRESS ? 0 : errno;
  if (error == 0) {
    poll_ = new uv_poll_t;
    error = -uv_poll_init(loop_, poll_, fd_);
    if (error != 0) delete std::exchange(poll_, nullptr);
  }
  if (error != 0) {
    ::close(std::exchange(fd_, -1));
    return error;
  }
  poll_->data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(poll_));
  listen(UV_WRITABLE);
  return 0;
}

void Socket::listen(int events) {
  if (events == events_ || poll_ == nullptr || taken_away()) return;
  events_ = events;
  uv_poll_start(poll_, events, on_poll);
}

void Socket::want_write(bool wanted) { listen(wanted ? UV_READABLE | UV_WRITABLE : UV_READABLE); }

void Socket::on_poll(uv_poll_t* handle, int status, int events) {
  Socket& self = *static_cast<Socket*>(handle->data);
  if (!self.connected_) {
    int error = -status;
    socklen_t size = sizeof error;
    if (status == 0 || status == UV_EBADF) getsockopt(self.fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return self.owner_.on_socket_error(error);
    self.connected_ = true;
    self.listen(UV_READABLE);
    return self.owner_.on_connected();
  }
  if (status < 0) return self.owner_.on_broken();
  if ((events & UV_READABLE) != 0) self.owner_.on_readable();
  if (self.poll_ != nullptr && (events & UV_WRITABLE) != 0) self.owner_.on_writable();
}

std::ptrdiff_t Socket::read(char* to, std::size_t room) noexcept {
  for (;;) {
    const ssize_t count = ::recv(fd_, to, room, 0);
    if (count >= 0) return count;
    if (errno != EINTR) return errno == EWOULDBLOCK ? -EAGAIN : -errno;
  }
}

std::ptrdiff_t Socket::write(std::span<iovec> parts) noexcept {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  for (;;) {
    const ssize_t count = ::sendmsg(fd_, &message, send_flags);
    if (count >= 0) return count;
    if (errno != EINTR) return errno == EWOULDBLOCK ? -EAGAIN : -errno;
  }
}

bool Socket::taken_away() const noexcept {
  return poll_ != nullptr && uv_is_closing(reinterpret_cast<const uv_handle_t*>(poll_)) != 0;
}

void Socket::close() {
  if (poll_ == nullptr) return;
  uv_poll_t* const poll = std::exchange(poll_, nullptr);
  auto* const handle = reinterpret_cast<uv_handle_t*>(poll);
  if (uv_is_closing(handle) != 0) {
    lost_.emplace_back(poll);
  } else {
    uv_close(handle, [](uv_handle_t* closed) { delete reinterpret_cast<uv_poll_t*>(closed); });
  }
  ::close(std::exchange(fd_, -1));
}

}  // namespace norikv::transport::h2
