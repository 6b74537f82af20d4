#include "wire/wire.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include <google/protobuf/arena.h>

#include "norikv.pb.h"
#include "wire/codec.hpp"

namespace norikv::wire {
namespace {

namespace pb = norikv::v1;
std::string encode_version(Version version) {
  return FieldWriter(0)  // nearly always short enough for the string itself
      .number(pb::Version::kTermFieldNumber, version.term)
      .number(pb::Version::kIndexFieldNumber, version.index)
      .take();
}

// Replies look the same nearly always, and are read without a message object then: `plain_...` gives none for what
// protobuf has to look at.

std::optional<Version> plain_version(std::string_view bytes) {
  FieldReader reader(bytes);
  const std::uint64_t term = reader.number(pb::Version::kTermFieldNumber).value_or(0);
  const std::uint64_t index = reader.number(pb::Version::kIndexFieldNumber).value_or(0);
  if (!reader.done()) return std::nullopt;
  return Version{term, index};
}

/// The version that is all there is, or all that is left.
std::optional<Version> plain_version(FieldReader reader, std::uint32_t field) {
  const std::optional<std::string_view> bytes = reader.text(field);
  return bytes && reader.done() ? plain_version(*bytes) : std::nullopt;
}

/// The value stays in the buffer it came in.
std::optional<Entry> plain_entry(std::string& reply) {
  FieldReader reader(reply);
  const std::string_view value = reader.text(pb::GetResponse::kValueFieldNumber).value_or(std::string_view{});
  const std::optional<Version> version = plain_version(reader, pb::GetResponse::kVersionFieldNumber);
  if (!version) return std::nullopt;
  const std::size_t size = value.size();
  if (size > 0) std::memmove(reply.data(), value.data(), size);
  reply.resize(size);
  return Entry{std::move(reply), *version};
}

/// A reply that says no more than which version was written.
template <class Message>
Decoded<Version> decode_written(FieldReader reader, std::string_view reply, std::string_view name) {
  if (const auto version = plain_version(reader, Message::kVersionFieldNumber)) return *version;
  Message message;
  if (auto error = parse(message, reply, name)) return tl::make_unexpected(std::move(*error));
  if (!message.has_version()) return tl::make_unexpected(std::string(name).append(" lacks its version"));
  return from_proto(message.version());
}

/// Protobuf passes over fields it does not know and known ones of a wrong type, so bytes of another kind can parse.
/// Whether a reply without a value is really an empty value, or really a missing key (nothing at all, `meta` aside).
bool believable(const pb::GetResponse& message, std::string_view reply) {
  return !any_field(reply, [&](std::uint32_t tag) {
    if (!message.has_version()) return tag != text_tag(pb::GetResponse::kMetaFieldNumber);
    return WireFormat::GetTagFieldNumber(tag) == pb::GetResponse::kValueFieldNumber &&
           tag != text_tag(pb::GetResponse::kValueFieldNumber);
  });
}

Shard from_proto(pb::ShardInfo& info) {
  Shard shard{info.id(), {}};
  shard.replicas.reserve(static_cast<std::size_t>(info.replicas_size()));
  for (pb::ShardReplica& replica : *info.mutable_replicas()) {
    shard.replicas.push_back({std::move(*replica.mutable_node_id()), replica.leader()});
  }
  return shard;
}

}  // namespace

const std::string& path(Method method) noexcept {
  // Leaked on purpose: a gRPC thread may still use a path while the process exits.
  static const auto& paths = *new std::array<std::string, method_count>{
      "/norikv.v1.Kv/Put",
      "/norikv.v1.Kv/Get",
      "/norikv.v1.Kv/Delete",
      "/norikv.v1.Meta/WatchCluster",
      "/norikv.v1.Vector/CreateIndex",
      "/norikv.v1.Vector/DropIndex",
      "/norikv.v1.Vector/Insert",
      "/norikv.v1.Vector/Delete",
      "/norikv.v1.Vector/Search",
      "/norikv.v1.Vector/Get",
      "/norikv.v1.Admin/SnapshotShard",
      "/norikv.v1.Admin/TransferShard",
  };
  return paths[static_cast<std::size_t>(method)];
}

std::string encode(const PutRequest& request) {
  using Fields = pb::PutRequest;
  // Room for all five fields, the version's two among them.
  FieldWriter writer(request.key.size() + request.value.size() + request.idempotency_key.size() + 7 * max_overhead);
  writer.text(Fields::kKeyFieldNumber, request.key)
      .text(Fields::kValueFieldNumber, request.value)
      .number(Fields::kTtlMsFieldNumber, request.ttl_ms)
      .text(Fields::kIdempotencyKeyFieldNumber, request.idempotency_key);
  if (request.if_match) writer.present(Fields::kIfMatchFieldNumber, encode_version(*request.if_match));
  return writer.take();
}

std::string encode(const RemoveRequest& request) {
  FieldWriter writer(request.key.size() + request.idempotency_key.size() + 5 * max_overhead);
  writer.text(pb::DeleteRequest::kKeyFieldNumber, request.key)
      .text(pb::DeleteRequest::kIdempotencyKeyFieldNumber, request.idempotency_key);
  if (request.if_match) writer.present(pb::DeleteRequest::kIfMatchFieldNumber, encode_version(*request.if_match));
  return writer.take();
}

std::uint64_t ttl_in_milliseconds(const std::optional<Duration>& ttl) {
  if (!ttl) return 0;
  return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(*ttl).count());
}

