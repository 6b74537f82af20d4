#include "transport/grpc/retiring.hpp"

#include <grpcpp/alarm.h>
#include <grpcpp/channel.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "transport/grpc/tsan.hpp"

namespace norikv::transport {
namespace {

// How often the state of a channel is looked at: gRPC tells changes to completion queues alone.
constexpr auto look_again = std::chrono::milliseconds{20};

struct Retired {
  std::shared_ptr<grpc::Channel> channel;
  TimePoint over;  // when an attempt that is under way has surely ended
};

/// Whether a channel can be destroyed without leaving a connection behind. A channel that failed may be trying again
/// without saying so.
bool is_over(const Retired& retired, TimePoint now) {
  const grpc_connectivity_state state = retired.channel->GetState(false);
  return (state != GRPC_CHANNEL_CONNECTING && state != GRPC_CHANNEL_TRANSIENT_FAILURE) || now >= retired.over;
}

/// The channels that wait for the end of their attempt. Of the process, as gRPC's own timers are; never destroyed. The
/// keeper's channel outlives them, so destroying one on a thread of gRPC's joins nothing.
class Retirement {
 public:
  static Retirement& instance() {
    static auto* const retirement = new Retirement;
    return *retirement;
  }

  void take(Retired retired) {
    const std::lock_guard lock(mutex_);
    retired_.push_back(std::move(retired));
    if (!alarm_) look_later();
  }

 private:
  void look_later() {
    alarm_ = std::make_unique<grpc::Alarm>();
    into_grpc(this);
    alarm_->Set(std::chrono::system_clock::now() + look_again, [this](bool) {
      out_of_grpc(this);
      look();
    });
  }

  void look() {
    std::vector<Retired> over;  // destroyed outside of the mutex
    std::unique_ptr<grpc::Alarm> rung;
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    const auto end =
        std::partition(retired_.begin(), retired_.end(), [&](const Retired& each) { return !is_over(each, now); });
    std::move(end, retired_.end(), std::back_inserter(over));
    retired_.erase(end, retired_.end());
    rung = std::move(alarm_);
    if (!retired_.empty()) look_later();
  }

  std::mutex mutex_;
  std::vector<Retired> retired_;
  std::unique_ptr<grpc::Alarm> alarm_;  // rings while somebody waits
};

}  // namespace

void retire(std::shared_ptr<grpc::Channel> channel, Duration longest_attempt) {
  const auto now = std::chrono::steady_clock::now();
  // The timer that ends an attempt rings a little late.
  Retired retired{std::move(channel), now + longest_attempt + look_again};
  if (!is_over(retired, now)) Retirement::instance().take(std::move(retired));
}

}  // namespace norikv::transport
