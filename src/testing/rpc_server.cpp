#include "testing/rpc_server.hpp"

#include <chrono>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "util/tsan.hpp"

namespace norikv::testing {
namespace {

/// Calls that may arrive while one is taken in.
constexpr int acceptors = 8;

/// What the completion queue hands back; runs once.
using Step = UniqueFunction<void(bool ok)>;
void* tag(Step step) {
  auto* const owned = new Step(std::move(step));
  util::into_foreign(owned);
  return owned;
}

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string to_string(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

/// gRPC compresses only what gets smaller by it. So the message gets a field that no parser knows and that compresses
/// well: number 1000, 1 KiB of zeros.
void make_compressible(std::string& message) {
  message += {'\xc2', '\x3e', '\x80', '\x08'};
  message.append(1024, '\0');
}

}  // namespace

struct RpcServer::Core {
  explicit Core(Handler& handed) : handler(handed) {}

  static void accept(const std::shared_ptr<Core>& self);

  Handler& handler;
  grpc::AsyncGenericService service;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
  std::thread thread;
  std::mutex mutex;      ///< Operations are started under it, so that none is after the queue was shut down.
  bool stopped = false;  ///< Under `mutex`.
};

/// Each tag in the queue holds the call.
class RpcServer::Call final : public Exchange, public std::enable_shared_from_this<Call> {
 public:
  explicit Call(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  /// Under the core's mutex.
  void request(Step arrived) {
    when_over_ = tag([self = shared_from_this()](bool) { self->end(); });
    context_.AsyncNotifyWhenDone(when_over_);
    core_->service.RequestCall(&context_, &stream_, core_->queue.get(), core_->queue.get(), tag(std::move(arrived)));
  }
  /// gRPC does not hand this tag back for a call that never came.
  void never_came() { delete static_cast<Step*>(when_over_); }

  void read() {
    const std::lock_guard lock(core_->mutex);
    if (core_->stopped) return;
    stream_.Read(&incoming_, tag([self = shared_from_this()](bool ok) { self->on_read(ok); }));
  }

  const std::string& path() const override { return context_.method(); }
  std::string peer() const override { return context_.peer(); }
  std::string metadata(const std::string& key) const override {
    const auto found = context_.client_metadata().find(key);
    return found == context_.client_metadata().end() ? "" : std::string(found->second.data(), found->second.size());
  }
  TimePoint deadline() const override {
    const auto wall = context_.deadline();
    if (wall == std::chrono::system_clock::time_point::max()) return TimePoint::max();
    return std::chrono::steady_clock::now() + (wall - std::chrono::system_clock::now());
  }
  const std::string& request() const override { return request_; }

  void answer(RpcReply reply) override {
    const std::lock_guard lock(core_->mutex);
    if (answer_) return;
    answer_ = std::move(reply);
    if (!writing_) finish();
  }

  void send(std::string message, UniqueFunction<void()> sent) override {
    const std::lock_guard lock(core_->mutex);
    if (core_->stopped || answer_ || writing_) return;
    writing_ = true;
    sent_ = std::move(sent);
    stream_.Write(to_buffer(message), tag([self = shared_from_this()](bool ok) { self->on_written(ok); }));
  }

  void on_over(UniqueFunction<void()> over) override {
    {
      const std::lock_guard lock(core_->mutex);
      if (!over_) {
        when_over_told_ = std::move(over);
        return;
      }
    }
    over();
  }

 private:
  void on_read(bool ok) {
    if (!ok) return answer({static_cast<int>(grpc::StatusCode::INTERNAL), "Missing request message."});
    request_ = to_string(incoming_);
    incoming_.Clear();
    core_->handler.on_request(shared_from_this());
  }

  void on_written(bool ok) {
    UniqueFunction<void()> sent;
    {
      const std::lock_guard lock(core_->mutex);
      writing_ = false;
      if (answer_) return finish();
      if (ok) sent = std::move(sent_);
    }
    if (sent) sent();
  }

  /// Under the core's mutex.
  void finish() {
    if (core_->stopped) return;
    for (const auto& [key, value] : answer_->initial_metadata) context_.AddInitialMetadata(key, value);
    for (const auto& [key, value] : answer_->trailing_metadata) context_.AddTrailingMetadata(key, value);
    const grpc::Status status(static_cast<grpc::StatusCode>(answer_->status), answer_->message);
    void* const done = tag([self = shared_from_this()](bool) {});
    if (!answer_->body) return stream_.Finish(status, done);
    if (answer_->encoding == Encoding::gzip) {
      context_.set_compression_algorithm(GRPC_COMPRESS_GZIP);
      make_compressible(*answer_->body);
    }
    stream_.WriteAndFinish(to_buffer(*answer_->body), {}, status, done);
  }

  void end() {
    UniqueFunction<void()> told;
    {
      const std::lock_guard lock(core_->mutex);
      over_ = true;
      told = std::move(when_over_told_);
    }
    if (told) told();
  }

  const std::shared_ptr<Core> core_;
  void* when_over_ = nullptr;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  grpc::ByteBuffer incoming_;
  std::string request_;
  // Under the core's mutex.
  std::optional<RpcReply> answer_;
  UniqueFunction<void()> sent_;
  UniqueFunction<void()> when_over_told_;
  bool writing_ = false;
  bool over_ = false;
};

void RpcServer::Core::accept(const std::shared_ptr<Core>& self) {
  const std::lock_guard lock(self->mutex);
  if (self->stopped) return;
  auto call = std::make_shared<Call>(self);
  call->request([self, call](bool ok) {
    if (!ok) return call->never_came();
    accept(self);
    self->handler.on_call(call, [call] { call->read(); });
  });
}

RpcServer::RpcServer(Handler& handler) : core_(std::make_shared<Core>(handler)) {}

RpcServer::~RpcServer() { kill(); }

bool RpcServer::start(const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  grpc::ServerBuilder builder;
  // The real server's own limit and time-out answer with other statuses than gRPC's (services.cpp, engine.cpp).
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_DEADLINE_CHECKS, 0);
  // gRPC from 1.57 on refuses calls that wait for their acceptor, far too few for a burst on a busy machine.
  builder.AddChannelArgument("grpc.server.max_pending_requests", 1 << 20);
  builder.AddChannelArgument("grpc.server.max_pending_requests_hard_limit", 1 << 20);
  builder.RegisterAsyncGenericService(&core_->service);
  core_->queue = builder.AddCompletionQueue();
  core_->acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  core_->server = builder.BuildAndStart();
  if (core_->server == nullptr) return false;
  for (int i = 0; i < acceptors; ++i) Core::accept(core_);
  core_->thread = std::thread([queue = core_->queue.get()] {
    void* got = nullptr;
    for (bool ok = false; queue->Next(&got, &ok);) {
      util::out_of_foreign(got);
      const std::unique_ptr<Step> step(static_cast<Step*>(got));
      (*step)(ok);
    }
  });
  return true;
}

void RpcServer::serve(int socket) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.fd = socket;
  core_->acceptor->HandleNewConnection(&connection);
}

void RpcServer::retire() {
  drain_ = std::thread([this] {
    core_->server->Shutdown(std::chrono::system_clock::time_point::max());
    drained_ = true;
  });
}

void RpcServer::kill() {
  if (!core_->thread.joinable()) return;
  // A deadline that has passed: the epoch. (gRPC takes earlier ones for "never".) A retired server ends by itself, its
  // connections being gone.
  if (drain_.joinable()) {
    drain_.join();
  } else {
    core_->server->Shutdown(std::chrono::system_clock::time_point{});
  }
  {
    const std::lock_guard lock(core_->mutex);
    core_->stopped = true;
  }
  core_->queue->Shutdown();
  core_->thread.join();
}

}  // namespace norikv::testing
