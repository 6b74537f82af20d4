#include "testing/services.hpp"

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>

#include <norikv.pb.h>

namespace norikv::testing {
namespace {

template <class Message>
RpcReply ok(const Message& message) {
  RpcReply reply;
  reply.body = message.SerializeAsString();
  return reply;
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

}  // namespace

std::optional<Method> Services::method_of(const std::string& path) {
  static const auto& methods = *new std::unordered_map<std::string, Method>{
      {"/norikv.v1.Kv/Put", Method::put},
      {"/norikv.v1.Kv/Get", Method::get},
      {"/norikv.v1.Kv/Delete", Method::remove},
      {"/norikv.v1.Meta/WatchCluster", Method::watch},
      {"/norikv.v1.Admin/SnapshotShard", Method::snapshot_shard},
      {"/norikv.v1.Admin/TransferShard", Method::transfer_shard},
  };
  if (const auto found = methods.find(path); found != methods.end()) return found->second;
  if (path.starts_with("/norikv.v1.Vector/")) return Method::vector;
  return std::nullopt;
}

std::string Services::key_of(Method method, const std::string& request) {
  if (method != Method::put && method != Method::get && method != Method::remove) return {};
  v1::GetRequest message;  // Field 1 is the key in all three.
  return message.ParseFromString(request) ? std::move(*message.mutable_key()) : std::string();
}

void Services::serve(Method method, const std::shared_ptr<Exchange>& call) {
  switch (method) {
    case Method::put:
      return put(call);
    case Method::get:
      return get(call);
    case Method::remove:
      return remove(call);
    case Method::watch:
      return watch(call);
    case Method::snapshot_shard:
      return snapshot_shard(call);
    case Method::transfer_shard:
      return refuse(call, transfer_not_implemented());
    case Method::vector:
      return vectors(call);
  }
}

void Services::answer(const std::shared_ptr<Exchange>& call, RpcReply reply) {
  until_over(*call, engine_.speak(node_, [call, reply = std::move(reply)](Answer<void>) mutable {
    call->answer(std::move(reply));
  }));
}

RpcReply Services::to_reply(const Refusal& refusal) const {
  RpcReply reply{static_cast<int>(refusal.code), refusal.text};
  if (is_not_leader(refusal) && shapes_.not_leader == AnswerShapes::NotLeader::failed_precondition) {
    reply.status = static_cast<int>(StatusCode::failed_precondition);
  }
  if (refusal.leader_hint.empty()) return reply;
  const bool other_key = shapes_.hint_key == AnswerShapes::HintKey::x_norikv_leader;
  const bool initial = shapes_.hint_block == AnswerShapes::HintBlock::initial;
  (initial ? reply.initial_metadata : reply.trailing_metadata)
      .emplace_back(other_key ? "x-norikv-leader" : refusal.hint_key, refusal.leader_hint);
  return reply;
}

void Services::refuse(const std::shared_ptr<Exchange>& call, const Refusal& refusal) {
  answer(call, to_reply(refusal));
}

void Services::until_over(Exchange& call, RequestId request) {
  call.on_over([this, request] { engine_.forget(request); });
}

template <class Message>
std::optional<Message> Services::take_in(const std::shared_ptr<Exchange>& call) {
  const std::string& bytes = call->request();
  if (auto checked = check_message_size(bytes.size()); !checked) {
    refuse(call, checked.error());
    return std::nullopt;
  }
  Message message;
  if (message.ParseFromString(bytes)) return message;
  refuse(call, {StatusCode::internal, "failed to decode Protobuf message"});
  return std::nullopt;
}

void Services::put(const std::shared_ptr<Exchange>& call) {
  auto request = take_in<v1::PutRequest>(call);
  if (!request) return;
  Write write{WriteKind::put, std::move(*request->mutable_key()), std::move(*request->mutable_value()),
              ttl(request->ttl_ms()), std::move(*request->mutable_idempotency_key())};
  if (request->has_if_match()) write.if_match = from_proto(request->if_match());
  until_over(*call, engine_.write(node_, call->deadline(), std::move(write), [this, call](Answer<Version> written) {
    if (!written) return call->answer(to_reply(written.error()));
    v1::PutResponse response;
    to_proto(*written, *response.mutable_version());
    call->answer(ok(response));
  }));
}

void Services::get(const std::shared_ptr<Exchange>& call) {
  auto request = take_in<v1::GetRequest>(call);
  if (!request) return;
  until_over(*call, engine_.read(node_, std::move(*request->mutable_key()), std::move(*request->mutable_consistency()),
                                 [this, call](Answer<std::optional<Entry>> found) {
                                   if (!found) return call->answer(to_reply(found.error()));
                                   if (!*found && shapes_.missing == AnswerShapes::MissingKey::not_found) {
                                     return call->answer(to_reply({StatusCode::not_found, "Key not found"}));
                                   }
                                   v1::GetResponse response;  // A missing key is an answer without a version.
                                   if (*found) {
                                     response.set_value(std::move((*found)->value));
                                     to_proto((*found)->version, *response.mutable_version());
                                   }
                                   call->answer(ok(response));
                                 }));
}

void Services::remove(const std::shared_ptr<Exchange>& call) {
  auto request = take_in<v1::DeleteRequest>(call);
  if (!request) return;
  Write write{
      WriteKind::remove, std::move(*request->mutable_key()), {}, {}, std::move(*request->mutable_idempotency_key())};
  if (request->has_if_match()) write.if_match = from_proto(request->if_match());
  until_over(*call, engine_.write(node_, call->deadline(), std::move(write), [this, call](Answer<Version> removed) {
    if (!removed) return call->answer(to_reply(removed.error()));
    v1::DeleteResponse response;
    response.set_tombstoned(true);  // Whether or not the key was there.
    to_proto(*removed, *response.mutable_version());
    call->answer(ok(response));
  }));
}

void Services::watch(const std::shared_ptr<Exchange>& call) {
  auto view = [this, call](RequestId id, const wire::View& seen) {
    call->send(to_proto(seen).SerializeAsString(), [this, id] { engine_.sent(id); });
  };
  until_over(*call, engine_.watch(node_, std::move(view), [call] { call->answer({}); }));
}

void Services::vectors(const std::shared_ptr<Exchange>& call) {
  if (!engine_.has_vectors()) return refuse_unknown(call);
  using Serve = void (Services::*)(const std::shared_ptr<Exchange>&);
  static const auto& methods = *new std::unordered_map<std::string_view, Serve>{
      {"/norikv.v1.Vector/CreateIndex", &Services::vectors_of<v1::CreateVectorIndexRequest>},
      {"/norikv.v1.Vector/DropIndex", &Services::vectors_of<v1::DropVectorIndexRequest>},
      {"/norikv.v1.Vector/Insert", &Services::vectors_of<v1::VectorInsertRequest>},
      {"/norikv.v1.Vector/Delete", &Services::vectors_of<v1::VectorDeleteRequest>},
      {"/norikv.v1.Vector/Search", &Services::vectors_of<v1::VectorSearchRequest>},
      {"/norikv.v1.Vector/Get", &Services::vectors_of<v1::VectorGetRequest>},
  };
  const auto found = methods.find(call->path());
  if (found == methods.end()) return refuse_unknown(call);
  (this->*found->second)(call);
}

template <class Message>
void Services::vectors_of(const std::shared_ptr<Exchange>& call) {
  auto request = take_in<Message>(call);
  if (!request) return;
  auto done = [this, call](Answer<VectorReply<Message>> answer) {
    call->answer(answer ? ok(*answer) : to_reply(answer.error()));
  };
  until_over(*call, engine_.vectors<Message>(node_, call->deadline(), std::move(*request), std::move(done)));
}

void Services::snapshot_shard(const std::shared_ptr<Exchange>& call) {
  const auto request = take_in<v1::ShardInfo>(call);
  if (!request) return;
  until_over(*call, engine_.snapshot_shard(node_, request->id(), [this, call](Answer<wire::Shard> shard) {
    if (!shard) return call->answer(to_reply(shard.error()));
    v1::ShardInfo response;
    to_proto(*shard, response);
    call->answer(ok(response));
  }));
}

}  // namespace norikv::testing
