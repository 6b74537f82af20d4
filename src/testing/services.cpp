#include "testing/services.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include <grpcpp/grpcpp.h>

namespace norikv::testing {
namespace {

class GrpcCall final : public CallContext {
 public:
  explicit GrpcCall(const grpc::ServerContext& context) : context_(context) {}

  bool cancelled() const override { return context_.IsCancelled(); }

  TimePoint deadline() const override {
    const auto wall = context_.deadline();
    if (wall == std::chrono::system_clock::time_point::max()) return TimePoint::max();
    return std::chrono::steady_clock::now() + (wall - std::chrono::system_clock::now());
  }

 private:
  const grpc::ServerContext& context_;
};

grpc::Status to_status(grpc::ServerContext& context, const Refusal& refusal) {
  if (!refusal.leader_hint.empty()) context.AddTrailingMetadata("leader-hint", refusal.leader_hint);
  return {static_cast<grpc::StatusCode>(refusal.code), refusal.text};
}

Version from_proto(const v1::Version& version) { return {version.term(), version.index()}; }

void to_proto(Version version, v1::Version& out) {
  out.set_term(version.term);
  out.set_index(version.index);
}

void to_proto(const wire::Shard& shard, v1::ShardInfo& out) {
  out.set_id(shard.id);
  for (const wire::Replica& replica : shard.replicas) {
    v1::ShardReplica& added = *out.add_replicas();
    added.set_node_id(replica.node_id);
    added.set_leader(replica.leader);
  }
}

v1::ClusterView to_proto(const wire::View& view) {
  v1::ClusterView out;
  out.set_epoch(view.epoch);
  for (const wire::Node& node : view.nodes) {
    v1::ClusterNode& added = *out.add_nodes();
    added.set_id(node.id);
    added.set_addr(node.address);
    added.set_role(node.role);
  }
  for (const wire::Shard& shard : view.shards) to_proto(shard, *out.add_shards());
  return out;
}

std::optional<Duration> ttl(std::uint64_t milliseconds) {
  if (milliseconds == 0) return std::nullopt;
  constexpr std::uint64_t longest = std::chrono::milliseconds(std::chrono::hours{24 * 3650}).count();
  return std::chrono::milliseconds(std::min(milliseconds, longest));
}

/// What the real server refuses before its handlers see it; to a node that is silent even that is silent.
Answer<void> take_in(Engine& engine, NodeIndex node, const CallContext& call, std::size_t size) {
  if (auto checked = check_message_size(size); !checked) {
    if (auto speaks = engine.speak(node, call); !speaks) return speaks;
    return checked;
  }
  return {};
}

}  // namespace

grpc::Status KvService::Put(grpc::ServerContext* context, const v1::PutRequest* request, v1::PutResponse* response) {
  engine_.count_arrival(node_, Engine::Request::put, context->peer());
  const GrpcCall call(*context);
  if (auto taken = take_in(engine_, node_, call, request->ByteSizeLong()); !taken) {
    return to_status(*context, taken.error());
  }
  Write write{WriteKind::put, request->key(), request->value(), ttl(request->ttl_ms()), request->idempotency_key()};
  if (request->has_if_match()) write.if_match = from_proto(request->if_match());
  const Answer<Version> written = engine_.write(node_, call, std::move(write));
  if (!written) return to_status(*context, written.error());
  to_proto(*written, *response->mutable_version());
  return grpc::Status::OK;
}

grpc::Status KvService::Get(grpc::ServerContext* context, const v1::GetRequest* request, v1::GetResponse* response) {
  engine_.count_arrival(node_, Engine::Request::get, context->peer());
  const GrpcCall call(*context);
  if (auto taken = take_in(engine_, node_, call, request->ByteSizeLong()); !taken) {
    return to_status(*context, taken.error());
  }
  Answer<std::optional<Entry>> found = engine_.read(node_, call, request->key(), request->consistency());
  if (!found) return to_status(*context, found.error());
  if (!*found) return grpc::Status::OK;  // A missing key is an answer without a version.
  response->set_value(std::move((*found)->value));
  to_proto((*found)->version, *response->mutable_version());
  return grpc::Status::OK;
}

grpc::Status KvService::Delete(grpc::ServerContext* context, const v1::DeleteRequest* request,
                               v1::DeleteResponse* response) {
  engine_.count_arrival(node_, Engine::Request::remove, context->peer());
  const GrpcCall call(*context);
  if (auto taken = take_in(engine_, node_, call, request->ByteSizeLong()); !taken) {
    return to_status(*context, taken.error());
  }
  Write write{WriteKind::remove, request->key(), {}, {}, request->idempotency_key()};
  if (request->has_if_match()) write.if_match = from_proto(request->if_match());
  const Answer<Version> removed = engine_.write(node_, call, std::move(write));
  if (!removed) return to_status(*context, removed.error());
  response->set_tombstoned(true);  // Whether or not the key was there.
  to_proto(*removed, *response->mutable_version());
  return grpc::Status::OK;
}

grpc::Status MetaService::WatchCluster(grpc::ServerContext* context, const v1::ClusterView*,
                                       grpc::ServerWriter<v1::ClusterView>* writer) {
  engine_.count_arrival(node_, Engine::Request::watch, context->peer());
  const GrpcCall call(*context);
  std::optional<std::uint64_t> sent;
  while (const std::optional<wire::View> view = engine_.next_view(node_, call, sent)) {
    if (!writer->Write(to_proto(*view))) break;
    sent = view->epoch;
  }
  return {grpc::StatusCode::CANCELLED, "The stream is over"};
}

grpc::Status AdminService::TransferShard(grpc::ServerContext* context, const v1::ShardInfo*, v1::ShardInfo*) {
  engine_.count_arrival(node_, Engine::Request::admin, context->peer());
  if (auto speaks = engine_.speak(node_, GrpcCall(*context)); !speaks) return to_status(*context, speaks.error());
  return to_status(*context, transfer_not_implemented());
}

grpc::Status AdminService::SnapshotShard(grpc::ServerContext* context, const v1::ShardInfo* request,
                                         v1::ShardInfo* response) {
  engine_.count_arrival(node_, Engine::Request::admin, context->peer());
  const Answer<wire::Shard> shard = engine_.snapshot_shard(node_, GrpcCall(*context), request->id());
  if (!shard) return to_status(*context, shard.error());
  to_proto(*shard, *response);
  return grpc::Status::OK;
}

}  // namespace norikv::testing
