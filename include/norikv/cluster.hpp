#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/error.hpp>
#include <norikv/export.hpp>
#include <norikv/persistent_vector.hpp>
#include <norikv/types.hpp>

namespace norikv {

/// How well a node is doing, as this client sees it.
enum class NodeHealth : std::uint8_t {
  unknown,  ///< Not heard of yet.
  up,       ///< It answers.
  suspect,  ///< Its topology stream is silent, or just broke.
  down,     ///< It can't be reached.
};

[[nodiscard]] NORIKV_EXPORT std::string_view to_string(NodeHealth health) noexcept;

/// One node: of those that are configured (`ClientOptions::nodes`, `Client::set_nodes`), or found by way of
/// `ClientOptions::address_translator`.
struct NodeView {
  std::string address;  ///< As it was configured, or as the translator gave it; this is what names a node.
  std::string id;       ///< The node's own name, once it told; else empty.
  std::string role;     ///< As the server says it ("unknown", "follower", ...); never trusted for routing.
  NodeHealth health = NodeHealth::unknown;
  std::uint64_t incarnation = 0;  ///< Counts this client's topology streams that sent a view; 0 before the first one.
  std::uint64_t epoch = 0;        ///< The server's number of its latest view. Comparable within one incarnation only.
  TimePoint last_view{};          ///< When the latest view arrived.
};

/// Why the client believes what it believes about a leader.
enum class LeaderSource : std::uint8_t {
  none,     ///< No leader is known.
  view,     ///< A node's topology view said so.
  hint,     ///< A node that refused a request named it.
  answer,   ///< The node answered as only a leader does.
  refusal,  ///< The node that was believed to lead said that it does not.
};

[[nodiscard]] NORIKV_EXPORT std::string_view to_string(LeaderSource source) noexcept;

/// One shard, small on purpose: a cluster may have 65,536 of them.
struct ShardView {
  std::int32_t leader = -1;  ///< Index into `ClusterView::nodes`; -1 if no leader is known.
  LeaderSource source = LeaderSource::none;
};

/// What this client knows about the cluster at one moment. Immutable; shared between threads. Snapshots share what did
/// not change between them, so keeping many costs little.
struct ClusterView {
  std::uint64_t generation = 0;         ///< Grows by one with every change.
  PersistentVector<NodeView, 1> nodes;  ///< Each once; in the order of `ClientOptions::nodes` until nodes come or go.
  PersistentVector<ShardView, 512> shards;  ///< Indexed by shard id; `ClientOptions::total_shards` of them.

  /// The leader of a shard, or null if none is known. Lives as long as the view.
  [[nodiscard]] const NodeView* leader_of(std::uint32_t shard) const noexcept {
    if (shard >= shards.size() || shards[shard].leader < 0) return nullptr;
    return &nodes[static_cast<std::size_t>(shards[shard].leader)];
  }
  /// The node with this configured address, or null.
  [[nodiscard]] const NodeView* node(std::string_view address) const noexcept {
    for (const NodeView& candidate : nodes) {
      if (candidate.address == address) return &candidate;
    }
    return nullptr;
  }
};

/// One shard whose leader changed. Empty address: none known.
struct LeaderChange {
  std::uint32_t shard = 0;
  std::string before;
  std::string after;
  LeaderSource source = LeaderSource::none;  ///< Why.
};

/// Whether an event tells what is (the first one of a subscription) or what changed.
enum class EventKind : std::uint8_t { replay, change };

/// The cluster changed. `before` and `after` are never null; in a replay both are the current state.
struct NORIKV_EXPORT TopologyEvent {
  EventKind kind = EventKind::change;
  std::shared_ptr<const ClusterView> before;
  std::shared_ptr<const ClusterView> after;
  std::string cause;                          ///< For people: what made this client change its mind.
  std::vector<std::string> nodes_added;       ///< Addresses.
  std::vector<std::string> nodes_removed;     ///< Addresses.
  std::vector<std::string> nodes_changed;     ///< Addresses whose id, role, health or incarnation changed.
  std::vector<LeaderChange> leaders_changed;  ///< In shard order.
};

/// Shards gained, lost or moved their leader. In a replay: all shards with a known leader, `before` empty.
/// Per shard the changes form a chain: each `before` is the previous `after`.
struct NORIKV_EXPORT LeadershipEvent {
  EventKind kind = EventKind::change;
  std::vector<LeaderChange> changes;
};

enum class ConnectionState : std::uint8_t {
  connecting,   ///< The topology stream to the node is being opened.
  connected,    ///< The node sent a view on a new stream.
  lost,         ///< The stream ended.
  backing_off,  ///< The next attempt waits for `retry_in`.
  /// Nothing came for `ConnectionOptions::silence`. After a pause as for `backing_off` another stream is opened in its
  /// place, again and again, and this stays the state until one speaks or ends.
  silent,
};

[[nodiscard]] NORIKV_EXPORT std::string_view to_string(ConnectionState state) noexcept;

/// The topology stream to one node changed its state. In a replay: the state as it is; one event per node.
struct NORIKV_EXPORT ConnectionEvent {
  EventKind kind = EventKind::change;
  std::string node;
  ConnectionState state = ConnectionState::connecting;
  std::string detail;                ///< Why, in the transport's words; may be empty.
  std::optional<Duration> retry_in;  ///< With `backing_off`.
};

/// How full the client is. One event when it fills up, one when it has room again (at three quarters of the limit).
struct NORIKV_EXPORT LoadEvent {
  EventKind kind = EventKind::change;
  bool has_room = true;
  std::size_t operations = 0;  ///< Operations that count against `LimitOptions::operations`.
  std::size_t bytes = 0;       ///< Their keys and values.
};

enum class WarningKind : std::uint8_t {
  write_collision,       ///< Two acknowledged writes of one shard got one version: one of them is lost.
  shard_count_mismatch,  ///< The server does not have `ClientOptions::total_shards` shards.
};

[[nodiscard]] NORIKV_EXPORT std::string_view to_string(WarningKind kind) noexcept;

/// Something is wrong that no single operation can report.
struct NORIKV_EXPORT WarningEvent {
  WarningKind kind = WarningKind::write_collision;
  std::string node;
  std::uint32_t shard = 0;
  Version version;  ///< With `write_collision`: the version that both writes got.
  std::uint64_t operations[2] = {
      0, 0};            ///< With `write_collision`: `Operation::id` of both writes, the earlier answer first.
  std::string message;  ///< One line for people.
};

}  // namespace norikv
