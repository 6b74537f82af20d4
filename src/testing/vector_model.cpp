#include "testing/vector_model.hpp"

#include <algorithm>
#include <utility>

#include "testing/commit_clock.hpp"
#include "testing/vector_refusal.hpp"

namespace norikv::testing {
namespace {

constexpr auto failed_to_search = "Failed to search: ";
constexpr auto failed_to_get = "Failed to get vector: ";

template <class Numbers>
std::vector<float> to_vector(const Numbers& numbers) {
  return {numbers.begin(), numbers.end()};
}

/// None if the request names no distance that there is.
std::optional<Distance> to_distance(v1::DistanceFunction distance) {
  if (distance < v1::DISTANCE_FUNCTION_EUCLIDEAN || distance > v1::DISTANCE_FUNCTION_INNER_PRODUCT) return std::nullopt;
  return static_cast<Distance>(distance - 1);
}

IndexType to_type(v1::VectorIndexType type) {
  return type == v1::VECTOR_INDEX_TYPE_BRUTE_FORCE ? IndexType::brute_force : IndexType::hnsw;
}

}  // namespace

VectorModel::VectorModel(const ClusterConfig& config, TimePoint now)
    : config_(config), heartbeats_(now), servers_(config.profile == Profile::replicated ? 1 : config.nodes) {}

VectorModel::Server& VectorModel::server(NodeIndex node) { return servers_[servers_.size() == 1 ? 0 : node]; }

std::string VectorModel::hint(const Arrival& arrival) const {
  return arrival.leader ? replica_id(*arrival.leader, 0) : std::string();
}

template <class Apply>
Answer<bool> VectorModel::write(const Arrival& arrival, const std::string& idempotency_key, Apply apply) {
  Server& server = this->server(arrival.node);
  if (!idempotency_key.empty()) {
    const auto known = server.idempotency_keys.find(idempotency_key);
    if (known != server.idempotency_keys.end()) return known->second;
  }
  if (arrival.leader != arrival.node) return tl::unexpected(vector_write_not_leader(hint(arrival)));
  Answer<bool> done = apply(server);
  if (!done && done.error().code == StatusCode::invalid_argument) return done;  // not even proposed

  ++server.log_index;
  answer_due_ = commit_times(config_, heartbeats_, arrival.time).answered;
  std::erase_if(under_way_, [&](TimePoint due) { return due <= arrival.time; });
  under_way_.push_back(answer_due_);
  max_overlapping_ = std::max(max_overlapping_, static_cast<std::uint32_t>(under_way_.size()));
  if (done && !idempotency_key.empty()) server.idempotency_keys.emplace(idempotency_key, *done);
  return done;
}

Answer<bool> VectorModel::applied(VectorStore::Stored<bool> stored, const char* failure) const {
  if (!stored) return tl::unexpected(vector_failure(failure, stored.error()));
  return *stored;
}

Answer<void> VectorModel::admit_read(const Arrival& arrival, const std::string& consistency) const {
  if (auto checked = check_consistency(consistency, config_.shapes.consistency_names); !checked) return checked;
  if (arrival.leader == arrival.node || allows_followers(consistency)) return {};
  return tl::unexpected(vector_read_not_leader(hint(arrival)));
}

Answer<v1::CreateVectorIndexResponse> VectorModel::handle(const Arrival& arrival,
                                                          const v1::CreateVectorIndexRequest& request) {
  answer_due_ = arrival.time;
  return check_namespace(request.namespace_())
      .and_then([&] { return check_dimensions(request.dimensions()); })
      .and_then([&] {
        return write(arrival, request.idempotency_key(), [&](Server& server) -> Answer<bool> {
          const std::optional<Distance> distance = to_distance(request.distance());
          if (!distance) return tl::unexpected(distance_not_specified());
          if (!stores()) return true;
          return applied(server.store.create_index(request.namespace_(),
                                                   {request.dimensions(), *distance, to_type(request.index_type())}),
                         "Failed to create index: ");
        });
      })
      .map([](bool created) {
        v1::CreateVectorIndexResponse response;
        response.set_created(created);
        return response;
      });
}

Answer<v1::DropVectorIndexResponse> VectorModel::handle(const Arrival& arrival,
                                                        const v1::DropVectorIndexRequest& request) {
  answer_due_ = arrival.time;
  return check_namespace(request.namespace_())
      .and_then([&] {
        return write(arrival, request.idempotency_key(), [&](Server& server) -> Answer<bool> {
          if (!stores()) return true;
          return applied(server.store.drop_index(request.namespace_()), "Failed to drop index: ");
        });
      })
      .map([](bool dropped) {
        v1::DropVectorIndexResponse response;
        response.set_dropped(dropped);
        return response;
      });
}

Answer<v1::VectorInsertResponse> VectorModel::handle(const Arrival& arrival, const v1::VectorInsertRequest& request) {
  answer_due_ = arrival.time;
  return check_namespace(request.namespace_())
      .and_then([&] { return check_vector_id(request.id()); })
      .and_then([&] { return check_vector(static_cast<std::size_t>(request.vector_size())); })
      .and_then([&] {
        return write(arrival, request.idempotency_key(), [&](Server& server) -> Answer<bool> {
          if (!stores()) return true;
          return applied(server.store.insert(request.namespace_(), request.id(), to_vector(request.vector())),
                         "Failed to insert vector: ");
        });
      })
      .map([&](bool inserted) {
        v1::VectorInsertResponse response;
        response.set_inserted(inserted);
        // Where the log stands now, also for a repeated idempotency key.
        response.mutable_version()->set_index(server(arrival.node).log_index);
        return response;
      });
}

Answer<v1::VectorDeleteResponse> VectorModel::handle(const Arrival& arrival, const v1::VectorDeleteRequest& request) {
  answer_due_ = arrival.time;
  return check_namespace(request.namespace_())
      .and_then([&] { return check_vector_id(request.id()); })
      .and_then([&] {
        return write(arrival, request.idempotency_key(), [&](Server& server) -> Answer<bool> {
          if (!stores()) return true;
          return applied(server.store.remove(request.namespace_(), request.id()), "Failed to delete vector: ");
        });
      })
      .map([](bool removed) {
        v1::VectorDeleteResponse response;
        response.set_deleted(removed);
        return response;
      });
}

Answer<v1::VectorSearchResponse> VectorModel::handle(const Arrival& arrival, const v1::VectorSearchRequest& request) {
  answer_due_ = arrival.time;
  auto admitted = check_namespace(request.namespace_())
                      .and_then([&] { return check_vector(static_cast<std::size_t>(request.query_size())); })
                      .and_then([&] { return check_k(request.k()); })
                      .and_then([&] { return admit_read(arrival, request.consistency()); });
  if (!admitted) return tl::unexpected(std::move(admitted.error()));
  if (!stores()) return tl::unexpected(vectors_not_implemented(failed_to_search, "search"));

  const VectorStore& store = server(arrival.node).store;
  const auto vectors = request.include_vectors() ? VectorStore::Vectors::included : VectorStore::Vectors::omitted;
  const auto found = store.search(request.namespace_(), to_vector(request.query()), request.k(), vectors);
  if (!found) return tl::unexpected(vector_failure(failed_to_search, found.error()));
  v1::VectorSearchResponse response;
  for (const VectorMatch& match : *found) {
    v1::VectorMatch& added = *response.add_matches();
    added.set_id(match.id);
    added.set_distance(match.distance);
    added.mutable_vector()->Add(match.vector.begin(), match.vector.end());
  }
  response.set_search_time_us(store.size(request.namespace_()));  // as if a comparison took a microsecond
  return response;
}

Answer<v1::VectorGetResponse> VectorModel::handle(const Arrival& arrival, const v1::VectorGetRequest& request) {
  answer_due_ = arrival.time;
  auto admitted =
      check_namespace(request.namespace_()).and_then([&] { return check_vector_id(request.id()); }).and_then([&] {
        return admit_read(arrival, request.consistency());
      });
  if (!admitted) return tl::unexpected(std::move(admitted.error()));
  if (!stores()) return tl::unexpected(vectors_not_implemented(failed_to_get, "get"));

  const auto found = server(arrival.node).store.get(request.namespace_(), request.id());
  if (!found) return tl::unexpected(vector_failure(failed_to_get, found.error()));
  v1::VectorGetResponse response;
  response.set_found(found->has_value());
  if (*found) response.mutable_vector()->Add((*found)->begin(), (*found)->end());
  return response;
}

void VectorModel::restart(NodeIndex node) {
  if (config_.profile == Profile::replicated) return;
  server(node).idempotency_keys.clear();
  server(node).log_index = 0;
}

}  // namespace norikv::testing
