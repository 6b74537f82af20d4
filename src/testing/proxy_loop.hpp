#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "testing/relay.hpp"

namespace norikv::testing {

/// The thread of a proxy: waits for its sockets and its times, and runs what is done to it in between. Owned by the
/// proxy.
class ProxyLoop {
 public:
  ProxyLoop(std::uint16_t port, std::uint16_t server);
  ~ProxyLoop();
  ProxyLoop(const ProxyLoop&) = delete;
  ProxyLoop& operator=(const ProxyLoop&) = delete;

  /// Runs a task on the thread, and returns when it has run. [any other thread]
  void run(const std::function<void(Relay&)>& task);

 private:
  void turn_over();
  void run_tasks();

  Relay relay_;
  int wake_[2] = {-1, -1};
  std::mutex mutex_;
  std::condition_variable ran_;
  std::vector<const std::function<void(Relay&)>*> tasks_;
  std::uint64_t asked_ = 0;
  std::uint64_t done_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace norikv::testing
