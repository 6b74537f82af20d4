#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <norikv/cluster.hpp>
#include <norikv/options.hpp>

#include "core/leader_table.hpp"
#include "wire/view.hpp"

namespace norikv::core {

/// Everything this client believes about the cluster, and why.
///
/// Views are node-local: each node has a stream of its own, epochs compare only within one stream, addresses in a view
/// are dialled only as far as the user's translator turns them into ones that can be. Only a transition between two
/// views of one stream is news; a repeated claim is not. The latest of transition, hint and answer wins; a refusal
/// voids what was believed of that node until its next transition.
///
/// A node's number is its slot. A node that was removed leaves its slot absent, and has it again if it comes back; of
/// many that were removed the earliest give their slots up (`give_up`) once nothing names them any more, so that nodes
/// that come and go take no memory. `ClusterView` shows those that are present.
///
/// A large view is taken in slices, so that no input takes long: what has changed in a slice is a change of its own.
class ClusterState {
 public:
  using Translator = std::function<std::optional<std::string>(std::string_view id, std::string_view address)>;

  ClusterState(const std::vector<std::string>& addresses, std::uint32_t total_shards, Translator translator = {});

  // A slice ends with whichever comes first. Shards that did not change cost next to nothing.
  static constexpr std::size_t shards_per_slice = 16'384;
  static constexpr std::size_t changes_per_slice = 1'024;

  /// What one input changed; empty most of the time, because servers repeat their views every second.
  struct Change {
    std::string cause;
    std::vector<std::size_t> nodes;  ///< whose id, role, health or incarnation changed
    std::vector<LeaderChange> leaders;
    std::vector<std::size_t> added;
    std::vector<std::size_t> removed;
    /// A view listed this shard, which `total_shards` rules out; told once per incarnation.
    std::optional<std::uint32_t> shard_out_of_range;
    /// A view does not list this shard although its node has carried out a write to it: `total_shards` is larger than
    /// the server's; told once per incarnation.
    std::optional<std::uint32_t> shard_not_listed;
    bool confirmed = false;  ///< A leader that was only hinted at is one.
    [[nodiscard]] bool empty() const {
      return nodes.empty() && leaders.empty() && added.empty() && removed.empty() && !confirmed;
    }
  };

  /// The nodes the user names from now on.
  [[nodiscard]] Change set_nodes(const std::vector<std::string>& addresses, TimePoint now);

  /// A new stream to the node was opened: its next view starts a new incarnation.
  void on_stream_opened(std::size_t node, TimePoint now);
  /// Takes in a view, or its first slice. A view that comes while another one of the node is taken in waits for its
  /// turn; of those that wait the latest counts.
  [[nodiscard]] Change on_view(std::size_t node, wire::LeaderView view, TimePoint now);
  /// Whether some of a view is left to be taken in, and the next slice of it.
  [[nodiscard]] bool amid_view(std::size_t node) const { return nodes_[node].reading != nullptr; }
  [[nodiscard]] Change on_next_slice(std::size_t node);
  /// The node answered a request that was sent at `asked` as only a leader does.
  [[nodiscard]] Change on_leader_answer(std::uint32_t shard, std::size_t node, TimePoint asked, TimePoint now);
  /// The node named another configured node as the leader.
  [[nodiscard]] Change on_hint(std::uint32_t shard, std::size_t leader, TimePoint asked, TimePoint now);
  /// The node refused a request that was sent at `asked`, or could not be reached for it.
  [[nodiscard]] Change on_refusal(std::uint32_t shard, std::size_t node, std::string cause, TimePoint asked,
                                  TimePoint now);
  [[nodiscard]] Change on_health(std::size_t node, NodeHealth health, std::string cause);
  /// The node acknowledged a write to this shard: its views have to list it from now on.
  void on_written(std::uint32_t shard, std::size_t node, TimePoint now);

  [[nodiscard]] std::int32_t leader(std::uint32_t shard) const { return shards_[shard].view.leader; }
  /// Whether more than another node's word says that it leads, and its node is not down.
  [[nodiscard]] bool leader_is_confirmed(std::uint32_t shard) const {
    const std::int32_t node = leader(shard);
    return node >= 0 && shards_[shard].view.source != LeaderSource::hint &&
           health(static_cast<std::size_t>(node)) != NodeHealth::down;
  }
  /// Whether the node's latest view has the shard.
  [[nodiscard]] bool lists(std::size_t node, std::uint32_t shard) const {
    return nodes_[node].claims[shard] != unlisted;
  }
  [[nodiscard]] NodeHealth health(std::size_t node) const { return nodes_[node].view.health; }
  [[nodiscard]] const std::string& address(std::size_t node) const { return nodes_[node].view.address; }
  [[nodiscard]] bool present(std::size_t node) const { return nodes_[node].present; }
  /// Slots of nodes that were removed and are not remembered for their return, the earliest first.
  [[nodiscard]] std::vector<std::size_t> long_gone() const;
  /// Other nodes may have the slots of these, which are absent and which nothing names any more.
  void give_up(const std::vector<std::size_t>& slots);
  /// Slots, absent nodes included.
  [[nodiscard]] std::size_t slot_count() const { return nodes_.size(); }
  [[nodiscard]] std::size_t node_count() const { return present_count_; }
  [[nodiscard]] std::size_t nodes_heard_of() const;
  /// The addresses of the nodes that are present.
  [[nodiscard]] std::vector<std::string> addresses() const;
  [[nodiscard]] const LeaderTable& leader_table() const { return table_; }
  /// A node by its address, or by an id such as "node0" or "node0-shard17"; -1 if there is none.
  [[nodiscard]] std::int32_t find(std::string_view address_or_id) const;

