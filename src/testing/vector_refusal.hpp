#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "testing/refusal.hpp"

// What the server's code for vectors says when it does not do a thing, to the letter.
namespace norikv::testing {

// The checks that need no state.
[[nodiscard]] Answer<void> check_namespace(std::string_view name);
[[nodiscard]] Answer<void> check_vector_id(std::string_view id);
[[nodiscard]] Answer<void> check_vector(std::size_t dimensions);
[[nodiscard]] Answer<void> check_dimensions(std::uint32_t dimensions);
[[nodiscard]] Answer<void> check_k(std::uint32_t k);

[[nodiscard]] Refusal distance_not_specified();
/// The two refusals of a node that does not lead differ in code and text. `leader`: a replica's id; empty = none.
[[nodiscard]] Refusal vector_write_not_leader(std::string leader);
[[nodiscard]] Refusal vector_read_not_leader(std::string leader);
/// What the storage did not do: `failure` is such as "Failed to search: ".
[[nodiscard]] Refusal vector_failure(std::string_view failure, std::string_view why);
/// The server's code reads no vectors yet: `what` is "search" or "get".
[[nodiscard]] Refusal vectors_not_implemented(std::string_view failure, std::string_view what);

}  // namespace norikv::testing
