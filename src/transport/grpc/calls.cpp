#include "transport/grpc/calls.hpp"

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/slice.h>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/grpc/channels.hpp"
#include "transport/grpc/connect_failure.hpp"
#include "transport/grpc/tsan.hpp"

namespace norikv::transport {
namespace {

constexpr std::size_t longest_text = 1024;

// Up to this size copying a payload is cheaper than sharing it, which takes two allocations.
constexpr std::size_t largest_copied = 4096;

grpc::Slice slice_of(const wire::Payload& payload) {
  if (payload->size() <= largest_copied) return grpc::Slice(payload->data(), payload->size());
  // gRPC never writes to a slice. It may let go of it on a thread of its own, also after the call has ended, while
  // the connection still writes it; that frees memory and touches nothing else.
  return grpc::Slice(
      const_cast<char*>(payload->data()), payload->size(),
      [](void* owner) { delete static_cast<wire::Payload*>(owner); }, new wire::Payload(payload));
}

grpc::ByteBuffer request_of(const wire::Payload& payload, const std::string& suffix) {
  const std::array slices{slice_of(payload), grpc::Slice(suffix)};
  return grpc::ByteBuffer(slices.data(), suffix.empty() ? 1 : 2);
}

// None if there was no message, or one that gRPC could not decompress.
std::optional<std::string> bytes_of(const grpc::ByteBuffer& buffer) {
  if (!buffer.Valid()) return std::nullopt;
  std::string bytes;
  bytes.reserve(buffer.Length());
  const auto append = [&](const grpc::Slice& slice) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  };
  if (grpc::Slice whole; buffer.TrySingleSlice(&whole).ok()) {  // as short ones are: without a list
    append(whole);
    return bytes;
  }
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return std::nullopt;
  for (const grpc::Slice& slice : slices) append(slice);
  return bytes;
}

// By way of the time that is left: the two clocks need not have the same zero.
gpr_timespec deadline_of(TimePoint deadline) {
  const Duration left = deadline - std::chrono::steady_clock::now();
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left.count(), GPR_TIMESPAN));
}

std::string cut(std::string_view text) { return std::string(text.substr(0, longest_text)); }

void collect(const std::multimap<grpc::string_ref, grpc::string_ref>& from, core::Metadata& to) {
  for (const auto& [key, value] : from) {
    const std::string_view name(key.data(), key.size());
    if (core::wanted_metadata(name)) to.emplace_back(name, cut({value.data(), value.size()}));
  }
}

}  // namespace

UnaryCall::UnaryCall(core::Call call, std::shared_ptr<const Security> security, loop::EventLoop& loop, CallOwner& owner)
    : id_(call.id),
      address_(std::move(call.address)),
      path_(wire::path(call.method)),
      security_(std::move(security)),
      loop_(loop),
      owner_(owner),
      request_(request_of(call.payload, call.suffix)) {
  context_.set_deadline(deadline_of(call.deadline));
  for (const auto& [key, value] : call.metadata) context_.AddMetadata(key, value);
}

void UnaryCall::start(const std::shared_ptr<grpc::Channel>& channel) {
  into_grpc(this);
  grpc::GenericStub(channel).UnaryCall(&context_, path_, {}, &request_, &response_,
                                       [this](grpc::Status status) noexcept {
                                         out_of_grpc(this);
                                         status_ = std::move(status);
                                         (void)loop_.post([this] { owner_.on_done(*this); });
                                       });
}

core::Reply UnaryCall::take_reply() {
  core::Reply reply;
  reply.id = id_;
  reply.status = status_.error_code();
  reply.message = cut(status_.error_message());
  if (timed_out_ && status_.error_code() == grpc::StatusCode::CANCELLED) {
    reply.status = grpc::StatusCode::DEADLINE_EXCEEDED;
    reply.message = "No answer in time";
  }
  if (status_.ok()) {
    reply.body = bytes_of(response_);
  } else {
    reply.sent = sent();
    if (reply.sent == core::Sent::not_sent)
      reply.message = cut(explain_connect_failure(reply.message, security_->facts()));
    collect(context_.GetServerInitialMetadata(), reply.metadata);
    collect(context_.GetServerTrailingMetadata(), reply.metadata);
  }
  return reply;
}

// gRPC does not tell whether a call left the process, but a call that never got a connection shows two things: its peer
// still is the target, and its text is one of those gRPC gives in that case. Neither is enough alone. The peer is set
// back to the target when a write is cut off, and a peer may have sent that text (only with the connection's peer).
// Texts of a gRPC to come that differ make more calls `unknown`, never a sent one `not_sent`;
// tests/transport/sent_test.cpp keeps the table.
core::Sent UnaryCall::sent() const {
  const bool no_connection = status_.error_code() == grpc::StatusCode::UNAVAILABLE &&
                             found_no_connection(status_.error_message()) && context_.peer() == grpc_target(address_);
  return no_connection ? core::Sent::not_sent : core::Sent::unknown;
}

ViewStream::ViewStream(core::WatchId id, const core::Metadata& metadata, std::shared_ptr<const Security> security,
                       loop::EventLoop& loop, CallOwner& owner)
    : id_(id),
      security_(std::move(security)),
      loop_(loop),
      owner_(owner),
      request_(request_of(std::make_shared<const std::string>(wire::encode_watch()), {})) {
  for (const auto& [key, value] : metadata) context_.AddMetadata(key, value);
}

void ViewStream::start(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::GenericStub(channel).PrepareBidiStreamingCall(&context_, wire::path(wire::Method::watch_cluster), {}, this);
  into_grpc(this);
  AddHold();
  StartWriteLast(&request_, grpc::WriteOptions());
  StartRead(&message_);
  StartCall();
}

void ViewStream::cancel() {
  cancelled_ = true;
  context_.TryCancel();
}

std::optional<wire::LeaderView> ViewStream::take_view() {
  if (cancelled_) return std::nullopt;
  if (decoded_) return std::move(*decoded_);
  broken_ = cut("The topology stream sent a message that is no view: " + decoded_.error());
  cancel();
  return std::nullopt;
}

void ViewStream::read_next() {
  message_.Clear();
  into_grpc(this);
  StartRead(&message_);
}

core::StreamEnd ViewStream::take_end() {
  if (!broken_.empty()) return {id_, grpc::StatusCode::INTERNAL, std::move(broken_)};
  std::string text = status_.error_message();
  if (status_.error_code() == grpc::StatusCode::UNAVAILABLE && found_no_connection(text))
    text = explain_connect_failure(text, security_->facts());
  return {id_, status_.error_code(), cut(text)};
}

void ViewStream::OnReadDone(bool ok) {
  out_of_grpc(this);
  if (!ok) return RemoveHold();
  std::optional<std::string> bytes = bytes_of(message_);
  decoded_ = bytes ? wire::decode_leaders(std::move(*bytes))
                   : tl::make_unexpected<std::string>("it could not be decompressed");
  (void)loop_.post([this] { owner_.on_message(*this); });
}

void ViewStream::OnDone(const grpc::Status& status) {
  out_of_grpc(this);
  status_ = status;
  (void)loop_.post([this] { owner_.on_done(*this); });
}

}  // namespace norikv::transport
