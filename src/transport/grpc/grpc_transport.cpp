#include "transport/grpc/grpc_transport.hpp"

#include <algorithm>
#include <chrono>
#include <memory_resource>
#include <unordered_map>
#include <utility>

#include "transport/grpc/calls.hpp"
#include "transport/grpc/channels.hpp"
#include "transport/grpc/keeper.hpp"
#include "util/deadlines.hpp"
#include "util/earlier.hpp"
#include "util/recycler.hpp"

namespace norikv::transport {
namespace {

// gRPC status codes this transport gives by itself.
constexpr int invalid_argument = 3;
constexpr int deadline_exceeded = 4;
constexpr int unavailable = 14;

// Replies of so many bytes are enough for one turn: their copies are made on the loop, and each waits for its callback.
constexpr std::size_t bytes_per_turn = 1024 * 1024;

// gRPC carries a cancellation out where it is asked for, here on the loop: a crowd of calls to a node that hangs must
// not keep the replies of all others waiting.
constexpr int timed_out_per_turn = 32;

/// Carries calls over gRPC's callback API, one or more channels per node. Owned by the client core; everything but the
/// completions in `calls.cpp` is on the loop's thread, which thereby is the only one that destroys contexts and
/// channels.
class GrpcTransport final : public core::Transport, public CallOwner {
 public:
  GrpcTransport(loop::EventLoop& loop, core::TransportSink& sink, const ConnectionOptions& options)
      : loop_(loop), sink_(sink), options_(options) {
    keep_grpc();
    if (needs_heartbeat() && options.heartbeat > Duration::zero()) next_beat_ = TimePoint{};
  }

  void start(core::Call call) override {
    // gRPC would end the process for it.
    if (!core::may_be_sent(call.metadata)) return refuse(call.id, invalid_argument, illegal_metadata);
    // gRPC rounds deadlines up to milliseconds and might still send it.
    if (call.deadline <= std::chrono::steady_clock::now())
      return refuse(call.id, deadline_exceeded, "The deadline had passed before the call was sent");
    NodeChannels* const node = find(call.address);
    if (node == nullptr) return refuse(call.id, unavailable, not_connected);
    const core::CallId id = call.id;
    deadlines_.add(call.deadline, id, calls_);
    calls_.try_emplace(id, std::move(call), node->security(), loop_, *this).first->second.start(node->next());
  }

  void watch(core::WatchId id, const std::string& address, const core::Metadata& metadata) override {
    if (!core::may_be_sent(metadata)) return refuse(id, invalid_argument, illegal_metadata);
    NodeChannels* const node = find(address);
    if (node == nullptr) return refuse(id, unavailable, not_connected);
    auto& slot = streams_[id];
    slot = std::make_unique<ViewStream>(id, metadata, node->security(), loop_, *this);
    slot->start(node->first());
  }

  void cancel(core::CallId id) override {
    if (const auto found = calls_.find(id); found != calls_.end()) found->second.cancel();
  }

  void cancel(core::WatchId id) override {
    if (const auto found = streams_.find(id); found != streams_.end()) found->second->cancel();
  }

  void retain(const std::vector<std::string>& addresses) override {
    if (closing_) return;
    std::erase_if(nodes_,
                  [&](const auto& node) { return std::ranges::find(addresses, node.first) == addresses.end(); });
    for (const std::string& address : addresses) nodes_.try_emplace(address, address, options_, security_);
  }

  void secure(const core::TlsMaterial& material) override {
    if (closing_) return;
    security_ = std::make_shared<const Security>(material);
    // The old channels live on in their calls.
    for (auto& [address, channels] : nodes_) channels = NodeChannels(address, options_, security_);
  }

  void close(UniqueFunction<void()> done) override {
    closing_ = true;
    next_beat_.reset();
    done_ = std::move(done);
    for (auto& [id, call] : calls_) call.cancel();
    for (const auto& [id, stream] : streams_) stream->cancel();
    finish_close();
  }

