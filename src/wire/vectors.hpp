#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/vectors.hpp>

#include "wire/wire.hpp"

// The messages of the Vector service.
namespace norikv::wire {

struct CreateIndexRequest {
  std::string_view name{};
  VectorIndex index{};
  std::string_view idempotency_key{};
};

struct DropIndexRequest {
  std::string_view name{};
  std::string_view idempotency_key{};
};

struct InsertRequest {
  std::string_view name{};
  std::string_view id{};
  std::span<const float> vector{};
  std::string_view idempotency_key{};
};

struct RemoveVectorRequest {
  std::string_view name{};
  std::string_view id{};
  std::string_view idempotency_key{};
};

/// Without its consistency, which depends on the node: append `encode_consistency` to it.
struct SearchRequest {
  std::string_view name{};
  std::span<const float> query{};
  std::uint32_t k = 0;
  bool include_vectors = false;
};

/// Without its consistency, as `SearchRequest`.
struct GetVectorRequest {
  std::string_view name{};
  std::string_view id{};
};

[[nodiscard]] std::string encode(const CreateIndexRequest& request);
[[nodiscard]] std::string encode(const DropIndexRequest& request);
[[nodiscard]] std::string encode(const InsertRequest& request);
[[nodiscard]] std::string encode(const RemoveVectorRequest& request);
[[nodiscard]] std::string encode(const SearchRequest& request);
[[nodiscard]] std::string encode(const GetVectorRequest& request);

// As strict as the decoders of keys: a flag that is not set, an empty result and a vector that was not found are
// believed only if the reply holds nothing but its own fields.
[[nodiscard]] Decoded<IndexCreated> decode_index_created(std::string_view reply);
[[nodiscard]] Decoded<IndexDropped> decode_index_dropped(std::string_view reply);
[[nodiscard]] Decoded<VectorInserted> decode_inserted(std::string_view reply);
[[nodiscard]] Decoded<VectorRemoved> decode_vector_removed(std::string_view reply);
[[nodiscard]] Decoded<VectorMatches> decode_matches(std::string_view reply);
[[nodiscard]] Decoded<std::optional<std::vector<float>>> decode_vector(std::string_view reply);

}  // namespace norikv::wire
