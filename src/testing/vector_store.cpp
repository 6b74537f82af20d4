#include "testing/vector_store.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

namespace norikv::testing {
namespace {

tl::unexpected<std::string> unknown_namespace() { return tl::unexpected<std::string>("Namespace not found"); }

VectorStore::Stored<void> check_dimensions(const VectorIndex& index, const std::vector<float>& vector) {
  if (vector.size() == index.dimensions) return {};
  return tl::unexpected<std::string>("Dimension mismatch: expected " + std::to_string(index.dimensions) + ", got " +
                                     std::to_string(vector.size()));
}

double inner_product(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0, std::plus<>{},
                            [](float x, float y) { return double{x} * double{y}; });
}

double euclidean(const std::vector<float>& a, const std::vector<float>& b) {
  return std::sqrt(std::inner_product(a.begin(), a.end(), b.begin(), 0.0, std::plus<>{}, [](float x, float y) {
    const double difference = double{x} - double{y};
    return difference * difference;
  }));
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  const double lengths = std::sqrt(inner_product(a, a)) * std::sqrt(inner_product(b, b));
  return lengths == 0 ? 1 : 1 - inner_product(a, b) / lengths;
}

// What is not a number is the farthest.
bool nearer(const VectorMatch& a, const VectorMatch& b) {
  if (std::isnan(a.distance) != std::isnan(b.distance)) return std::isnan(b.distance);
  if (a.distance < b.distance) return true;
  if (b.distance < a.distance) return false;
  return a.id < b.id;
}

}  // namespace

float distance_of(Distance distance, const std::vector<float>& a, const std::vector<float>& b) {
  switch (distance) {
    case Distance::euclidean:
      return static_cast<float>(euclidean(a, b));
    case Distance::cosine:
      return static_cast<float>(cosine(a, b));
    case Distance::inner_product:
      return static_cast<float>(-inner_product(a, b));
  }
  return 0;
}

VectorStore::Stored<bool> VectorStore::create_index(std::string_view name, const VectorIndex& index) {
  if (!indexes_.try_emplace(std::string(name), Index{index, {}}).second) {
    return tl::unexpected<std::string>("Namespace already exists");
  }
  return true;
}

VectorStore::Stored<bool> VectorStore::drop_index(std::string_view name) {
  const auto found = indexes_.find(name);
  if (found == indexes_.end()) return unknown_namespace();
  indexes_.erase(found);
  return true;
}

VectorStore::Stored<bool> VectorStore::insert(std::string_view name, std::string_view id, std::vector<float> vector) {
  const auto found = indexes_.find(name);
  if (found == indexes_.end()) return unknown_namespace();
  if (auto checked = check_dimensions(found->second.kind, vector); !checked) return tl::unexpected(checked.error());
  found->second.vectors.insert_or_assign(std::string(id), std::move(vector));
  return true;
}

VectorStore::Stored<bool> VectorStore::remove(std::string_view name, std::string_view id) {
  const auto found = indexes_.find(name);
  if (found == indexes_.end()) return unknown_namespace();
  const auto vector = found->second.vectors.find(id);
  if (vector == found->second.vectors.end()) return false;
  found->second.vectors.erase(vector);
  return true;
}

VectorStore::Stored<std::vector<VectorMatch>> VectorStore::search(std::string_view name,
                                                                  const std::vector<float>& query, std::size_t k,
                                                                  Vectors vectors) const {
  const auto found = indexes_.find(name);
  if (found == indexes_.end()) return unknown_namespace();
  const Index& index = found->second;
  if (auto checked = check_dimensions(index.kind, query); !checked) return tl::unexpected(checked.error());
  std::vector<VectorMatch> matches;
  matches.reserve(index.vectors.size());
  for (const auto& [id, vector] : index.vectors) {
    matches.push_back({id, distance_of(index.kind.distance, query, vector), {}});
  }
  const std::size_t count = std::min(k, matches.size());
  std::partial_sort(matches.begin(), matches.begin() + static_cast<std::ptrdiff_t>(count), matches.end(), nearer);
  matches.resize(count);
  if (vectors == Vectors::included) {
    for (VectorMatch& match : matches) match.vector = index.vectors.find(match.id)->second;
  }
  return matches;
}

VectorStore::Stored<std::optional<std::vector<float>>> VectorStore::get(std::string_view name,
                                                                        std::string_view id) const {
  const auto found = indexes_.find(name);
  if (found == indexes_.end()) return unknown_namespace();
  const auto vector = found->second.vectors.find(id);
  if (vector == found->second.vectors.end()) return std::nullopt;
  return vector->second;
}

std::size_t VectorStore::size(std::string_view name) const {
  const auto found = indexes_.find(name);
  return found == indexes_.end() ? 0 : found->second.vectors.size();
}

}  // namespace norikv::testing
