#include <utility>

#include <norikv/admin.hpp>
#include <norikv/vectors.hpp>

#include "client/client_core.hpp"
#include "client/validation.hpp"

// The public API of the Vector and Admin services: hands over to the core, as long as there is one.
namespace norikv {
namespace {

/// Submits to the core by `submit(core)`, which takes the callback; without a core the callback gets `closed`.
template <class Callback, class Submit>
std::uint64_t submit_to(const std::shared_ptr<detail::ClientCore>& core, Callback& callback, Submit submit) {
  if (core != nullptr) return submit(*core);
  if (callback) callback(tl::make_unexpected(client::make_error(ErrorCode::closed, "the client is gone")));
  return 0;
}

}  // namespace

Operation Vectors::create_index(std::string_view name, VectorIndex index, VectorWriteOptions options,
                                IndexCreatedCallback callback) const {
  const auto core = core_.lock();
  return {core, submit_to(core, callback, [&](detail::ClientCore& to) {
            return to.create_index(name, index, std::move(options), std::move(callback));
          })};
}

Operation Vectors::create_index(std::string_view name, VectorIndex index, IndexCreatedCallback callback) const {
  return create_index(name, index, {}, std::move(callback));
}

Operation Vectors::drop_index(std::string_view name, VectorWriteOptions options, IndexDroppedCallback callback) const {
  const auto core = core_.lock();
  return {core, submit_to(core, callback, [&](detail::ClientCore& to) {
            return to.drop_index(name, std::move(options), std::move(callback));
          })};
}

Operation Vectors::drop_index(std::string_view name, IndexDroppedCallback callback) const {
  return drop_index(name, {}, std::move(callback));
}

Operation Vectors::insert(std::string_view name, std::string_view id, std::span<const float> vector,
                          VectorWriteOptions options, VectorInsertedCallback callback) const {
  const auto core = core_.lock();
  return {core, submit_to(core, callback, [&](detail::ClientCore& to) {
            return to.insert_vector(name, id, vector, std::move(options), std::move(callback));
          })};
}

Operation Vectors::insert(std::string_view name, std::string_view id, std::span<const float> vector,
                          VectorInsertedCallback callback) const {
  return insert(name, id, vector, {}, std::move(callback));
}

Operation Vectors::remove(std::string_view name, std::string_view id, VectorWriteOptions options,
                          VectorRemovedCallback callback) const {
  const auto core = core_.lock();
  return {core, submit_to(core, callback, [&](detail::ClientCore& to) {
            return to.remove_vector(name, id, std::move(options), std::move(callback));
          })};
}

Operation Vectors::remove(std::string_view name, std::string_view id, VectorRemovedCallback callback) const {
  return remove(name, id, {}, std::move(callback));
}

Operation Vectors::search(std::string_view name, std::span<const float> query, std::uint32_t k,
                          VectorSearchOptions options, VectorSearchCallback callback) const {
  const auto core = core_.lock();
  return {core, submit_to(core, callback, [&](detail::ClientCore& to) {
            return to.search_vectors(name, query, k, std::move(options), std::move(callback));
          })};
}

Operation Vectors::search(std::string_view name, std::span<const float> query, std::uint32_t k,
                          VectorSearchCallback callback) const {
  return search(name, query, k, {}, std::move(callback));
}

Operation Vectors::get(std::string_view name, std::string_view id, VectorGetOptions options,
                       VectorGetCallback callback) const {
  const auto core = core_.lock();
  return {core, submit_to(core, callback, [&](detail::ClientCore& to) {
            return to.get_vector(name, id, std::move(options), std::move(callback));
          })};
}

Operation Vectors::get(std::string_view name, std::string_view id, VectorGetCallback callback) const {
  return get(name, id, {}, std::move(callback));
}

Operation Admin::snapshot_shard(std::uint32_t shard, AdminOptions options, ShardInfoCallback callback) const {
  const auto core = core_.lock();
  return {core, submit_to(core, callback, [&](detail::ClientCore& to) {
            return to.snapshot_shard(shard, std::move(options), std::move(callback));
          })};
}

Operation Admin::snapshot_shard(std::uint32_t shard, ShardInfoCallback callback) const {
  return snapshot_shard(shard, {}, std::move(callback));
}

Operation Admin::transfer_shard(std::uint32_t shard, std::string_view node_id, AdminOptions options,
                                ShardInfoCallback callback) const {
  const auto core = core_.lock();
  return {core, submit_to(core, callback, [&](detail::ClientCore& to) {
            return to.transfer_shard(shard, node_id, std::move(options), std::move(callback));
          })};
}

Operation Admin::transfer_shard(std::uint32_t shard, std::string_view node_id, ShardInfoCallback callback) const {
  return transfer_shard(shard, node_id, {}, std::move(callback));
}

}  // namespace norikv
