#include "testing/proxy_loop.hpp"

#include <algorithm>
#include <chrono>

#include <poll.h>
#include <unistd.h>

#include "testing/sockets.hpp"

namespace norikv::testing {
namespace {

TimePoint now() { return std::chrono::steady_clock::now(); }

/// For poll: rounded up, so that it is not too early.
int milliseconds_until(TimePoint until) {
  if (until == TimePoint::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

}  // namespace

ProxyLoop::ProxyLoop(std::uint16_t port, std::uint16_t server) : relay_(port, server) {
  sockets::make_pipe(wake_);
  thread_ = std::thread([this] {
    while (!stopping_) turn_over();
  });
}

ProxyLoop::~ProxyLoop() {
  run([this](Relay&) { stopping_ = true; });
  thread_.join();
  ::close(wake_[0]);
  ::close(wake_[1]);
}

void ProxyLoop::run(const std::function<void(Relay&)>& task) {
  std::unique_lock lock(mutex_);
  tasks_.push_back(&task);
  const std::uint64_t number = ++asked_;
  const char byte = 0;
  // A full pipe wakes as well.
  [[maybe_unused]] const ssize_t written = ::write(wake_[1], &byte, 1);
  ran_.wait(lock, [&] { return done_ >= number; });
}

void ProxyLoop::run_tasks() {
  sockets::drain(wake_[0]);
  const std::lock_guard lock(mutex_);
  for (const auto* task : tasks_) (*task)(relay_);
  done_ += tasks_.size();
  tasks_.clear();
  ran_.notify_all();
}

void ProxyLoop::turn_over() {
  std::vector<pollfd> waiting{{wake_[0], POLLIN, 0}};
  const TimePoint until = relay_.prepare(waiting, now());
  if (::poll(waiting.data(), static_cast<nfds_t>(waiting.size()), milliseconds_until(until)) < 0) return;
  relay_.turn(waiting.data() + 1, now());
  if (waiting[0].revents != 0) run_tasks();
}

}  // namespace norikv::testing