  /// The state as users see it. Never null; a new one after each change, and after each view (its age is part of it).
  [[nodiscard]] const std::shared_ptr<const ClusterView>& snapshot() const { return snapshot_; }
  /// Builds the new snapshot after an input; `changed` counts the generation up.
  void publish(const Change& change);

 private:
  // Nodes that were removed and keep their slots; a cluster whose nodes are replaced one by one has fewer.
  static constexpr std::size_t remembered = 64;
  // What one stream of a node last said about a shard: a node's index, or one of these.
  static constexpr std::int32_t nobody = -1;  // listed, but no leader that is known here
  static constexpr std::int32_t unlisted = -2;
  static constexpr std::int32_t not_looked_up = -3;

  // A view that is being taken in.
  struct Reading {
    wire::LeaderView view;
    std::vector<std::int32_t> claims;  // by place in `view.leaders`, once they were looked up
    std::vector<bool> listed;          // shards that this view has told of: the first word counts
    TimePoint arrived{};
    TimePoint previous_view{};
    bool first_of_stream = false;
    std::size_t next = 0;               // among the shards of the view ...
    std::uint32_t next_to_confirm = 0;  // ... and then among all
    struct Successor {
      wire::LeaderView view;
      TimePoint arrived{};
    };
    std::optional<Successor> successor{};
  };
  struct Node {
    NodeView view;  // without an address: the slot is nobody's
    bool present = false;
    bool configured = false;
    bool fresh_stream = true;  // the next view is the first of its stream
    bool range_reported = false;
    bool absence_reported = false;
    std::uint64_t removal = 0;  // the number of the latest one
    TimePoint stream_opened{};
    std::vector<std::int32_t> claims;  // per shard
    std::vector<std::size_t> told;     // slots of the others in its latest view whose addresses can be translated
    std::unique_ptr<Reading> reading;
    std::unordered_map<std::uint32_t, TimePoint> unlisted_writes;  // acknowledged, and not in a view yet
  };
  struct Shard {
    ShardView view;
    TimePoint changed{};  // what was asked before this says nothing about the leader we believe in
  };

  using Translations = std::vector<std::optional<std::string>>;

  std::size_t slot_of(const std::string& address);
  void add(std::size_t slot, Change& change);
  void remove(std::size_t slot, TimePoint now, Change& change);
  /// Adds and removes nodes until those are present that the user names, or that a view tells and the translator
  /// translates.
  void settle_membership(TimePoint now, Change& change);
  void begin_incarnation(Node& node);
  [[nodiscard]] Translations translate(const wire::LeaderView& view) const;
  [[nodiscard]] const wire::Node* self_entry(const Node& node, const wire::LeaderView& view,
                                             const Translations& addresses) const;
  void learn_self(std::size_t index, const wire::Node* self, Change& change);
  void learn_others(std::size_t index, const wire::LeaderView& view, const wire::Node* self,
                    const Translations& addresses, TimePoint now, Change& change);
  void begin_view(std::size_t index, wire::LeaderView view, TimePoint arrived, Change& change);
  void take_slice(std::size_t index, Change& change);
  void take_shards(std::size_t index, Reading& reading, std::size_t& left, Change& change);
  [[nodiscard]] std::int32_t claim_of(std::size_t index, Reading& reading, std::uint32_t leader) const;
  void check_writes(Node& node, TimePoint previous_view, Change& change);
  void apply_claim(std::size_t node, std::uint32_t shard, std::int32_t claim, TimePoint arrived, Change& change);
  void forget_unconfirmed(std::size_t node, Reading& reading, std::size_t& left, Change& change);
  void set_leader(std::uint32_t shard, std::int32_t leader, LeaderSource source, TimePoint now, Change& change);

  // What users are shown: nodes by their place among those that are present.
  [[nodiscard]] std::int32_t place(std::int32_t slot) const {
    return slot < 0 ? -1 : places_[static_cast<std::size_t>(slot)];
  }
  [[nodiscard]] ShardView shown(const ShardView& shard) const { return {place(shard.leader), shard.source}; }
  void show_node(std::size_t slot);
  void show_all();

  const Translator translator_;
  std::vector<Node> nodes_;                             // by slot
  std::unordered_map<std::string, std::size_t> slots_;  // by address
  std::deque<std::size_t> free_slots_;
  std::size_t present_count_ = 0;
  std::uint64_t removals_ = 0;
  std::vector<Shard> shards_;
  LeaderTable table_;
  std::unordered_map<std::string, std::size_t> ids_;
  std::vector<std::int32_t> places_;  // by slot
  decltype(ClusterView::nodes)::Editor shown_nodes_;
  decltype(ClusterView::shards)::Editor shown_shards_;
  std::shared_ptr<const ClusterView> snapshot_;
};

}  // namespace norikv::core
