#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <norikv/client.hpp>
#include <norikv/error.hpp>
#include <norikv/export.hpp>
#include <norikv/options.hpp>
#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

namespace norikv {

/// The largest namespace and vector id the server accepts, in bytes, and the most dimensions. Beyond them, or with
/// none, nothing is sent.
inline constexpr std::size_t max_namespace_size = 256;
inline constexpr std::size_t max_vector_id_size = 512;
inline constexpr std::size_t max_dimensions = 4096;

/// How an index measures the distance of two vectors.
enum class Distance : std::uint8_t { euclidean, cosine, inner_product };

/// The name of a distance: "euclidean", "cosine", "inner_product".
[[nodiscard]] constexpr std::string_view to_string(Distance distance) noexcept {
  switch (distance) {
    case Distance::euclidean:
      return "euclidean";
    case Distance::cosine:
      return "cosine";
    case Distance::inner_product:
      return "inner_product";
  }
  return "unknown";
}

/// How an index finds the nearest vectors.
enum class IndexType : std::uint8_t {
  brute_force,  ///< Compares with every vector: exact.
  hnsw,         ///< Walks a graph of neighbours: approximate, and fast among many.
};

/// The name of a type: "brute_force", "hnsw".
[[nodiscard]] constexpr std::string_view to_string(IndexType type) noexcept {
  switch (type) {
    case IndexType::brute_force:
      return "brute_force";
    case IndexType::hnsw:
      return "hnsw";
  }
  return "unknown";
}

/// What an index is made of. A namespace has one.
struct VectorIndex {
  std::uint32_t dimensions = 0;  ///< Of each of its vectors, 1 to `max_dimensions`.
  Distance distance = Distance::euclidean;
  IndexType type = IndexType::hnsw;
};

/// A create_index that was acknowledged. In this and the following results the flag is what the server answered.
struct IndexCreated {
  bool created = false;
};

/// A drop_index that was acknowledged.
struct IndexDropped {
  bool dropped = false;
};

/// An insert that was acknowledged.
struct VectorInserted {
  bool inserted = false;
  /// Of the log the vectors are kept in; not the version of a key. A repeated idempotency key gets a newer one.
  Version version;
};

/// A remove that was acknowledged.
struct VectorRemoved {
  bool removed = false;
};

/// One vector that a search found.
struct VectorMatch {
  std::string id;
  float distance = 0;         ///< By the index's `Distance`, as the server measures it.
  std::vector<float> vector;  ///< Empty unless `VectorSearchOptions::include_vectors` was set.
};

/// What a search found.
struct VectorMatches {
  std::vector<VectorMatch> matches;  ///< At most `k`, in the server's order: nearest first.
  Duration search_time{};            ///< What the server says it took.
};

/// Options of what changes an index: `create_index`, `drop_index`, `insert`, `remove`.
struct VectorWriteOptions {
  std::optional<Duration> timeout{};    ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  IdempotencyKey idempotency_key{};     ///< Text or `automatic`. The server keeps these apart from those of keys.
  ScopeRef scope{};                     ///< Whose end cancels it.
};

/// Options of one `search`.
struct VectorSearchOptions {
  std::optional<Duration> timeout{};    ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  Consistency consistency = Consistency::lease;
  /// Sent as it is instead of `consistency`, for servers with levels of their own.
  std::optional<std::string> consistency_text{};
  bool include_vectors = false;  ///< Whether each match brings its vector along.
  ScopeRef scope{};              ///< Whose end cancels it.
};

/// Options of one `get`.
struct VectorGetOptions {
  std::optional<Duration> timeout{};    ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  Consistency consistency = Consistency::lease;
  /// Sent as it is instead of `consistency`, for servers with levels of their own.
  std::optional<std::string> consistency_text{};
  ScopeRef scope{};  ///< Whose end cancels it.
};

using IndexCreatedCallback = UniqueFunction<void(Result<IndexCreated>)>;
using IndexDroppedCallback = UniqueFunction<void(Result<IndexDropped>)>;
using VectorInsertedCallback = UniqueFunction<void(Result<VectorInserted>)>;
using VectorRemovedCallback = UniqueFunction<void(Result<VectorRemoved>)>;
using VectorSearchCallback = UniqueFunction<void(Result<VectorMatches>)>;
using VectorGetCallback = UniqueFunction<void(Result<std::optional<std::vector<float>>>)>;

/// The Vector service of a client's cluster, made by `Client::vectors()`. A small value: copy it, keep it; once the
/// client is gone everything ends with `closed`.
///
/// The rules are those of `Client`: any thread may call, each callback comes exactly once on the loop's thread, what is
/// passed is copied before the call returns, one time bounds it all, and a write's error says whether it may have been
/// applied.
///
/// Today's NoriKV server does not serve vectors: everything ends with `not_supported`, and is not tried again.
///
/// Names and ids are UTF-8. Vectors consist of finite numbers. What violates that or the limits above ends with
/// `invalid_argument`, and nothing is sent. An unknown namespace, one that is there already, and a vector of other
/// dimensions than the index's are errors of the server (`server_error`), as far as it tells them.
///
/// Order: writes of one client, of all namespaces, take effect one after the other in the order of their submission
/// (`WriteOptions`; they wait for each other, but not for those of keys). Searches and gets wait for none.
class Vectors {
 public:
  /// Makes the index of a namespace. Result: the server's flag.
  NORIKV_EXPORT Operation create_index(std::string_view name, VectorIndex index, VectorWriteOptions options,
                                       IndexCreatedCallback callback) const;
  NORIKV_EXPORT Operation create_index(std::string_view name, VectorIndex index, IndexCreatedCallback callback) const;

