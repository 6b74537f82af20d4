#include "testing/node_server.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include <unistd.h>

#include <grpcpp/grpcpp.h>

#include "testing/cluster_model.hpp"

namespace norikv::testing {
namespace {

/// When the last gRPC object of a process goes, whoever destroys it waits up to a second for the threads of gRPC's
/// event engine. A channel that is never used and never destroyed keeps them.
std::shared_ptr<grpc::Channel> event_engine_keeper() {
  static auto& keeper =
      *new std::shared_ptr<grpc::Channel>(grpc::CreateChannel("ipv4:127.0.0.1:1", grpc::InsecureChannelCredentials()));
  return keeper;
}

RpcReply to_reply(ScriptedReply reply) {
  return {reply.status, std::move(reply.message), std::move(reply.body), std::move(reply.initial_metadata),
          std::move(reply.trailing_metadata)};
}

TimePoint in(Duration time) { return std::chrono::steady_clock::now() + time; }

}  // namespace

/// A call on its way back: what the services answer passes the faults that hit it.
class NodeServer::FaultyExchange final : public Exchange, public std::enable_shared_from_this<FaultyExchange> {
 public:
  FaultyExchange(NodeServer& server, std::shared_ptr<Exchange> call, Treatment treatment)
      : server_(server), call_(std::move(call)), treatment_(std::move(treatment)) {}

  const std::string& path() const override { return call_->path(); }
  std::string peer() const override { return call_->peer(); }
  std::string metadata(const std::string& key) const override { return call_->metadata(key); }
  TimePoint deadline() const override { return call_->deadline(); }
  const std::string& request() const override { return call_->request(); }
  void on_over(UniqueFunction<void()> over) override { call_->on_over(std::move(over)); }

  void answer(RpcReply reply) override {
    if (treatment_.drop) return server_.cut(*call_);
    if (treatment_.reply) reply = to_reply(std::move(*treatment_.reply));
    if (treatment_.compress) reply.encoding = Encoding::gzip;
    server_.when_in_contact([call = call_, reply = std::move(reply)]() mutable { call->answer(std::move(reply)); });
  }

  void send(std::string message, UniqueFunction<void()> sent) override {
    // A stream that is to end another way does so behind its first view.
    if (treatment_.drop || treatment_.reply) {
      sent = [self = shared_from_this()] { self->answer({}); };
    }
    server_.when_in_contact([call = call_, message = std::move(message), sent = std::move(sent)]() mutable {
      call->send(std::move(message), std::move(sent));
    });
  }

