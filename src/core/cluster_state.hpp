#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <norikv/cluster.hpp>

#include "wire/wire.hpp"

namespace norikv::core {

/// Everything this client believes about the cluster, and why.
///
/// Views are node-local: each configured node has a stream of its own, epochs compare only within one stream, addresses
/// in a view are never dialled. Only a transition between two views of one stream is news; a repeated claim is not. The
/// latest of transition, hint and answer wins; a refusal voids what was believed of that node until its next
/// transition.
class ClusterState {
 public:
  ClusterState(const std::vector<std::string>& addresses, std::uint32_t total_shards);

  /// What one input changed; empty most of the time, because servers repeat their views every second.
  struct Change {
    std::string cause;
    std::vector<std::size_t> nodes;  ///< whose id, role, health or incarnation changed
    std::vector<LeaderChange> leaders;
    /// A view listed this shard, which `total_shards` rules out; told once per incarnation.
    std::optional<std::uint32_t> shard_out_of_range;
    [[nodiscard]] bool empty() const { return nodes.empty() && leaders.empty(); }
  };

  /// A new stream to the node was opened: its next view starts a new incarnation.
  void on_stream_opened(std::size_t node, TimePoint now);
  [[nodiscard]] Change on_view(std::size_t node, const wire::View& view, TimePoint now);
  /// The node answered a request that was sent at `asked` as only a leader does.
  [[nodiscard]] Change on_leader_answer(std::uint32_t shard, std::size_t node, TimePoint asked, TimePoint now);
  /// The node named another configured node as the leader.
  [[nodiscard]] Change on_hint(std::uint32_t shard, std::size_t leader, TimePoint asked, TimePoint now);
  /// The node refused a request that was sent at `asked`, or could not be reached for it.
  [[nodiscard]] Change on_refusal(std::uint32_t shard, std::size_t node, std::string cause, TimePoint asked,
                                  TimePoint now);
  [[nodiscard]] Change on_health(std::size_t node, NodeHealth health, std::string cause);

  [[nodiscard]] std::int32_t leader(std::uint32_t shard) const { return shards_[shard].view.leader; }
  [[nodiscard]] NodeHealth health(std::size_t node) const { return nodes_[node].view.health; }
  [[nodiscard]] const std::string& address(std::size_t node) const { return nodes_[node].view.address; }
  [[nodiscard]] std::size_t node_count() const { return nodes_.size(); }
  [[nodiscard]] std::size_t nodes_heard_of() const;
  /// A configured node by its address, or by an id such as "node0" or "node0-shard17"; -1 if there is none.
  [[nodiscard]] std::int32_t find(std::string_view address_or_id) const;

  /// The state as users see it. Never null; a new one after each change, and after each view (its age is part of it).
  [[nodiscard]] const std::shared_ptr<const ClusterView>& snapshot() const { return snapshot_; }
  /// Builds the new snapshot after an input; `changed` counts the generation up.
  void publish(const Change& change);

 private:
  // What one stream of a node last said about a shard: a node's index, or one of these.
  static constexpr std::int32_t nobody = -1;  // listed, but no leader that is known here
  static constexpr std::int32_t unlisted = -2;

  struct Node {
    NodeView view;
    bool fresh_stream = true;  // the next view is the first of its stream
    bool range_reported = false;
    TimePoint stream_opened{};
    std::vector<std::int32_t> claims;  // per shard
  };
  struct Shard {
    ShardView view;
    TimePoint changed{};  // what was asked before this says nothing about the leader we believe in
  };

  void begin_incarnation(Node& node);
  [[nodiscard]] const wire::Node* self_entry(const Node& node, const wire::View& view) const;
  void learn_self(std::size_t index, const wire::View& view, Change& change);
  void apply_claim(std::size_t node, std::uint32_t shard, std::int32_t claim, TimePoint now, Change& change);
  void forget_unconfirmed(std::size_t node, TimePoint now, Change& change);
  void set_leader(std::uint32_t shard, std::int32_t leader, LeaderSource source, TimePoint now, Change& change);

  std::vector<Node> nodes_;
  std::vector<Shard> shards_;
  std::unordered_map<std::string, std::size_t> ids_;
  std::shared_ptr<const ClusterView> snapshot_;
};

}  // namespace norikv::core
