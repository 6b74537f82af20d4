#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <norikv/client.hpp>
#include <norikv/error.hpp>
#include <norikv/export.hpp>
#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

namespace norikv {

/// One copy of a shard, as the server tells it.
struct ShardReplica {
  std::string node_id;  ///< The server's own name for it, such as "node0-shard3"; not an address.
  bool leader = false;
};

/// A shard, as the server tells it.
struct ShardInfo {
  std::uint32_t id = 0;
  std::vector<ShardReplica> replicas;
};

/// Options of an administrative call.
struct AdminOptions {
  std::optional<Duration> timeout{};    ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  ScopeRef scope{};                     ///< Whose end cancels it.
};

using ShardInfoCallback = UniqueFunction<void(Result<ShardInfo>)>;

/// The Admin service of a client's cluster, made by `Client::admin()`. A small value: copy it, keep it; once the client
/// is gone everything ends with `closed`. The rules are those of `Client`.
///
/// Neither call is repeated after an unknown outcome; its error then says `maybe_applied`. A shard that is not below
/// `ClientOptions::total_shards` ends with `invalid_argument`, and nothing is sent.
class Admin {
 public:
  /// Lets the leader of a shard take a snapshot of it and shorten its log. Result: the shard, with the leader's copy.
  /// Errors: `not_found` if no node has the shard (a server makes a shard when a key of it is first used).
  ///
  /// The server can lose writes that are under way meanwhile. Therefore the call waits until this client's writes of
  /// the shard have ended, and none starts before it has ended; writes of other clients it can't hold back.
  NORIKV_EXPORT Operation snapshot_shard(std::uint32_t shard, AdminOptions options, ShardInfoCallback callback) const;
  NORIKV_EXPORT Operation snapshot_shard(std::uint32_t shard, ShardInfoCallback callback) const;

  /// Asks the leader of a shard to hand it over to the node with this id, which is not an address but the server's name
  /// for it (`NodeView::id`). Result: the shard, as the server tells it then. Errors: `not_supported` by today's
  /// server, which can't; `invalid_argument` for an id that is empty. It takes its turn among this client's writes of
  /// the shard.
  NORIKV_EXPORT Operation transfer_shard(std::uint32_t shard, std::string_view node_id, AdminOptions options,
                                         ShardInfoCallback callback) const;
  NORIKV_EXPORT Operation transfer_shard(std::uint32_t shard, std::string_view node_id,
                                         ShardInfoCallback callback) const;

 private:
  friend class Client;
  explicit Admin(std::weak_ptr<detail::ClientCore> core) noexcept : core_(std::move(core)) {}
  std::weak_ptr<detail::ClientCore> core_;
};

}  // namespace norikv
