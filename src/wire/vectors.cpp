#include "wire/vectors.hpp"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <utility>

#include <google/protobuf/arena.h>

#include "norikv.pb.h"
#include "wire/codec.hpp"

namespace norikv::wire {
namespace {

namespace pb = norikv::v1;

// The protocol's 0 says that nothing was specified.
std::uint64_t to_proto(Distance distance) { return static_cast<std::uint64_t>(distance) + 1; }
std::uint64_t to_proto(IndexType type) { return static_cast<std::uint64_t>(type) + 1; }

static_assert(static_cast<int>(Distance::euclidean) + 1 == pb::DISTANCE_FUNCTION_EUCLIDEAN);
static_assert(static_cast<int>(Distance::cosine) + 1 == pb::DISTANCE_FUNCTION_COSINE);
static_assert(static_cast<int>(Distance::inner_product) + 1 == pb::DISTANCE_FUNCTION_INNER_PRODUCT);
static_assert(static_cast<int>(IndexType::brute_force) + 1 == pb::VECTOR_INDEX_TYPE_BRUTE_FORCE);
static_assert(static_cast<int>(IndexType::hnsw) + 1 == pb::VECTOR_INDEX_TYPE_HNSW);

tl::unexpected<std::string> failed(std::string_view message, std::string_view why) {
  return tl::make_unexpected(std::string(message).append(" ").append(why));
}

/// Whether a reply consists of nothing but fields with these tags. Protobuf passes over others, so bytes of another
/// kind can parse as a message without any content.
bool consists_of(std::string_view reply, std::initializer_list<std::uint32_t> tags) {
  return !any_field(reply, [&](std::uint32_t tag) { return std::find(tags.begin(), tags.end(), tag) == tags.end(); });
}

/// Whether the flag in field 1 of a reply is set; `meta` is the tag of its map, 0 if it has none.
template <class Message, class Read>
Decoded<bool> decode_flag(std::string_view reply, std::string_view name, std::uint32_t meta, Read read) {
  Message message;
  if (auto error = parse(message, reply, name)) return tl::make_unexpected(std::move(*error));
  const bool set = read(message);
  if (!set && !consists_of(reply, {number_tag(1), meta})) return failed(name, "holds neither a yes nor a no");
  return set;
}

std::vector<float> to_vector(const google::protobuf::RepeatedField<float>& numbers) {
  return {numbers.begin(), numbers.end()};
}

Duration to_duration(std::uint64_t microseconds) {
  constexpr std::uint64_t most = std::chrono::duration_cast<std::chrono::microseconds>(max_duration).count();
  return std::chrono::microseconds{std::min(microseconds, most)};
}

}  // namespace

std::string encode(const CreateIndexRequest& request) {
  using Fields = pb::CreateVectorIndexRequest;
  return FieldWriter(request.name.size() + request.idempotency_key.size() + 5 * max_overhead)
      .text(Fields::kNamespaceFieldNumber, request.name)
      .number(Fields::kDimensionsFieldNumber, request.index.dimensions)
      .number(Fields::kDistanceFieldNumber, to_proto(request.index.distance))
      .number(Fields::kIndexTypeFieldNumber, to_proto(request.index.type))
      .text(Fields::kIdempotencyKeyFieldNumber, request.idempotency_key)
      .take();
}

std::string encode(const DropIndexRequest& request) {
  using Fields = pb::DropVectorIndexRequest;
  return FieldWriter(request.name.size() + request.idempotency_key.size() + 2 * max_overhead)
      .text(Fields::kNamespaceFieldNumber, request.name)
      .text(Fields::kIdempotencyKeyFieldNumber, request.idempotency_key)
      .take();
}

std::string encode(const InsertRequest& request) {
  using Fields = pb::VectorInsertRequest;
  return FieldWriter(request.name.size() + request.id.size() + request.vector.size_bytes() +
                     request.idempotency_key.size() + 4 * max_overhead)
      .text(Fields::kNamespaceFieldNumber, request.name)
      .text(Fields::kIdFieldNumber, request.id)
      .floats(Fields::kVectorFieldNumber, request.vector)
      .text(Fields::kIdempotencyKeyFieldNumber, request.idempotency_key)
      .take();
}

std::string encode(const RemoveVectorRequest& request) {
  using Fields = pb::VectorDeleteRequest;
  return FieldWriter(request.name.size() + request.id.size() + request.idempotency_key.size() + 3 * max_overhead)
      .text(Fields::kNamespaceFieldNumber, request.name)
      .text(Fields::kIdFieldNumber, request.id)
      .text(Fields::kIdempotencyKeyFieldNumber, request.idempotency_key)
      .take();
}

std::string encode(const SearchRequest& request) {
  using Fields = pb::VectorSearchRequest;
  return FieldWriter(request.name.size() + request.query.size_bytes() + 4 * max_overhead)
      .text(Fields::kNamespaceFieldNumber, request.name)
      .floats(Fields::kQueryFieldNumber, request.query)
      .number(Fields::kKFieldNumber, request.k)
      .number(Fields::kIncludeVectorsFieldNumber, request.include_vectors ? 1 : 0)
      .take();
}

std::string encode(const GetVectorRequest& request) {
  using Fields = pb::VectorGetRequest;
  return FieldWriter(request.name.size() + request.id.size() + 2 * max_overhead)
      .text(Fields::kNamespaceFieldNumber, request.name)
      .text(Fields::kIdFieldNumber, request.id)
      .take();
}

Decoded<IndexCreated> decode_index_created(std::string_view reply) {
  using Message = pb::CreateVectorIndexResponse;
  return decode_flag<Message>(reply, "CreateVectorIndexResponse", text_tag(Message::kMetaFieldNumber),
                              [](const Message& message) { return message.created(); })
      .map([](bool created) { return IndexCreated{created}; });
}

Decoded<IndexDropped> decode_index_dropped(std::string_view reply) {
  using Message = pb::DropVectorIndexResponse;
  return decode_flag<Message>(reply, "DropVectorIndexResponse", 0,
                              [](const Message& message) { return message.dropped(); })
      .map([](bool dropped) { return IndexDropped{dropped}; });
}

Decoded<VectorRemoved> decode_vector_removed(std::string_view reply) {
  using Message = pb::VectorDeleteResponse;
  return decode_flag<Message>(reply, "VectorDeleteResponse", 0,
                              [](const Message& message) { return message.deleted(); })
      .map([](bool removed) { return VectorRemoved{removed}; });
}

Decoded<VectorInserted> decode_inserted(std::string_view reply) {
  pb::VectorInsertResponse message;
  if (auto error = parse(message, reply, "VectorInsertResponse")) return tl::make_unexpected(std::move(*error));
  if (!message.has_version()) return failed("VectorInsertResponse", "lacks its version");
  return VectorInserted{message.inserted(), from_proto(message.version())};
}

Decoded<VectorMatches> decode_matches(std::string_view reply) {
  // A search can bring thousands of vectors: the arena takes them in a few blocks.
  google::protobuf::Arena arena;
  auto& message = *google::protobuf::Arena::CreateMessage<pb::VectorSearchResponse>(&arena);
  if (auto error = parse(message, reply, "VectorSearchResponse")) return tl::make_unexpected(std::move(*error));
  using Fields = pb::VectorSearchResponse;
  if (message.matches().empty() &&
      !consists_of(reply, {text_tag(Fields::kMatchesFieldNumber), number_tag(Fields::kSearchTimeUsFieldNumber)}))
    return failed("VectorSearchResponse", "holds neither matches nor an empty result");
  VectorMatches found;
  found.search_time = to_duration(message.search_time_us());
  found.matches.reserve(static_cast<std::size_t>(message.matches_size()));
  for (pb::VectorMatch& match : *message.mutable_matches()) {
    if (match.id().empty()) return failed("VectorSearchResponse", "has a match without an id");
    found.matches.push_back({std::move(*match.mutable_id()), match.distance(), to_vector(match.vector())});
  }
  return found;
}

Decoded<std::optional<std::vector<float>>> decode_vector(std::string_view reply) {
  pb::VectorGetResponse message;
  if (auto error = parse(message, reply, "VectorGetResponse")) return tl::make_unexpected(std::move(*error));
  if (message.found() && message.vector().empty()) return failed("VectorGetResponse", "lacks the vector it found");
  if (message.found()) return to_vector(message.vector());
  if (!message.vector().empty()) return failed("VectorGetResponse", "has a vector it did not find");
  using Fields = pb::VectorGetResponse;
  if (!consists_of(reply, {text_tag(Fields::kVectorFieldNumber), number_tag(Fields::kFoundFieldNumber)}))
    return failed("VectorGetResponse", "holds neither a vector nor a missing one");
  return std::nullopt;
}

}  // namespace norikv::wire
