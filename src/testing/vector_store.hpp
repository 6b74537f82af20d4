#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include <norikv/vectors.hpp>

namespace norikv::testing {

/// The vectors of one server, by namespace and id. Searches compare with every vector, whatever the type of the index:
/// the result is exact. Owned by a vector model; requests have been checked before.
class VectorStore {
 public:
  /// A result, or the storage's words for why there is none.
  template <class T>
  using Stored = tl::expected<T, std::string>;

  Stored<bool> create_index(std::string_view name, const VectorIndex& index);
  Stored<bool> drop_index(std::string_view name);
  Stored<bool> insert(std::string_view name, std::string_view id, std::vector<float> vector);
  /// Whether there was a vector.
  Stored<bool> remove(std::string_view name, std::string_view id);

  /// The `k` nearest, nearest first; vectors of one distance in the order of their ids.
  enum class Vectors : std::uint8_t { omitted, included };
  [[nodiscard]] Stored<std::vector<VectorMatch>> search(std::string_view name, const std::vector<float>& query,
                                                        std::size_t k, Vectors vectors) const;
  [[nodiscard]] Stored<std::optional<std::vector<float>>> get(std::string_view name, std::string_view id) const;
  /// How many vectors a namespace has; 0 if there is no such namespace.
  [[nodiscard]] std::size_t size(std::string_view name) const;

 private:
  struct Index {
    VectorIndex kind;
    std::map<std::string, std::vector<float>, std::less<>> vectors;
  };

  std::map<std::string, Index, std::less<>> indexes_;
};

/// How far apart two vectors of one length are; the less, the nearer.
/// Euclidean: the length of the difference. Cosine: 1 less the cosine of the angle, and 1 if a vector has no direction.
/// Inner product: its negative.
[[nodiscard]] float distance_of(Distance distance, const std::vector<float>& a, const std::vector<float>& b);

}  // namespace norikv::testing
