#include "testing/listener.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "testing/sockets.hpp"

namespace norikv::testing {

Listener::Listener(std::uint16_t port, Sink sink) : port_(port), sink_(std::move(sink)) {
  sockets::make_pipe(wake_);
  thread_ = std::thread([this] { run(); });
}

Listener::~Listener() {
  close();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
  for (const Connection& connection : connections_) ::close(connection.socket);
  ::close(wake_[0]);
  ::close(wake_[1]);
}

bool Listener::open() {
  const std::lock_guard lock(mutex_);
  if (socket_ >= 0) return true;
  const int listening = sockets::listen(port_);
  if (listening < 0) return false;
  if (silent_) sockets::drop_incoming(listening);
  socket_ = listening;
  wake();
  return true;
}

void Listener::close() {
  std::unique_lock lock(mutex_);
  if (socket_ < 0) return;
  closing_ = true;
  wake();
  closed_.wait(lock, [this] { return !closing_; });
}

void Listener::cut(std::uint16_t peer_port) {
  const std::lock_guard lock(mutex_);
  for (const Connection& connection : connections_) {
    if (connection.peer_port == peer_port) sockets::reset(connection.socket);
  }
}

void Listener::cut_all() {
  const std::lock_guard lock(mutex_);
  for (const Connection& connection : connections_) sockets::reset(connection.socket);
}

bool Listener::silence() {
  const std::lock_guard lock(mutex_);
  silent_ = socket_ < 0 || sockets::drop_incoming(socket_);
  if (!silent_) return false;
  for (const Connection& connection : connections_) sockets::drop_incoming(connection.socket);
  return true;
}

void Listener::hear() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(silent_, false)) return;
  if (socket_ >= 0) sockets::take_incoming(socket_);
  for (const Connection& connection : connections_) sockets::take_incoming(connection.socket);
}

void Listener::wake() const {
  const char byte = 0;
  // A full pipe wakes as well.
  [[maybe_unused]] const ssize_t written = ::write(wake_[1], &byte, 1);
}

void Listener::run() {
  std::vector<pollfd> waiting;
  std::vector<int> ended;
  while (true) {
    waiting.clear();
    ended.clear();
    {
      const std::lock_guard lock(mutex_);
      if (closing_) {
        ::close(std::exchange(socket_, -1));
        closing_ = false;
        closed_.notify_all();
      }
      if (stopping_) return;
      waiting.push_back({wake_[0], POLLIN, 0});
      if (socket_ >= 0) waiting.push_back({socket_, POLLIN, 0});
      // No events: a hang-up is always told, and comes once the server has closed the connection, or we have.
      for (const Connection& connection : connections_) waiting.push_back({connection.socket, 0, 0});
    }
    if (::poll(waiting.data(), static_cast<nfds_t>(waiting.size()), -1) < 0) continue;
    if (waiting[0].revents != 0) sockets::drain(wake_[0]);
    for (std::size_t i = 1; i < waiting.size(); ++i) {
      if (waiting[i].events == 0 && waiting[i].revents != 0) ended.push_back(waiting[i].fd);
    }
    forget_ended(ended);
    accept_all();
  }
}

void Listener::forget_ended(const std::vector<int>& ended) {
  if (ended.empty()) return;
  const std::lock_guard lock(mutex_);
  std::erase_if(connections_, [&](const Connection& connection) {
    if (std::find(ended.begin(), ended.end(), connection.socket) == ended.end()) return false;
    ::close(connection.socket);
    return true;
  });
}

void Listener::accept_all() {
  while (true) {
    int accepted = -1;
    {
      const std::lock_guard lock(mutex_);
      if (socket_ < 0 || closing_) return;
      accepted = sockets::accept(socket_);
      if (accepted < 0) return;
      connections_.push_back({sockets::duplicate(accepted), sockets::peer_port(accepted)});
    }
    sink_(accepted);
  }
}

}  // namespace norikv::testing
