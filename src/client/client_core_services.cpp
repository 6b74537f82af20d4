#include <chrono>
#include <initializer_list>
#include <utility>

#include "client/client_core.hpp"
#include "client/service_validation.hpp"
#include "client/submit.hpp"
#include "client/validation.hpp"
#include "wire/vectors.hpp"

// The Vector and Admin services, from the user's call to the session.
namespace norikv::detail {
namespace {

// The server keeps all vectors in one Raft group, that of shard 0.
constexpr std::uint32_t vector_shard = 0;

std::optional<Error> first_of(std::initializer_list<std::optional<Error>> checks) {
  for (const std::optional<Error>& check : checks) {
    if (check) return check;
  }
  return std::nullopt;
}

}  // namespace

template <class Encode, class Callback>
std::uint64_t ClientCore::write_vectors(wire::Method method, std::size_t bytes, std::optional<Error> wrong,
                                        const VectorWriteOptions& options, Encode encode, Callback callback) {
  core::Request request;
  request.method = method;
  request.shard = vector_shard;
  const IdempotencyKey idempotency_key = key_of(options.idempotency_key, options_.writes);
  set_idempotency(request, idempotency_key);
  request.scope = options.scope;
  request.ticket.bytes = bytes + idempotency_key.text().size();
  if (!wrong) wrong = client::check_text("VectorWriteOptions::idempotency_key", idempotency_key.text());
  return submit(
      std::move(request), [&] { return encode(key_text(idempotency_key)); }, wrong,
      client::deadline_of(options.timeout, options.deadline, options_.timeout, now()), std::move(callback));
}

template <class Options, class Encode, class Callback>
std::uint64_t ClientCore::read_vectors(wire::Method method, std::size_t bytes, std::optional<Error> wrong,
                                       Options& options, Encode encode, Callback callback) {
  core::Request request;
  request.method = method;
  request.shard = vector_shard;
  request.consistency = options.consistency;
  request.scope = std::move(options.scope);
  if (!wrong) wrong = client::check_text("consistency_text", options.consistency_text.value_or(""));
  request.consistency_text = std::move(options.consistency_text);
  request.ticket.bytes = bytes;
  return submit(std::move(request), encode, wrong,
                client::deadline_of(options.timeout, options.deadline, options_.timeout, now()), std::move(callback));
}

std::uint64_t ClientCore::create_index(std::string_view name, const VectorIndex& index, VectorWriteOptions options,
                                       IndexCreatedCallback callback) {
  return write_vectors(
      wire::Method::vector_create_index, name.size(),
      first_of({client::check_namespace(name), client::check_index(index)}), options,
      [&](const std::string& key) {
        return wire::encode(wire::CreateIndexRequest{name, index, key});
      },
      std::move(callback));
}

std::uint64_t ClientCore::drop_index(std::string_view name, VectorWriteOptions options, IndexDroppedCallback callback) {
  return write_vectors(
      wire::Method::vector_drop_index, name.size(), client::check_namespace(name), options,
      [&](const std::string& key) {
        return wire::encode(wire::DropIndexRequest{name, key});
      },
      std::move(callback));
}

std::uint64_t ClientCore::insert_vector(std::string_view name, std::string_view id, std::span<const float> vector,
                                        VectorWriteOptions options, VectorInsertedCallback callback) {
  return write_vectors(
      wire::Method::vector_insert, name.size() + id.size() + vector.size_bytes(),
      first_of({client::check_namespace(name), client::check_vector_id(id), client::check_vector("vector", vector)}),
      options,
      [&](const std::string& key) {
        return wire::encode(wire::InsertRequest{name, id, vector, key});
      },
      std::move(callback));
}

std::uint64_t ClientCore::remove_vector(std::string_view name, std::string_view id, VectorWriteOptions options,
                                        VectorRemovedCallback callback) {
  return write_vectors(
      wire::Method::vector_remove, name.size() + id.size(),
      first_of({client::check_namespace(name), client::check_vector_id(id)}), options,
      [&](const std::string& key) {
        return wire::encode(wire::RemoveVectorRequest{name, id, key});
      },
      std::move(callback));
}

std::uint64_t ClientCore::search_vectors(std::string_view name, std::span<const float> query, std::uint32_t k,
                                         VectorSearchOptions options, VectorSearchCallback callback) {
  return read_vectors(
      wire::Method::vector_search, name.size() + query.size_bytes(),
      first_of({client::check_namespace(name), client::check_vector("query", query), client::check_k(k)}), options,
      [&] {
        return wire::encode(wire::SearchRequest{name, query, k, options.include_vectors});
      },
      std::move(callback));
}

std::uint64_t ClientCore::get_vector(std::string_view name, std::string_view id, VectorGetOptions options,
                                     VectorGetCallback callback) {
  return read_vectors(
      wire::Method::vector_get, name.size() + id.size(),
      first_of({client::check_namespace(name), client::check_vector_id(id)}), options,
      [&] {
        return wire::encode(wire::GetVectorRequest{name, id});
      },
      std::move(callback));
}

std::uint64_t ClientCore::ask_about_shard(wire::Method method, std::uint32_t shard, std::string_view node_id,
                                          const AdminOptions& options, const std::optional<Error>& wrong,
                                          ShardInfoCallback callback) {
  core::Request request;
  request.method = method;
  request.shard = wrong ? 0 : shard;
  request.ticket.bytes = node_id.size();
  request.scope = options.scope;
  return submit(
      std::move(request),
      [&] {
        return wire::encode(wire::ShardRequest{shard, node_id});
      },
      wrong, client::deadline_of(options.timeout, options.deadline, options_.timeout, now()), std::move(callback));
}

std::uint64_t ClientCore::snapshot_shard(std::uint32_t shard, const AdminOptions& options, ShardInfoCallback callback) {
  return ask_about_shard(wire::Method::snapshot_shard, shard, {}, options,
                         client::check_shard(shard, options_.total_shards), std::move(callback));
}

std::uint64_t ClientCore::transfer_shard(std::uint32_t shard, std::string_view node_id, const AdminOptions& options,
                                         ShardInfoCallback callback) {
  return ask_about_shard(wire::Method::transfer_shard, shard, node_id, options,
                         first_of({client::check_shard(shard, options_.total_shards), client::check_node_id(node_id)}),
                         std::move(callback));
}

}  // namespace norikv::detail