  /// Drops the index of a namespace with all its vectors. Result: the server's flag.
  NORIKV_EXPORT Operation drop_index(std::string_view name, VectorWriteOptions options,
                                     IndexDroppedCallback callback) const;
  NORIKV_EXPORT Operation drop_index(std::string_view name, IndexDroppedCallback callback) const;

  /// Stores a vector under an id, in place of one that is there. Result: the version, and the server's flag.
  NORIKV_EXPORT Operation insert(std::string_view name, std::string_view id, std::span<const float> vector,
                                 VectorWriteOptions options, VectorInsertedCallback callback) const;
  NORIKV_EXPORT Operation insert(std::string_view name, std::string_view id, std::span<const float> vector,
                                 VectorInsertedCallback callback) const;

  /// Removes the vector of an id. Result: the server's flag.
  NORIKV_EXPORT Operation remove(std::string_view name, std::string_view id, VectorWriteOptions options,
                                 VectorRemovedCallback callback) const;
  NORIKV_EXPORT Operation remove(std::string_view name, std::string_view id, VectorRemovedCallback callback) const;

  /// Finds the `k` vectors that are nearest to `query`; `k` is positive. Result: those that were found, maybe none.
  NORIKV_EXPORT Operation search(std::string_view name, std::span<const float> query, std::uint32_t k,
                                 VectorSearchOptions options, VectorSearchCallback callback) const;
  NORIKV_EXPORT Operation search(std::string_view name, std::span<const float> query, std::uint32_t k,
                                 VectorSearchCallback callback) const;

  /// Reads the vector of an id. Result: the vector; none, which is a success too, if the id is not there.
  NORIKV_EXPORT Operation get(std::string_view name, std::string_view id, VectorGetOptions options,
                              VectorGetCallback callback) const;
  NORIKV_EXPORT Operation get(std::string_view name, std::string_view id, VectorGetCallback callback) const;

 private:
  friend class Client;
  explicit Vectors(std::weak_ptr<detail::ClientCore> core) noexcept : core_(std::move(core)) {}
  std::weak_ptr<detail::ClientCore> core_;
};

}  // namespace norikv
