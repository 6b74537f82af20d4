#include "transport/raw_peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace norikv::test {
namespace {

constexpr std::size_t preface_size = 24;
constexpr int settings = 4;
constexpr int headers = 1;
constexpr int data = 0;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

Address any_port(Form form, const std::string& path) {
  Address address;
  if (form == Form::unix_path) {
    auto& local = reinterpret_cast<sockaddr_un&>(address.storage);
    local.sun_family = AF_UNIX;
    std::strncpy(local.sun_path, path.c_str(), sizeof local.sun_path - 1);
    address.size = sizeof local;
  } else if (form == Form::ipv6) {
    auto& inet = reinterpret_cast<sockaddr_in6&>(address.storage);
    inet.sin6_family = AF_INET6;
    inet.sin6_addr = in6addr_loopback;
    address.size = sizeof inet;
  } else {
    auto& inet = reinterpret_cast<sockaddr_in&>(address.storage);
    inet.sin_family = AF_INET;
    inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.size = sizeof inet;
  }
  return address;
}

int bound_socket(Form form, const std::string& path) {
  Address address = any_port(form, path);
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && bind(fd, address.get(), address.size) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

int port_of(int fd) {
  Address address;
  address.size = sizeof address.storage;
  getsockname(fd, address.get(), &address.size);
  return ntohs(address.storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port
                                                     : reinterpret_cast<sockaddr_in&>(address.storage).sin_port);
}

std::string fresh_path() {
  static std::atomic<int> count{0};
  std::string path = "/tmp/norikv-test-" + std::to_string(getpid()) + "-" + std::to_string(++count);
  unlink(path.c_str());
  return path;
}

}  // namespace

std::string_view to_string(Form form) noexcept {
  switch (form) {
    case Form::ipv4:
      return "ipv4";
    case Form::ipv6:
      return "ipv6";
    case Form::name:
      return "name";
    case Form::unix_path:
      return "unix";
  }
  return "";
}

std::vector<Form> usable_forms() {
  std::vector<Form> forms{Form::ipv4, Form::name, Form::unix_path};
  if (const int fd = bound_socket(Form::ipv6, {}); fd >= 0) {
    forms.push_back(Form::ipv6);
    close(fd);
  }
  return forms;
}

std::string listen_text(Form form) {
  if (form == Form::unix_path) return "unix:" + fresh_path();
  return form == Form::ipv6 ? "[::1]:0" : "127.0.0.1:0";
}

std::string dial_text(Form form, const std::string& listening, int port) {
  if (form == Form::unix_path) return listening;
  return (form == Form::ipv6 ? "[::1]:" : form == Form::name ? "localhost:" : "127.0.0.1:") + std::to_string(port);
}

void RawConnection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void RawConnection::write_frame(int type, int flags, unsigned stream, std::string_view payload) {
  const auto byte = [](std::size_t value, int shift) { return static_cast<char>((value >> shift) & 0xff); };
  std::string frame{byte(payload.size(), 16), byte(payload.size(), 8),  byte(payload.size(), 0),
                    static_cast<char>(type),  static_cast<char>(flags), byte(stream, 24),
                    byte(stream, 16),         byte(stream, 8),          byte(stream, 0)};
  write(frame.append(payload));
}

bool RawConnection::read(std::size_t count, std::string& into) {
  into.resize(count);
  for (std::size_t got = 0; got < count;) {
    const ssize_t more = recv(fd_, into.data() + got, count - got, 0);
    if (more <= 0) return false;
    got += static_cast<std::size_t>(more);
  }
  return true;
}

std::string RawConnection::read_head() {
  std::string head, byte;
  while (!head.ends_with("\r\n\r\n") && read(1, byte)) head += byte;
  return head;
}

bool RawConnection::read_until_frame(int type) {
  std::string bytes;
  if (!preface_read_ && !read(preface_size, bytes)) return false;
  preface_read_ = true;
  while (read(9, bytes)) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const std::size_t size = static_cast<std::size_t>(at(0)) << 16 | static_cast<std::size_t>(at(1)) << 8 | at(2);
    const int got = at(3);
    stream_ = at(5) << 24 | at(6) << 16 | at(7) << 8 | at(8);
    if (!read(size, payload_)) return false;
    if (got == type) return true;
  }
  return false;
}

void RawConnection::read_to_end() {
  std::string bytes;
  while (read(1, bytes)) {
  }
}

void RawConnection::end_writing() { shutdown(fd_, SHUT_WR); }

void RawConnection::reset() {
  const linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

RawPeer::RawPeer(Form form, Script script) : script_(std::move(script)) {
  const std::string listening = listen_text(form);
  if (form == Form::unix_path) path_ = listening.substr(listening.find(':') + 1);
  fd_ = bound_socket(form, path_);
  if (fd_ < 0) throw std::runtime_error("Nothing can listen at " + listening);
  address_ = dial_text(form, listening, form == Form::unix_path ? 0 : port_of(fd_));
  if (!script_) return;
  listen(fd_, 16);
  thread_ = std::thread([this] { accept_all(); });
}

RawPeer::~RawPeer() {
  stopping_ = true;
  shutdown(fd_, SHUT_RDWR);
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  if (thread_.joinable()) thread_.join();
  close(fd_);
  if (!path_.empty()) unlink(path_.c_str());
}

void RawPeer::accept_all() {
  std::vector<std::thread> connections;
  while (!stopping_) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) break;
    {
      const std::lock_guard lock(mutex_);
      open_.insert(fd);
      if (stopping_) shutdown(fd, SHUT_RDWR);
    }
    ++accepted_;
    connections.emplace_back([this, fd] {
      RawConnection connection(fd);
      script_(connection);
      ++finished_;
      const std::lock_guard lock(mutex_);
      open_.erase(fd);
      close(fd);
    });
  }
  for (std::thread& connection : connections) connection.join();
}

std::string header_block(const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string block;
  for (const auto& [name, value] : headers) {
    block += '\0';  // a literal that is not indexed
    block += static_cast<char>(name.size());
    block += name;
    block += static_cast<char>(value.size());  // below 127
    block += value;
  }
  return block;
}

void answer_ok(RawConnection& connection, unsigned stream) {
  constexpr int end_headers = 4;
  constexpr int end_stream = 1;
  connection.write_frame(headers, end_headers, stream,
                         header_block({{":status", "200"}, {"content-type", "application/grpc"}}));
  connection.write_frame(data, 0, stream, std::string(5, '\0'));
  connection.write_frame(headers, end_headers | end_stream, stream, header_block({{"grpc-status", "0"}}));
}

bool take_request(RawConnection& connection) {
  connection.write_frame(settings, 0, 0);
  if (!connection.read_until_frame(headers)) return false;
  return connection.read_until_frame(data);
}

void answer_all(RawConnection& connection) {
  if (take_request(connection)) answer_ok(connection, connection.stream());
  connection.read_to_end();
}

}  // namespace norikv::test
