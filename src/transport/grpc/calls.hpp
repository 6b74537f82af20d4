#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <optional>
#include <string>

#include "core/transport.hpp"
#include "loop/event_loop.hpp"

// What is on the wire, one object each. They are made and destroyed on the loop's thread; a gRPC thread stores its
// result in them and posts, nothing else. Internal to this folder: it names gRPC.
namespace norikv::transport {

class Security;
class UnaryCall;
class ViewStream;

/// Whoever owns calls and streams. [loop thread]
class CallOwner {
 public:
  /// gRPC is through with the call.
  virtual void on_done(UnaryCall& call) = 0;
  /// A message waits in the stream.
  virtual void on_message(ViewStream& stream) = 0;
  /// gRPC is through with the stream.
  virtual void on_done(ViewStream& stream) = 0;

 protected:
  ~CallOwner() = default;
};

/// One attempt of a request. Owned by the transport from before its start until `on_done`.
class UnaryCall {
 public:
  UnaryCall(core::Call call, std::shared_ptr<const Security> security, loop::EventLoop& loop, CallOwner& owner);
  UnaryCall(const UnaryCall&) = delete;
  UnaryCall& operator=(const UnaryCall&) = delete;

  [[nodiscard]] core::CallId id() const noexcept { return id_; }

  /// The completion may run before this returns.
  void start(const std::shared_ptr<grpc::Channel>& channel);
  void cancel() { context_.TryCancel(); }
  /// Its deadline has come.
  void time_out() {
    timed_out_ = true;
    cancel();
  }
  /// After `on_done`.
  [[nodiscard]] core::Reply take_reply();

 private:
  [[nodiscard]] core::Sent sent() const;

  const core::CallId id_;
  const std::string address_;
  const std::string& path_;
  const std::shared_ptr<const Security> security_;  // of the channel
  loop::EventLoop& loop_;
  CallOwner& owner_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  grpc::Status status_;
  bool timed_out_ = false;
};

/// One topology stream. Owned by the transport from before its start until `on_done`.
///
/// One read is outstanding at a time, and the next one starts when the loop has consumed the message before: a slow
/// loop slows the server down instead of piling up views. Because reads start outside of gRPC's reactions the stream
/// carries a hold, which is released by the read that fails; so whatever happens the loop goes on reading until a read
/// fails.
class ViewStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ViewStream(core::WatchId id, const core::Metadata& metadata, std::shared_ptr<const Security> security,
             loop::EventLoop& loop, CallOwner& owner);

  [[nodiscard]] core::WatchId id() const noexcept { return id_; }

  void start(const std::shared_ptr<grpc::Channel>& channel);
  void cancel();
  /// After `on_message`: the view, unless the stream was cancelled or the message was no view, which ends the stream.
  [[nodiscard]] std::optional<wire::LeaderView> take_view();
  /// After `on_message`: lets the next message come.
  void read_next();
  /// After `on_done`.
  [[nodiscard]] core::StreamEnd take_end();

 private:
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  const core::WatchId id_;
  const std::shared_ptr<const Security> security_;  // of the channel
  loop::EventLoop& loop_;
  CallOwner& owner_;
  bool cancelled_ = false;
  std::string broken_;  // why the last message was no view
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer message_;
  wire::Decoded<wire::LeaderView> decoded_;
  grpc::Status status_;
};

}  // namespace norikv::transport
