#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "testing/cluster_model.hpp"
#include "testing/norikv_shard.hpp"

namespace norikv::testing {

/// Profile norikv: servers as the real 0.1.0 is, with its quirks. Each node is on its own; with more than one of them
/// no shard ever finds a leader. Owner: the engine.
class NorikvModel final : public ClusterModel {
 public:
  NorikvModel(ModelConfig config, TimePoint now);

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
  bool move_leader(std::uint32_t, NodeIndex, TimePoint) override { return false; }
  void seed(std::string_view key, std::string_view value, TimePoint now) override;
  std::optional<std::string> stored(std::string_view key, TimePoint now) override;

  void stop(NodeIndex node, TimePoint now) override;
  void restart(NodeIndex node, TimePoint now) override;
  // Time goes on for a frozen server: what it was about to do is done by the time it speaks again.
  void freeze(NodeIndex, TimePoint) override {}
  void thaw(NodeIndex, TimePoint) override {}

  std::uint64_t applied_writes(TimePoint now) override;
  std::uint64_t lost_writes() const override;
  std::uint32_t max_overlapping_writes(std::uint32_t shard) const override;

 private:
  struct Node {
    bool running = true;
    TimePoint started{};
    std::unordered_map<std::uint32_t, NorikvShard> shards;  ///< Those that were ever touched or seeded.
    StringMap<Version> idempotency_keys;                    ///< For all keys and both kinds of write; in memory only.
  };

  void boot(Node& node, TimePoint now);
  void create(NorikvShard& shard, TimePoint leads_at) const;
  /// The shard of a key, created if this is its first touch.
  NorikvShard& touch(Node& node, std::uint32_t shard, TimePoint now);
  [[nodiscard]] std::uint32_t shard_of_key(std::string_view key) const;

  ModelConfig config_;
  std::vector<Node> nodes_;
  std::uint64_t last_write_ = 0;
};

}  // namespace norikv::testing
