#include "simulation/codec.hpp"

#include <charconv>

#include "norikv.pb.h"

namespace norikv::simulation {
namespace {

Version from_proto(const v1::Version& version) { return {version.term(), version.index()}; }

void to_proto(Version version, v1::Version& out) {
  out.set_term(version.term);
  out.set_index(version.index);
}

template <class Message>
std::optional<Message> parse(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return message;
}

}  // namespace

std::string text_of(Value value) { return "v" + std::to_string(value); }

Value value_of(std::string_view text) {
  Value value = 0;
  const char* const end = text.data() + text.size();
  if (text.empty() || std::from_chars(text.data() + 1, end, value).ptr != end) return UINT64_MAX;
  return value;
}

Value value_of(const std::optional<Entry>& entry) { return entry ? value_of(entry->value) : missing; }

std::chrono::milliseconds kept_for(Duration ttl) {
  const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(ttl);
  return whole < ttl ? whole + std::chrono::milliseconds{1} : whole;
}

std::optional<ServerRequest> decode_request(wire::Method method, std::string_view bytes) {
  ServerRequest request;
  request.method = method;
  if (method == wire::Method::get) {
    const auto get = parse<v1::GetRequest>(bytes);
    if (!get) return std::nullopt;
    request.write.key = get->key();
    request.consistency = get->consistency();
  } else if (method == wire::Method::put) {
    const auto put = parse<v1::PutRequest>(bytes);
    if (!put) return std::nullopt;
    request.write = {testing::WriteKind::put, put->key(), put->value(), {}, put->idempotency_key()};
    if (put->ttl_ms() > 0) request.write.ttl = std::chrono::milliseconds{put->ttl_ms()};
    if (put->has_if_match()) request.write.if_match = from_proto(put->if_match());
  } else {
    const auto remove = parse<v1::DeleteRequest>(bytes);
    if (!remove) return std::nullopt;
    request.write = {testing::WriteKind::remove, remove->key(), {}, {}, remove->idempotency_key()};
    if (remove->has_if_match()) request.write.if_match = from_proto(remove->if_match());
  }
  return request;
}

std::string encode_put_response(Version version) {
  v1::PutResponse response;
  to_proto(version, *response.mutable_version());
  return response.SerializeAsString();
}

std::string encode_remove_response(Version version) {
  v1::DeleteResponse response;
  response.set_tombstoned(true);
  to_proto(version, *response.mutable_version());
  return response.SerializeAsString();
}

std::string encode_get_response(const std::optional<Entry>& entry) {
  v1::GetResponse response;
  if (entry) {
    response.set_value(entry->value);
    to_proto(entry->version, *response.mutable_version());
  }
  return response.SerializeAsString();
}

wire::View through_wire(const wire::View& view) {
  v1::ClusterView message;
  message.set_epoch(view.epoch);
  for (const wire::Node& node : view.nodes) {
    v1::ClusterNode& added = *message.add_nodes();
    added.set_id(node.id);
    added.set_addr(node.address);
    added.set_role(node.role);
  }
  for (const wire::Shard& shard : view.shards) {
    v1::ShardInfo& added = *message.add_shards();
    added.set_id(shard.id);
    for (const wire::Replica& replica : shard.replicas) {
      v1::ShardReplica& of_shard = *added.add_replicas();
      of_shard.set_node_id(replica.node_id);
      of_shard.set_leader(replica.leader);
    }
  }
  return wire::decode_view(message.SerializeAsString()).value();
}

}  // namespace norikv::simulation