 private:
  NodeServer& server_;
  const std::shared_ptr<Exchange> call_;
  Treatment treatment_;
};

NodeServer::NodeServer(NodeParts parts, NodeIndex node, std::uint16_t port)
    : keeper_(event_engine_keeper()),
      parts_(std::move(parts)),
      node_(node),
      services_(parts_.engine, node, parts_.shapes),
      listener_(port, [this](int socket) { take_connection(socket); }) {}

bool NodeServer::start() {
  {
    const std::lock_guard lock(mutex_);
    server_ = std::make_unique<RpcServer>(static_cast<RpcServer::Handler&>(*this));
    if (!server_->start(parts_.access.credentials())) return false;
    if (refused_ > 0) return running_ = true;
  }
  running_ = listener_.open();
  return running_;
}

void NodeServer::kill() {
  running_ = false;
  listener_.close();
  listener_.cut_all();
  std::unique_ptr<RpcServer> server;
  std::vector<std::unique_ptr<RpcServer>> retired;
  std::vector<UniqueFunction<void()>> held;
  const std::lock_guard lock(mutex_);
  server.swap(server_);
  retired.swap(retired_);
  held.swap(held_);
}

void NodeServer::go_away() {
  std::vector<std::unique_ptr<RpcServer>> drained;
  const std::lock_guard lock(mutex_);
  if (!server_) return;
  auto next = std::make_unique<RpcServer>(static_cast<RpcServer::Handler&>(*this));
  if (!next->start(parts_.access.credentials())) return;
  server_.swap(next);
  next->retire();
  retired_.push_back(std::move(next));
  const auto first =
      std::partition(retired_.begin(), retired_.end(), [](const auto& each) { return !each->drained(); });
  drained.assign(std::move_iterator(first), std::move_iterator(retired_.end()));
  retired_.erase(first, retired_.end());
}

void NodeServer::isolate(Isolation how) {
  {
    const std::lock_guard lock(mutex_);
    ++(how == Isolation::silent ? silent_ : refused_);
    isolated_ = true;
  }
  if (how == Isolation::silent) {
    listener_.silence();
  } else {
    listener_.close();
    listener_.cut_all();
  }
}

void NodeServer::reconnect(Isolation how) {
  std::vector<UniqueFunction<void()>> held;
  bool hear = false;
  bool listen = false;
  {
    const std::lock_guard lock(mutex_);
    --(how == Isolation::silent ? silent_ : refused_);
    hear = silent_ == 0;
    listen = refused_ == 0 && running_;
    isolated_ = silent_ + refused_ > 0;
    if (!isolated_) held.swap(held_);
  }
  if (hear) listener_.hear();
  // Nobody else can have taken the port: the cluster reserves it.
  if (listen) running_ = listener_.open();
  for (UniqueFunction<void()>& task : held) task();
}

void NodeServer::when_in_contact(UniqueFunction<void()> task) {
  if (isolated_) {
    const std::lock_guard lock(mutex_);
    if (isolated_) {
      held_.push_back(std::move(task));
      return;
    }
  }
  task();
}

void NodeServer::take_connection(int socket) {
  const std::lock_guard lock(mutex_);
  if (server_) return server_->serve(socket);
  ::close(socket);
}

void NodeServer::on_call(std::shared_ptr<Exchange> call, UniqueFunction<void()> read) {
  const std::optional<Method> method = Services::method_of(call->path());
  const Duration pause = method ? parts_.faults.read_pause({node_, *method}) : Duration{0};
  if (pause <= Duration{0}) return read();
  parts_.timer.at(in(pause), std::move(read));
}

void NodeServer::on_request(std::shared_ptr<Exchange> call) {
  const std::optional<Method> method = Services::method_of(call->path());
  if (!method) return services_.refuse_unknown(std::make_shared<FaultyExchange>(*this, std::move(call), Treatment()));
  parts_.engine.count_arrival(node_, *method, call->peer());
  if (!parts_.access.admits(*call)) {
    parts_.engine.count_unauthenticated();
    return when_in_contact([this, call = std::move(call)] { services_.refuse_token(call); });
  }
  Treatment treatment;
  if (!parts_.faults.empty()) {
    const std::string key = Services::key_of(*method, call->request());
    treatment = parts_.faults.treat({node_, *method, key});
  }
  const Duration delay = treatment.delay;
  auto carry_out = [this, method = *method, call = std::move(call), treatment = std::move(treatment)]() mutable {
    this->carry_out(method, call, std::move(treatment));
  };
  if (delay > Duration{0}) return parts_.timer.at(in(delay), std::move(carry_out));
  when_in_contact(std::move(carry_out));
}

void NodeServer::carry_out(Method method, const std::shared_ptr<Exchange>& call, Treatment treatment) {
  if (treatment.drop == Moment::before_applied) return cut(*call);
  const bool scripted = treatment.reply && treatment.reply->moment == Moment::before_applied;
  const auto faulty = std::make_shared<FaultyExchange>(*this, call, std::move(treatment));
  if (scripted) return services_.answer(faulty, {});
  services_.serve(method, faulty);
}

void NodeServer::cut(const Exchange& call) {
  const std::string peer = call.peer();
  std::uint16_t port = 0;
  std::from_chars(peer.data() + peer.rfind(':') + 1, peer.data() + peer.size(), port);
  listener_.cut(port);
}

}  // namespace norikv::testing
