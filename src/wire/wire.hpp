#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/error.hpp>
#include <norikv/types.hpp>

// Types to bytes and back, as pure functions. The only layer that knows protobuf; its headers do not.
namespace norikv::wire {

/// The methods this client calls.
enum class Method : std::uint8_t { put, get, remove, watch_cluster };

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
};

[[nodiscard]] std::string encode(const PutRequest& request);
[[nodiscard]] std::string encode(const RemoveRequest& request);
/// A GetRequest without its consistency, which depends on the node: append `encode_consistency` to it.
[[nodiscard]] std::string encode_get(std::string_view key);
/// The GetRequest for the key of an encoded put, get or remove (their key is the same field): a probe for the shard's
/// leader.
[[nodiscard]] std::string encode_get_of(std::string_view request);
/// The field to append to an encoded GetRequest; empty for an empty text.
[[nodiscard]] std::string encode_consistency(std::string_view text);
/// The request of WatchCluster: an empty ClusterView.
[[nodiscard]] std::string encode_watch();

// Decoding is strict: what does not parse, or lacks what the server always sends, is an error text and never a success.
// A GetResponse without a version is a missing key only if it holds nothing else, its `meta` map aside.
template <class T>
using Decoded = tl::expected<T, std::string>;

[[nodiscard]] Decoded<Version> decode_put(std::string_view reply);
[[nodiscard]] Decoded<std::optional<Entry>> decode_get(std::string_view reply);
[[nodiscard]] Decoded<Version> decode_remove(std::string_view reply);

struct Node {
  std::string id;
  std::string address;
  std::string role;
};

struct Replica {
  std::string node_id;
  bool leader = false;
};

struct Shard {
  std::uint32_t id = 0;
  std::vector<Replica> replicas;
};

/// A node's view of the cluster, as it was sent.
struct View {
  std::uint64_t epoch = 0;
  std::vector<Node> nodes;
  std::vector<Shard> shards;
};

[[nodiscard]] Decoded<View> decode_view(std::string_view message);

}  // namespace norikv::wire
