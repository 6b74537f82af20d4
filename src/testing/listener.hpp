#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include <norikv/unique_function.hpp>

namespace norikv::testing {

/// Accepts a node's connections and keeps hold of them, so that they can be cut and silenced behind the back of the
/// gRPC server that serves them.
///
/// It holds a second descriptor of each socket until the connection has ended. One thread waits for all of them.
/// Owned by a node's server; any thread.
class Listener {
 public:
  /// [its thread] Gets each accepted socket, which is non-blocking, and closes it.
  using Sink = UniqueFunction<void(int socket)>;

  Listener(std::uint16_t port, Sink sink);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Listens on 127.0.0.1. False if the port is taken.
  [[nodiscard]] bool open();
  /// Refuses connections from now on; those that exist stay. No socket reaches the sink afterwards.
  void close();

  /// Resets the connection whose client has this port.
  void cut(std::uint16_t peer_port);
  void cut_all();

  /// Drops every packet that comes in, those of new connections among them, until `hear`. False if the system has no
  /// means for that.
  bool silence();
  void hear();

 private:
  struct Connection {
    int socket = -1;
    std::uint16_t peer_port = 0;
  };

  void run();
  void wake() const;
  void accept_all();
  void forget_ended(const std::vector<int>& ended);

  const std::uint16_t port_;
  Sink sink_;
  int wake_[2] = {-1, -1};
  std::mutex mutex_;
  std::condition_variable closed_;
  int socket_ = -1;  ///< Closed by the thread alone: as long as it polls, the kernel keeps listening.
  bool closing_ = false;
  bool stopping_ = false;
  bool silent_ = false;
  std::vector<Connection> connections_;
  std::thread thread_;
};

}  // namespace norikv::testing
