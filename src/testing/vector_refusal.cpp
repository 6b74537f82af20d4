#include "testing/vector_refusal.hpp"

#include <utility>

#include <norikv/vectors.hpp>

namespace norikv::testing {
namespace {

// The name under which this service, unlike that of keys, names the leader.
constexpr std::string_view hint_key = "x-norikv-leader";

Answer<void> refuse(std::string text) { return tl::unexpected(Refusal{StatusCode::invalid_argument, std::move(text)}); }

Answer<void> check_size(std::string_view what, std::size_t size, std::size_t limit) {
  if (size == 0) return refuse(std::string(what) + " cannot be empty");
  if (size <= limit) return {};
  return refuse(std::string(what) + " size " + std::to_string(size) + " exceeds limit " + std::to_string(limit));
}

}  // namespace

Answer<void> check_namespace(std::string_view name) { return check_size("Namespace", name.size(), max_namespace_size); }

Answer<void> check_vector_id(std::string_view id) { return check_size("Vector ID", id.size(), max_vector_id_size); }

Answer<void> check_vector(std::size_t dimensions) {
  if (dimensions == 0) return refuse("Vector cannot be empty");
  if (dimensions <= max_dimensions) return {};
  return refuse("Vector dimensions " + std::to_string(dimensions) + " exceeds limit " + std::to_string(max_dimensions));
}

Answer<void> check_dimensions(std::uint32_t dimensions) {
  if (dimensions >= 1 && dimensions <= max_dimensions) return {};
  return refuse("Dimensions must be between 1 and " + std::to_string(max_dimensions));
}

Answer<void> check_k(std::uint32_t k) {
  if (k > 0) return {};
  return refuse("k must be greater than 0");
}

Refusal distance_not_specified() { return {StatusCode::invalid_argument, "Distance function must be specified"}; }

Refusal vector_write_not_leader(std::string leader) {
  return {StatusCode::failed_precondition, "Not leader", std::move(leader), hint_key};
}

Refusal vector_read_not_leader(std::string leader) {
  return {StatusCode::unavailable, "NOT_LEADER: strong consistency requires leader", std::move(leader), hint_key};
}

Refusal vector_failure(std::string_view failure, std::string_view why) {
  return {StatusCode::internal, std::string(failure).append("Internal error: ").append(why)};
}

Refusal vectors_not_implemented(std::string_view failure, std::string_view what) {
  return vector_failure(failure,
                        "Vector " + std::string(what) + " not yet implemented - requires LsmStateMachine integration");
}

}  // namespace norikv::testing
