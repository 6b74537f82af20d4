#include "wire/wire.hpp"

#include <array>
#include <limits>
#include <utility>

#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "norikv.pb.h"

namespace norikv::wire {
namespace {

namespace pb = norikv::v1;
using WireFormat = google::protobuf::internal::WireFormatLite;

/// Writes fields in protobuf's format straight into the string that is sent: a value is copied once, where a message
/// object would copy it twice. As in proto3 an empty field is left out. Fields are written in ascending order, which
/// makes the bytes equal to protobuf's own.
class FieldWriter {
 public:
  explicit FieldWriter(std::size_t capacity) { bytes_.reserve(capacity); }

  FieldWriter& number(std::uint32_t field, std::uint64_t value) {
    if (value != 0) {
      varint(field << 3 | 0);
      varint(value);
    }
    return *this;
  }
  FieldWriter& text(std::uint32_t field, std::string_view value) {
    if (!value.empty()) present(field, value);
    return *this;
  }
  /// A field that is there even when it is empty.
  FieldWriter& present(std::uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes_.append(value);
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

/// Bytes that every field but texts takes at most, and a text takes beside its content.
constexpr std::size_t max_overhead = 11;

std::string encode_version(Version version) {
  return FieldWriter(0)  // nearly always short enough for the string itself
      .number(pb::Version::kTermFieldNumber, version.term)
      .number(pb::Version::kIndexFieldNumber, version.index)
      .take();
}

/// Whether any of a message's own fields, unknown ones included, has a tag for which `odd` is true.
template <class Predicate>
bool any_field(std::string_view message, Predicate odd) {
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const std::uint8_t*>(message.data()),
                                               static_cast<int>(message.size()));
  while (const std::uint32_t tag = input.ReadTag()) {
    if (odd(tag) || !WireFormat::SkipField(&input, tag)) return true;
  }
  return false;
}

/// Parses a whole message; an error text if that fails. Fields of a newer server are allowed.
template <class Message>
std::optional<std::string> parse(Message& message, std::string_view bytes, std::string_view name) {
  const auto failed = [&](std::string_view why) { return std::string(name).append(" ").append(why); };
  if (bytes.size() > std::numeric_limits<int>::max()) return failed("is larger than 2 GiB");
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return failed("does not parse");
  return std::nullopt;
}

Version from_proto(const pb::Version& version) { return {version.term(), version.index()}; }

/// A reply that says no more than which version was written.
template <class Message>
Decoded<Version> decode_written(std::string_view reply, std::string_view name) {
  Message message;
  if (auto error = parse(message, reply, name)) return tl::make_unexpected(std::move(*error));
  if (!message.has_version()) return tl::make_unexpected(std::string(name).append(" lacks its version"));
  return from_proto(message.version());
}

/// Protobuf passes over fields it does not know and known ones of a wrong type, so bytes of another kind can parse.
/// Whether a reply without a value is really an empty value, or really a missing key (nothing at all, `meta` aside).
bool believable(const pb::GetResponse& message, std::string_view reply) {
  constexpr auto text_tag = [](int field) { return WireFormat::MakeTag(field, WireFormat::WIRETYPE_LENGTH_DELIMITED); };
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
  static const auto& paths = *new std::array<std::string, 4>{
      "/norikv.v1.Kv/Put",
      "/norikv.v1.Kv/Get",
      "/norikv.v1.Kv/Delete",
      "/norikv.v1.Meta/WatchCluster",
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
  return FieldWriter(request.key.size() + request.idempotency_key.size() + 2 * max_overhead)
      .text(pb::DeleteRequest::kKeyFieldNumber, request.key)
      .text(pb::DeleteRequest::kIdempotencyKeyFieldNumber, request.idempotency_key)
      .take();
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

std::string encode_consistency(std::string_view text) {
  return FieldWriter(text.size() + max_overhead).text(pb::GetRequest::kConsistencyFieldNumber, text).take();
}

std::string encode_watch() { return {}; }

Decoded<Version> decode_put(std::string_view reply) { return decode_written<pb::PutResponse>(reply, "PutResponse"); }

Decoded<Version> decode_remove(std::string_view reply) {
  return decode_written<pb::DeleteResponse>(reply, "DeleteResponse");
}

Decoded<std::optional<Entry>> decode_get(std::string_view reply) {
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
