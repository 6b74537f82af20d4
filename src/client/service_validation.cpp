#include "client/service_validation.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "client/validation.hpp"

namespace norikv::client {
namespace {

Error invalid(const std::string& message) { return make_error(ErrorCode::invalid_argument, message); }

/// A text that is there, is not too long, and is UTF-8; `what` is such as "the namespace".
std::optional<Error> check_name(const std::string& what, std::string_view text, std::size_t most) {
  if (text.empty()) return invalid(what + " is empty");
  if (text.size() > most) {
    return invalid(what + " has " + std::to_string(text.size()) + " bytes; the server takes at most " +
                   std::to_string(most));
  }
  return check_text(what, text);
}

std::optional<Error> check_dimensions(const std::string& what, std::size_t dimensions) {
  if (dimensions >= 1 && dimensions <= max_dimensions) return std::nullopt;
  return invalid(what + " has " + std::to_string(dimensions) + " dimensions; the server takes 1 to " +
                 std::to_string(max_dimensions));
}

}  // namespace

std::optional<Error> check_namespace(std::string_view name) {
  return check_name("the namespace", name, max_namespace_size);
}

std::optional<Error> check_vector_id(std::string_view id) {
  return check_name("the vector's id", id, max_vector_id_size);
}

std::optional<Error> check_index(const VectorIndex& index) {
  if (std::optional<Error> wrong = check_dimensions("the index", index.dimensions)) return wrong;
  if (index.distance > Distance::inner_product) return invalid("VectorIndex::distance is none that there is");
  if (index.type > IndexType::hnsw) return invalid("VectorIndex::type is none that there is");
  return std::nullopt;
}

std::optional<Error> check_vector(std::string_view what, std::span<const float> vector) {
  const std::string name = "the " + std::string{what};
  if (std::optional<Error> wrong = check_dimensions(name, vector.size())) return wrong;
  // Nothing is near to what is not a number, and the server does not look.
  if (!std::all_of(vector.begin(), vector.end(), [](float number) { return std::isfinite(number); }))
    return invalid(name + " has a number that is not finite");
  return std::nullopt;
}

std::optional<Error> check_k(std::uint32_t k) {
  if (k > 0) return std::nullopt;
  return invalid("k is 0; a search asks for at least one match");
}

std::optional<Error> check_shard(std::uint32_t shard, std::uint32_t total_shards) {
  if (shard < total_shards) return std::nullopt;
  return invalid("the shard is " + std::to_string(shard) + "; there are " + std::to_string(total_shards) +
                 " (ClientOptions::total_shards), and the first is 0");
}

std::optional<Error> check_node_id(std::string_view node_id) {
  if (node_id.empty()) return invalid("the node's id is empty");
  return check_text("the node's id", node_id);
}

}  // namespace norikv::client
