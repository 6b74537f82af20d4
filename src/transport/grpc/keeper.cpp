#include "transport/grpc/keeper.hpp"

#include <grpc/grpc.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/version_info.h>

#include <atomic>
#include <memory>
#include <string>

#include "transport/grpc/tsan.hpp"

namespace norikv::transport {
namespace {

// One call that fails at once without leaving the process. It ends on a gRPC thread and destroys itself there, which is
// safe because the keeper's channel always outlives it.
struct Beat {
  grpc::ClientContext context;
  grpc::ByteBuffer request{nullptr, 0};
  grpc::ByteBuffer reply;
};

class Keeper {
 public:
  static Keeper& instance() {
    static auto* const keeper = new Keeper;  // leaked: gRPC must not be torn down by static destructors
    return *keeper;
  }

  TimePoint beat(TimePoint now, Duration interval) {
    TimePoint last = last_.load(std::memory_order_relaxed);
    while (now >= last + interval) {
      if (!last_.compare_exchange_weak(last, now, std::memory_order_relaxed)) continue;
      send();
      return now + interval;
    }
    return last + interval;
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  // A channel without credentials is one on which every call fails.
  Keeper() : channel_((grpc_init(), grpc::CreateChannel("", nullptr))), stub_(channel_) {
    send();  // a channel holds on to the callback threads from its first callback call on
  }

  void send() {
    static const std::string method = "/norikv.Keeper/Beat";
    auto* const beat = new Beat;
    count_.fetch_add(1, std::memory_order_relaxed);
    into_grpc(beat);
    stub_.UnaryCall(&beat->context, method, {}, &beat->request, &beat->reply, [beat](const grpc::Status&) noexcept {
      out_of_grpc(beat);
      delete beat;
    });
  }

  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  std::atomic<TimePoint> last_{TimePoint::min() + max_duration};
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace

bool needs_heartbeat() noexcept { return GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR < 71; }

void keep_grpc() { Keeper::instance(); }

TimePoint heartbeat(TimePoint now, Duration interval) { return Keeper::instance().beat(now, interval); }

std::uint64_t heartbeats() noexcept { return Keeper::instance().count(); }

}  // namespace norikv::transport