std::string encode_get(std::string_view key) {
  return FieldWriter(key.size() + max_overhead).text(pb::GetRequest::kKeyFieldNumber, key).take();
}

std::string encode_get_of(std::string_view request) {
  // The key is field 1 of all three requests, and `FieldWriter` puts it first; an empty key is left out.
  constexpr char key_tag = pb::GetRequest::kKeyFieldNumber << 3 | 2;
  if (request.empty() || request.front() != key_tag) return {};
  std::size_t length = 0;
  std::size_t at = 1;
  for (unsigned shift = 0; at < request.size(); shift += 7) {
    const auto byte = static_cast<unsigned char>(request[at++]);
    length |= std::size_t{byte & 0x7fu} << shift;
    if (byte < 0x80) break;
  }
  return std::string{request.substr(0, at + length)};
}

std::string encode_consistency(std::string_view text, Method method) {
  std::uint32_t field = pb::GetRequest::kConsistencyFieldNumber;
  if (method == Method::vector_search) field = pb::VectorSearchRequest::kConsistencyFieldNumber;
  if (method == Method::vector_get) field = pb::VectorGetRequest::kConsistencyFieldNumber;
  return FieldWriter(text.size() + max_overhead).text(field, text).take();
}

std::string encode_watch() { return {}; }

std::string encode(const ShardRequest& request) {
  const std::string replica = FieldWriter(request.leader.size() + 2 * max_overhead)
                                  .text(pb::ShardReplica::kNodeIdFieldNumber, request.leader)
                                  .number(pb::ShardReplica::kLeaderFieldNumber, 1)
                                  .take();
  FieldWriter writer(replica.size() + 2 * max_overhead);
  writer.number(pb::ShardInfo::kIdFieldNumber, request.id);
  if (!request.leader.empty()) writer.present(pb::ShardInfo::kReplicasFieldNumber, replica);
  return writer.take();
}

Decoded<Version> decode_put(std::string_view reply) {
  return decode_written<pb::PutResponse>(FieldReader(reply), reply, "PutResponse");
}

Decoded<Version> decode_remove(std::string_view reply) {
  FieldReader reader(reply);
  static_cast<void>(reader.number(pb::DeleteResponse::kTombstonedFieldNumber));
  return decode_written<pb::DeleteResponse>(reader, reply, "DeleteResponse");
}

Decoded<std::optional<Entry>> decode_get(std::string reply) {
  if (std::optional<Entry> entry = plain_entry(reply)) return entry;
  pb::GetResponse message;
  if (auto error = parse(message, reply, "GetResponse")) return tl::make_unexpected(std::move(*error));
  if (!message.has_version() && !message.value().empty()) {
    return tl::make_unexpected("GetResponse has a value but lacks its version");
  }
  if (message.value().empty() && !believable(message, reply)) {
    return tl::make_unexpected("GetResponse holds neither a value nor a missing key");
  }
  if (!message.has_version()) return std::nullopt;
  return Entry{std::move(*message.mutable_value()), from_proto(message.version())};
}

Decoded<Shard> decode_shard(std::string_view reply) {
  pb::ShardInfo message;
  if (auto error = parse(message, reply, "ShardInfo")) return tl::make_unexpected(std::move(*error));
  if (message.replicas().empty()) return tl::make_unexpected("ShardInfo lacks its replicas");
  return from_proto(message);
}

Decoded<View> decode_view(std::string_view message) {
  // A view can hold 65,536 shards with three replicas each: the arena takes them in a few blocks.
  google::protobuf::Arena arena;
  auto& parsed = *google::protobuf::Arena::CreateMessage<pb::ClusterView>(&arena);
  if (auto error = parse(parsed, message, "ClusterView")) {
    return tl::make_unexpected(std::move(*error));
  }
  View view;
  view.epoch = parsed.epoch();
  view.nodes.reserve(static_cast<std::size_t>(parsed.nodes_size()));
  for (pb::ClusterNode& node : *parsed.mutable_nodes()) {
    view.nodes.push_back(
        {std::move(*node.mutable_id()), std::move(*node.mutable_addr()), std::move(*node.mutable_role())});
  }
  view.shards.reserve(static_cast<std::size_t>(parsed.shards_size()));
  for (pb::ShardInfo& info : *parsed.mutable_shards()) view.shards.push_back(from_proto(info));
  return view;
}

}  // namespace norikv::wire
