#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include <norikv.grpc.pb.h>
#include <norikv/routing.hpp>
#include <norikv/testing/cluster.hpp>

namespace cluster_tests {

using namespace std::chrono_literals;
using namespace norikv;
using namespace norikv::testing;
using Clock = std::chrono::steady_clock;

/// What a call brought: gRPC's own words, nothing interpreted.
template <class Response>
struct Reply {
  int code = 0;
  std::string text;
  std::string hint;          ///< `leader-hint` in the trailers
  std::string vector_hint;   ///< `x-norikv-leader` in the trailers
  std::size_t metadata = 0;  ///< Entries of both metadata blocks.
  Response body;
  [[nodiscard]] bool ok() const { return code == 0; }
};

/// A connection of its own to one node, with the generated stubs: full control, and nothing of the client under test.
class Stub {
 public:
  explicit Stub(const std::string& address,
                const std::shared_ptr<grpc::ChannelCredentials>& credentials = grpc::InsecureChannelCredentials()) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
    // In truth the time a connection attempt is given; a busy machine may need some.
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
    arguments.SetMaxSendMessageSize(-1);
    channel_ = grpc::CreateCustomChannel("ipv4:" + address, credentials, arguments);
    kv = v1::Kv::NewStub(channel_);
    meta = v1::Meta::NewStub(channel_);
    admin = v1::Admin::NewStub(channel_);
    vector = v1::Vector::NewStub(channel_);
  }

  Reply<v1::PutResponse> put(const v1::PutRequest& request, Duration timeout = 10s) {
    return call<v1::PutResponse>([&](auto* context, auto* response) { return kv->Put(context, request, response); },
                                 timeout);
  }
  Reply<v1::PutResponse> put(const std::string& key, const std::string& value, Duration timeout = 10s) {
    v1::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    return put(request, timeout);
  }
  Reply<v1::GetResponse> get(const std::string& key, const std::string& consistency = "", Duration timeout = 10s) {
    v1::GetRequest request;
    request.set_key(key);
    request.set_consistency(consistency);
    return call<v1::GetResponse>([&](auto* context, auto* response) { return kv->Get(context, request, response); },
                                 timeout);
  }
  Reply<v1::DeleteResponse> remove(const v1::DeleteRequest& request) {
    return call<v1::DeleteResponse>(
        [&](auto* context, auto* response) { return kv->Delete(context, request, response); });
  }
  Reply<v1::DeleteResponse> remove(const std::string& key) {
    v1::DeleteRequest request;
    request.set_key(key);
    return remove(request);
  }

  /// Any unary call.
  template <class Response, class F>
  static Reply<Response> call(F&& method, Duration timeout = 10s) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    return call_in<Response>(context, method);
  }
  template <class Response, class F>
  static Reply<Response> call_in(grpc::ClientContext& context, F&& method) {
    Reply<Response> reply;
    const grpc::Status status = method(&context, &reply.body);
    reply.code = status.error_code();
    reply.text = status.error_message();
    const auto& trailers = context.GetServerTrailingMetadata();
    reply.metadata = trailers.size() + context.GetServerInitialMetadata().size();
    if (const auto hint = trailers.find("leader-hint"); hint != trailers.end()) {
      reply.hint.assign(hint->second.data(), hint->second.size());
    }
    if (const auto hint = trailers.find("x-norikv-leader"); hint != trailers.end()) {
      reply.vector_hint.assign(hint->second.data(), hint->second.size());
    }
    return reply;
  }

  std::unique_ptr<v1::Kv::Stub> kv;
  std::unique_ptr<v1::Meta::Stub> meta;
  std::unique_ptr<v1::Admin::Stub> admin;
  std::unique_ptr<v1::Vector::Stub> vector;

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

/// An open WatchCluster stream.
class Watch {
 public:
  explicit Watch(Stub& stub) : reader_(stub.meta->WatchCluster(&context_, v1::ClusterView())) {}
  ~Watch() {
    context_.TryCancel();
    v1::ClusterView view;
    while (reader_->Read(&view)) {
    }
    (void)reader_->Finish();
  }
  /// The next view; none when the stream is over.
  std::optional<v1::ClusterView> next() {
    v1::ClusterView view;
    return reader_->Read(&view) ? std::optional(view) : std::nullopt;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::ClusterView>> reader_;
};

/// A cluster and a stub per node.
struct Fixture {
  explicit Fixture(ClusterConfig config = {}) : cluster(Cluster::start(config).value()) {
    for (const std::string& address : cluster.addresses()) stubs.push_back(std::make_unique<Stub>(address));
  }
  Stub& node(std::uint32_t index = 0) { return *stubs[index]; }
  Stub& leader_of(const std::string& key) {
    return node(cluster.leader(shard_of(key, cluster.config().total_shards)).value());
  }

  /// A key of a shard; `n` tells several of them apart.
  std::string key_of(std::uint32_t shard, int n = 0) const {
    for (int i = 0;; ++i) {
      std::string key = "key-" + std::to_string(i);
      if (shard_of(key, cluster.config().total_shards) == shard && n-- == 0) return key;
    }
  }

  Cluster cluster;
  std::vector<std::unique_ptr<Stub>> stubs;
};

/// Waits for a condition that another thread brings about.
inline bool eventually(const std::function<bool()>& condition, Duration limit = 10s) {
  for (const auto end = Clock::now() + limit; Clock::now() < end; std::this_thread::sleep_for(1ms)) {
    if (condition()) return true;
  }
  return condition();
}

inline bool is_not_leader(const auto& reply) {
  return reply.code == grpc::UNAVAILABLE && reply.text.starts_with("NOT_LEADER");
}

/// Profile norikv without its waits, for tests that are about something else.
inline ClusterConfig instant() {
  ClusterConfig config;
  config.election = 0ns;
  config.overlap_window = 0ns;
  return config;
}

inline ClusterConfig replicated(std::uint32_t nodes = 3) {
  ClusterConfig config;
  config.profile = Profile::replicated;
  config.nodes = nodes;
  return config;
}

}  // namespace cluster_tests
