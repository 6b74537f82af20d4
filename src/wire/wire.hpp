#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/admin.hpp>
#include <norikv/error.hpp>
#include <norikv/types.hpp>

// Types to bytes and back, as pure functions. The only layer that knows protobuf; its headers do not.
namespace norikv::wire {

/// The methods this client calls.
enum class Method : std::uint8_t {
  put,
  get,
  remove,
  watch_cluster,
  vector_create_index,
  vector_drop_index,
  vector_insert,
  vector_remove,
  vector_search,
  vector_get,
  snapshot_shard,
  transfer_shard,
};
inline constexpr std::size_t method_count = 12;

/// Whether it is one of the Vector service.
[[nodiscard]] constexpr bool is_vector(Method method) noexcept {
  return method >= Method::vector_create_index && method <= Method::vector_get;
}
/// Whether it is one of the Admin service.
[[nodiscard]] constexpr bool is_admin(Method method) noexcept { return method >= Method::snapshot_shard; }

/// The HTTP/2 path, such as "/norikv.v1.Kv/Put". Lives for ever.
[[nodiscard]] const std::string& path(Method method) noexcept;

/// One encoded request, shared between the attempts of an operation and the transport that still sends it.
using Payload = std::shared_ptr<const std::string>;

struct PutRequest {
  std::string_view key{};
  std::string_view value{};
  std::uint64_t ttl_ms = 0;  ///< 0 = for ever
  std::string_view idempotency_key{};
  std::optional<Version> if_match{};
};

struct RemoveRequest {
  std::string_view key{};
  std::string_view idempotency_key{};
  std::optional<Version> if_match{};
};

/// A ShardInfo that asks for something: a snapshot of a shard, or that `leader` (a node's id; empty = none) leads it.
struct ShardRequest {
  std::uint32_t id = 0;
  std::string_view leader{};
};

/// A time to live as the wire has it: milliseconds, rounded up, because 0 means for ever.
[[nodiscard]] std::uint64_t ttl_in_milliseconds(const std::optional<Duration>& ttl);

[[nodiscard]] std::string encode(const PutRequest& request);
[[nodiscard]] std::string encode(const RemoveRequest& request);
[[nodiscard]] std::string encode(const ShardRequest& request);
/// A GetRequest without its consistency, which depends on the node: append `encode_consistency` to it.
[[nodiscard]] std::string encode_get(std::string_view key);
/// The GetRequest for the key of an encoded put, get or remove (their key is the same field): a probe for the shard's
/// leader.
[[nodiscard]] std::string encode_get_of(std::string_view request);
/// The field to append to an encoded GetRequest, VectorSearchRequest or VectorGetRequest; empty for an empty text.
[[nodiscard]] std::string encode_consistency(std::string_view text, Method method = Method::get);
/// The request of WatchCluster: an empty ClusterView.
[[nodiscard]] std::string encode_watch();

// Decoding is strict: what does not parse, or lacks what the server always sends, is an error text and never a success.
// A GetResponse without a version is a missing key only if it holds nothing else, its `meta` map aside.
template <class T>
using Decoded = tl::expected<T, std::string>;

[[nodiscard]] Decoded<Version> decode_put(std::string_view reply);
/// The value is left in the reply's buffer, which becomes the entry's.
[[nodiscard]] Decoded<std::optional<Entry>> decode_get(std::string reply);
[[nodiscard]] Decoded<Version> decode_remove(std::string_view reply);

struct Node {
  std::string id;
  std::string address;
  std::string role;
};

using Replica = ShardReplica;
using Shard = ShardInfo;

/// A node's view of the cluster, as it was sent.
struct View {
  std::uint64_t epoch = 0;
  std::vector<Node> nodes;
  std::vector<Shard> shards;
};

[[nodiscard]] Decoded<View> decode_view(std::string_view message);
/// The reply of the Admin service. It has at least one replica: the server always names the leader's.
[[nodiscard]] Decoded<Shard> decode_shard(std::string_view reply);

}  // namespace norikv::wire
