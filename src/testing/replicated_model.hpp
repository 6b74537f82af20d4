#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/cluster_model.hpp"
#include "testing/replicated_shard.hpp"

namespace norikv::testing {

/// Profile replicated: a cluster as it should be. Every node has a replica of every shard and one of them leads; nodes
/// that do not lead answer reads that allow it and name the leader otherwise. One running node is enough for a shard to
/// have a leader: quorums are not imitated. Owner: the engine.
class ReplicatedModel final : public ClusterModel {
 public:
  ReplicatedModel(ModelConfig config, TimePoint now);

  Answer<WriteStart> begin_write(NodeIndex node, Write write, TimePoint now) override;
  WriteProgress poll_write(const WriteTicket& ticket, TimePoint now) override;
  void abandon_write(const WriteTicket& ticket, TimePoint now) override;
  Answer<std::optional<Entry>> read(NodeIndex node, std::string_view key, std::string_view consistency,
                                    TimePoint now) override;

  wire::View view(NodeIndex node, TimePoint now) override;
  std::uint64_t view_epoch(NodeIndex node, TimePoint now) override;
  TimePoint next_view(NodeIndex node, TimePoint now) override;
  Answer<wire::Shard> snapshot_shard(NodeIndex node, std::uint32_t shard, TimePoint now) override;

  std::optional<NodeIndex> leader(std::uint32_t shard, TimePoint now) override;
  bool move_leader(std::uint32_t shard, NodeIndex node, TimePoint now) override;
  void seed(std::string_view key, std::string_view value, TimePoint now) override;
  std::optional<std::string> stored(std::string_view key, TimePoint now) override;

  void stop(NodeIndex node, TimePoint now) override;
  void restart(NodeIndex node, TimePoint now) override;
  void freeze(NodeIndex node, TimePoint now) override;
  void thaw(NodeIndex node, TimePoint now) override;

  std::uint64_t applied_writes(TimePoint now) override;
  std::uint64_t lost_writes() const override { return 0; }
  std::uint32_t max_overlapping_writes(std::uint32_t shard) const override;

 private:
  struct Node {
    bool running = true;
    bool frozen = false;
    TimePoint started{};
    std::uint64_t changes_before = 0;  ///< `changes_` when it started.
  };

  /// Holds the elections that are due. First thing in every call.
  void advance_to(TimePoint now);
  void hold_elections(TimePoint now);
  [[nodiscard]] std::optional<NodeIndex> successor(const ReplicatedShard& shard) const;
  void start_node(Node& node, TimePoint now);
  /// A node came back: elections that found no candidate are held again, with it.
  void retry_elections(TimePoint now);

  [[nodiscard]] std::uint32_t shard_of_key(std::string_view key) const;
  /// What a node tells of a shard's leader; empty if there is none.
  [[nodiscard]] std::string hint(std::uint32_t shard) const;
  [[nodiscard]] std::string hint_at(std::uint32_t shard, NodeIndex leader) const;

  ModelConfig config_;
  std::vector<Node> nodes_;
  std::vector<ReplicatedShard> shards_;
  std::optional<TimePoint> next_election_;
  std::uint64_t changes_ = 0;  ///< Of anything that views show.
  std::uint64_t last_write_ = 0;
};

}  // namespace norikv::testing
