#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>

#include "testing/refusal.hpp"
#include "wire/wire.hpp"

namespace norikv::testing {

using NodeIndex = std::uint32_t;

enum class WriteKind : std::uint8_t { put, remove };

/// What really became of a write, for a test that checks what its client was told.
struct WriteFate {
  std::uint32_t applied = 0;  ///< How often it took effect.
  std::uint64_t place = 0;    ///< The last time, as `clock` told it ...
  TimePoint at{};             ///< ... and as the server's clock did: a time to live begins here.
  std::function<std::uint64_t()> clock{};

  void took_effect(TimePoint when) {
    ++applied;
    at = when;
    if (clock) place = clock();
  }
};

/// A request to write, as it arrived.
struct Write {
  WriteKind kind = WriteKind::put;
  std::string key;
  std::string value{};
  std::optional<Duration> ttl{};
  std::string idempotency_key{};
  std::optional<Version> if_match{};
  std::shared_ptr<WriteFate> fate{};  ///< None = nobody wants to know.
};

enum class WriteId : std::uint64_t {};

/// Names a write that is under way.
struct WriteTicket {
  NodeIndex node = 0;
  std::uint32_t shard = 0;
  WriteId id{};
};

/// What became of a write: its answer, or when to ask again (an event may settle it earlier).
struct WriteProgress {
  std::optional<Answer<Version>> answer;
  TimePoint ask_again{};
};

/// A write that was admitted: answered at once (a repeated idempotency key), or under way.
struct WriteStart {
  std::optional<Version> repeated;
  WriteTicket ticket{};
};

/// The servers of a cluster without a network, a thread or a clock: what each node answers at which time. One
/// implementation per profile. Owner: the engine, which serialises all calls; a simulation can drive it alike.
/// Time never goes back between calls. Nodes that are stopped or frozen are not asked: that is up to the caller.
class ClusterModel {
 public:
  virtual ~ClusterModel() = default;

  virtual Answer<WriteStart> begin_write(NodeIndex node, Write write, TimePoint now) = 0;
  /// Once the answer was given out the ticket is used up.
  virtual WriteProgress poll_write(const WriteTicket& ticket, TimePoint now) = 0;
  /// Nobody waits for the answer any more. The write goes on.
  virtual void abandon_write(const WriteTicket& ticket, TimePoint now) = 0;

  virtual Answer<std::optional<Entry>> read(NodeIndex node, std::string_view key, std::string_view consistency,
                                            TimePoint now) = 0;

  /// What a node tells about the cluster. The epoch grows with every view that is to be sent.
  virtual wire::View view(NodeIndex node, TimePoint now) = 0;
  virtual std::uint64_t view_epoch(NodeIndex node, TimePoint now) = 0;
  /// When the node has a new view if nothing happens until then.
  virtual TimePoint next_view(NodeIndex node, TimePoint now) = 0;

  /// Admin.SnapshotShard: the shard as the node tells it.
  virtual Answer<wire::Shard> snapshot_shard(NodeIndex node, std::uint32_t shard, TimePoint now) = 0;

  virtual std::optional<NodeIndex> leader(std::uint32_t shard, TimePoint now) = 0;
  virtual bool move_leader(std::uint32_t shard, NodeIndex node, TimePoint now) = 0;

  virtual void seed(std::string_view key, std::string_view value, TimePoint now) = 0;
  virtual std::optional<std::string> stored(std::string_view key, TimePoint now) = 0;

  virtual void stop(NodeIndex node, TimePoint now) = 0;
  virtual void restart(NodeIndex node, TimePoint now) = 0;
  virtual void freeze(NodeIndex node, TimePoint now) = 0;
  virtual void thaw(NodeIndex node, TimePoint now) = 0;

  virtual std::uint64_t applied_writes(TimePoint now) = 0;
  virtual std::uint64_t lost_writes() const = 0;
  virtual std::uint32_t max_overlapping_writes(std::uint32_t shard) const = 0;
};

/// What a model is told about the cluster it imitates.
struct ModelConfig {
  ClusterConfig cluster;
  std::vector<std::uint16_t> ports;  ///< One per node.
};

[[nodiscard]] std::unique_ptr<ClusterModel> make_model(ModelConfig config, TimePoint now);

// Names that the profiles share.
[[nodiscard]] std::string node_id(NodeIndex node);                          ///< "node1"
[[nodiscard]] std::string replica_id(NodeIndex node, std::uint32_t shard);  ///< "node1-shard3"
[[nodiscard]] std::string local_address(std::uint32_t port);                ///< "127.0.0.1:7447"

}  // namespace norikv::testing