  [[nodiscard]] std::optional<TimePoint> next_deadline() const override {
    return util::earlier(deadlines_.next(calls_), next_beat_);
  }

  void advance_to(TimePoint now) override {
    for (int i = 0; i < timed_out_per_turn; ++i) {
      const std::optional<core::CallId> due = deadlines_.take_due(now, calls_);
      if (!due) break;
      calls_.at(*due).time_out();
    }
    if (next_beat_ && now >= *next_beat_) next_beat_ = heartbeat(now, options_.heartbeat);
  }

 private:
  static constexpr const char* illegal_metadata = "Metadata that HTTP/2 can't carry";
  static constexpr const char* not_connected = "Not a node of this client";

  void on_done(UnaryCall& call) override {
    core::Reply reply = call.take_reply();
    calls_.erase(call.id());
    if (reply.body) taken_bytes_ += reply.body->size();
    if (taken_bytes_ >= bytes_per_turn) {
      taken_bytes_ = 0;
      loop_.leave_rest();
    }
    sink_.on_reply(std::move(reply));
    finish_close();
  }

  void on_message(ViewStream& stream) override {
    if (std::optional<wire::LeaderView> view = stream.take_view()) sink_.on_view(stream.id(), std::move(*view));
    stream.read_next();
  }

  void on_done(ViewStream& stream) override {
    core::StreamEnd end = stream.take_end();
    streams_.erase(stream.id());
    sink_.on_stream_end(std::move(end));
    finish_close();
  }

  [[nodiscard]] NodeChannels* find(const std::string& address) {
    const auto found = nodes_.find(address);
    return found == nodes_.end() || closing_ ? nullptr : &found->second;
  }

  // The sink is never called from inside a method of the transport.
  void refuse(core::CallId id, int status, const char* message) {
    ++refusals_;
    (void)loop_.post([this, id, status, message] {
      --refusals_;
      core::Reply reply;
      reply.id = id;
      reply.status = status;
      reply.message = message;
      reply.sent = core::Sent::not_sent;
      sink_.on_reply(std::move(reply));
      finish_close();
    });
  }

  void refuse(core::WatchId id, int status, const char* message) {
    ++refusals_;
    (void)loop_.post([this, id, status, message] {
      --refusals_;
      sink_.on_stream_end({id, status, message});
      finish_close();
    });
  }

  void finish_close() {
    if (!done_ || !calls_.empty() || !streams_.empty() || refusals_ > 0) return;
    nodes_.clear();
    (void)loop_.post(std::exchange(done_, nullptr));
  }

  loop::EventLoop& loop_;
  core::TransportSink& sink_;
  const ConnectionOptions options_;
  std::shared_ptr<const Security> security_ = std::make_shared<const Security>();
  std::unordered_map<std::string, NodeChannels> nodes_;
  util::Recycler memory_;
  std::pmr::unordered_map<core::CallId, UnaryCall> calls_{&memory_};
  mutable util::Deadlines<core::CallId> deadlines_;
  std::unordered_map<core::WatchId, std::unique_ptr<ViewStream>> streams_;
  std::size_t taken_bytes_ = 0;  // of replies, since a turn was cut short
  std::size_t refusals_ = 0;     // on their way to the sink
  std::optional<TimePoint> next_beat_;
  bool closing_ = false;
  UniqueFunction<void()> done_;
};

}  // namespace

std::unique_ptr<core::Transport> make_grpc_transport(loop::EventLoop& loop, core::TransportSink& sink,
                                                     const ConnectionOptions& options,
                                                     const std::vector<std::string>& addresses,
                                                     const std::optional<core::TlsMaterial>& tls) {
  auto transport = std::make_unique<GrpcTransport>(loop, sink, options);
  if (tls) transport->secure(*tls);
  transport->retain(addresses);
  return transport;
}

}  // namespace norikv::transport
