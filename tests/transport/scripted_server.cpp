#include "transport/scripted_server.hpp"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <deque>
#include <stdexcept>
#include <thread>

#include "transport/grpc/tsan.hpp"

namespace norikv::test {
namespace {

// What the completion queue hands back; runs once.
using Step = std::function<void(bool ok)>;
void* tag(Step step) {
  auto* const owned = new Step(std::move(step));
  transport::into_grpc(owned);
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
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

std::shared_ptr<grpc::ServerCredentials> credentials_of(const std::optional<ServerTls>& tls) {
  if (!tls) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(tls->client_ca.empty()
                                                ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_key_cert_pairs.push_back({tls->key, tls->certificate});
  options.pem_root_certs = tls->client_ca;
  return grpc::SslServerCredentials(options);
}

}  // namespace

struct ScriptedServer::Server {
  grpc::AsyncGenericService service;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
  std::unique_ptr<grpc::Server> server;
  std::thread thread;
  // Under this mutex operations are started, so that none is after the queue was shut down.
  std::recursive_mutex mutex;
  bool stopped = false;
};

class ScriptedServer::Call final : public ServerCall, public std::enable_shared_from_this<Call> {
 public:
  explicit Call(Server& server) : server_(server) {}

  void request_from(grpc::AsyncGenericService& service, Step arrived) {
    when_over_ = tag([self = shared_from_this()](bool) { self->over_ = true; });
    context_.AsyncNotifyWhenDone(when_over_);
    service.RequestCall(&context_, &stream_, server_.queue.get(), server_.queue.get(), tag(std::move(arrived)));
  }

  // gRPC does not hand this one back for a call that never came.
  void never_came() { delete static_cast<Step*>(when_over_); }

  void read(Step done) {
    const std::lock_guard lock(server_.mutex);
    if (!server_.stopped) stream_.Read(&incoming_, tag(std::move(done)));
  }
  void take_in() { request_ = to_string(incoming_); }
  [[nodiscard]] std::string peer() const { return context_.peer(); }

  [[nodiscard]] const std::string& method() const override { return context_.method(); }
  [[nodiscard]] const std::string& request() const override { return request_; }
  [[nodiscard]] std::string metadata(const std::string& key) const override {
    const auto found = context_.client_metadata().find(key);
    return found == context_.client_metadata().end() ? "" : std::string(found->second.data(), found->second.size());
  }
  [[nodiscard]] std::chrono::system_clock::time_point deadline() const override { return context_.deadline(); }
  [[nodiscard]] std::size_t sent() const override { return sent_; }
  [[nodiscard]] bool over() const override { return over_; }

  void answer(Answer answer) override {
    const std::lock_guard lock(server_.mutex);
    for (const auto& [key, value] : answer.initial_metadata) context_.AddInitialMetadata(key, value);
    for (const auto& [key, value] : answer.trailing_metadata) context_.AddTrailingMetadata(key, value);
    if (answer.body) outgoing_.push_back(std::move(*answer.body));
    end_ = grpc::Status(static_cast<grpc::StatusCode>(answer.status), answer.message);
    go_on();
  }

  void send(std::string message) override {
    const std::lock_guard lock(server_.mutex);
    outgoing_.push_back(std::move(message));
    go_on();
  }

 private:
  // One operation at a time.
  void go_on() {
    if (busy_ || server_.stopped) return;
    if (!outgoing_.empty()) {
      busy_ = true;
      const grpc::ByteBuffer buffer = to_buffer(outgoing_.front());
      outgoing_.pop_front();
      stream_.Write(buffer, tag([self = shared_from_this()](bool ok) { self->on_written(ok); }));
    } else if (end_) {
      busy_ = true;
      stream_.Finish(*end_, tag([self = shared_from_this()](bool) {}));
    }
  }

  void on_written(bool ok) {
    const std::lock_guard lock(server_.mutex);
    if (!ok) return;
    busy_ = false;
    ++sent_;
    go_on();
  }

  Server& server_;
  void* when_over_ = nullptr;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  grpc::ByteBuffer incoming_;
  std::string request_;
  std::deque<std::string> outgoing_;
  std::optional<grpc::Status> end_;
  bool busy_ = false;
  std::atomic<std::size_t> sent_{0};
  std::atomic<bool> over_{false};
};

ScriptedServer::ScriptedServer(Script script, const std::string& listen, const std::optional<ServerTls>& tls)
    : script_(std::move(script)), server_(std::make_unique<Server>()) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(listen, credentials_of(tls), &port_);
  builder.RegisterAsyncGenericService(&server_->service);
  // A test that finds its port taken has to fail, not to share it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  server_->queue = builder.AddCompletionQueue();
  server_->server = builder.BuildAndStart();
  if (server_->server == nullptr) throw std::runtime_error("Nothing can listen at " + listen);
  address_ = listen.starts_with("unix:") ? listen : listen.substr(0, listen.rfind(':') + 1) + std::to_string(port_);
  accept();
  server_->thread = std::thread([queue = server_->queue.get()] {
    void* got = nullptr;
    for (bool ok = false; queue->Next(&got, &ok);) {
      transport::out_of_grpc(got);
      const std::unique_ptr<Step> step(static_cast<Step*>(got));
      (*step)(ok);
    }
  });
}

ScriptedServer::~ScriptedServer() { stop(); }

void ScriptedServer::accept() {
  const std::lock_guard lock(server_->mutex);
  if (server_->stopped) return;
  auto call = std::make_shared<Call>(*server_);
  call->request_from(server_->service, [this, call](bool ok) {
    if (!ok) return call->never_came();
    accept();
    call->read([this, call](bool read) {
      if (!read) return;
      call->take_in();
      {
        const std::lock_guard own(mutex_);
        peers_.insert(call->peer());
        calls_.push_back(call);
      }
      script_(*call);
    });
  });
}

void ScriptedServer::stop() {
  {
    const std::lock_guard lock(server_->mutex);
    if (std::exchange(server_->stopped, true)) return;
  }
  server_->server->Shutdown(std::chrono::system_clock::now());
  server_->queue->Shutdown();
  server_->thread.join();
}

std::size_t ScriptedServer::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_.size();
}

ServerCall& ScriptedServer::call(std::size_t index) const {
  const std::lock_guard lock(mutex_);
  return *calls_.at(index);
}

std::size_t ScriptedServer::connections() const {
  const std::lock_guard lock(mutex_);
  return peers_.size();
}

ScriptedServer::Script always(Answer answer) {
  return [answer = std::move(answer)](ServerCall& call) { call.answer(answer); };
}

ScriptedServer::Script silent() {
  return [](ServerCall&) {};
}

}  // namespace norikv::test
