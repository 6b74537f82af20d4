#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <norikv/error.hpp>
#include <norikv/vectors.hpp>

// Checks of what users hand to the Vector and Admin services, as pure functions. An error is `invalid_argument` and
// says what is wrong; never a name, an id or a number of a vector.
namespace norikv::client {

[[nodiscard]] std::optional<Error> check_namespace(std::string_view name);
[[nodiscard]] std::optional<Error> check_vector_id(std::string_view id);
[[nodiscard]] std::optional<Error> check_index(const VectorIndex& index);
/// `what` names it: "vector" or "query".
[[nodiscard]] std::optional<Error> check_vector(std::string_view what, std::span<const float> vector);
[[nodiscard]] std::optional<Error> check_k(std::uint32_t k);

[[nodiscard]] std::optional<Error> check_shard(std::uint32_t shard, std::uint32_t total_shards);
[[nodiscard]] std::optional<Error> check_node_id(std::string_view node_id);

}  // namespace norikv::client
