#include "core/cluster_state.hpp"

#include <algorithm>
#include <charconv>

namespace norikv::core {

ClusterState::ClusterState(const std::vector<std::string>& addresses, std::uint32_t total_shards)
    : nodes_(addresses.size()), shards_(total_shards) {
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    nodes_[i].view.address = addresses[i];
    nodes_[i].claims.assign(total_shards, unlisted);
  }
  publish({});
}

void ClusterState::on_stream_opened(std::size_t node, TimePoint now) {
  nodes_[node].fresh_stream = true;
  nodes_[node].stream_opened = now;
}

ClusterState::Change ClusterState::on_view(std::size_t index, const wire::View& view, TimePoint now) {
  Node& node = nodes_[index];
  Change change;
  change.cause = "view of " + node.view.address;
  const bool first = std::exchange(node.fresh_stream, false);
  if (first) {
    begin_incarnation(node);
    change.nodes.push_back(index);
  } else if (view.epoch < node.view.epoch) {
    // Within one stream epochs only grow; an older view that was overtaken is no news.
    return change;
  }
  node.view.epoch = view.epoch;
  node.view.last_view = now;
  learn_self(index, view, change);
  if (node.view.health != NodeHealth::up) {
    node.view.health = NodeHealth::up;
    if (change.nodes.empty()) change.nodes.push_back(index);
  }

  for (const wire::Shard& shard : view.shards) {
    if (shard.id >= shards_.size()) {
      if (!std::exchange(node.range_reported, true)) change.shard_out_of_range = shard.id;
      continue;
    }
    std::int32_t claim = nobody;
    for (const wire::Replica& replica : shard.replicas) {
      if (!replica.leader) continue;
      const auto known = ids_.find(replica.node_id);
      if (known != ids_.end()) claim = static_cast<std::int32_t>(known->second);
    }
    apply_claim(index, shard.id, claim, now, change);
  }
  if (first) forget_unconfirmed(index, now, change);
  std::stable_sort(change.leaders.begin(), change.leaders.end(),
                   [](const LeaderChange& a, const LeaderChange& b) { return a.shard < b.shard; });
  return change;
}

ClusterState::Change ClusterState::on_leader_answer(std::uint32_t shard, std::size_t node, TimePoint asked,
                                                    TimePoint now) {
  Change change;
  // What was asked before the last change may be answered from the time before it.
  if (asked < shards_[shard].changed) return change;
  if (leader(shard) == static_cast<std::int32_t>(node)) {
    shards_[shard].changed = asked;  // a refusal of what was asked earlier is old news from here on
    return change;
  }
  change.cause = "answer of " + address(node);
  set_leader(shard, static_cast<std::int32_t>(node), LeaderSource::answer, now, change);
  return change;
}

ClusterState::Change ClusterState::on_hint(std::uint32_t shard, std::size_t leader_hint, TimePoint asked,
                                           TimePoint now) {
  Change change;
  if (leader(shard) == static_cast<std::int32_t>(leader_hint) || asked < shards_[shard].changed) return change;
  change.cause = "hint to " + address(leader_hint);
  set_leader(shard, static_cast<std::int32_t>(leader_hint), LeaderSource::hint, now, change);
  return change;
}

ClusterState::Change ClusterState::on_refusal(std::uint32_t shard, std::size_t node, std::string cause, TimePoint asked,
                                              TimePoint now) {
  Change change;
  if (leader(shard) != static_cast<std::int32_t>(node) || asked < shards_[shard].changed) return change;
  change.cause = std::move(cause);
  set_leader(shard, -1, LeaderSource::refusal, now, change);
  return change;
}

ClusterState::Change ClusterState::on_health(std::size_t index, NodeHealth health, std::string cause) {
  Change change;
  NodeView& node = nodes_[index].view;
  if (node.health == health) return change;
  node.health = health;
  change.cause = std::move(cause);
  change.nodes.push_back(index);
  return change;
}

std::size_t ClusterState::nodes_heard_of() const {
  return static_cast<std::size_t>(
      std::count_if(nodes_.begin(), nodes_.end(), [](const Node& node) { return node.view.health == NodeHealth::up; }));
}

std::int32_t ClusterState::find(std::string_view address_or_id) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].view.address == address_or_id) return static_cast<std::int32_t>(i);
  }
  // Raft ids carry the shard as a suffix: "node0-shard17".
  const std::size_t suffix = address_or_id.rfind("-shard");
  const std::string id{suffix == std::string_view::npos ? address_or_id : address_or_id.substr(0, suffix)};
  const auto known = ids_.find(id);
  return known == ids_.end() ? -1 : static_cast<std::int32_t>(known->second);
}

void ClusterState::publish(const Change& change) {
  auto next = std::make_shared<ClusterView>();
  next->generation = snapshot_ == nullptr ? 0 : snapshot_->generation + (change.empty() ? 0 : 1);
  next->nodes.reserve(nodes_.size());
  for (const Node& node : nodes_) next->nodes.push_back(node.view);
  next->shards.reserve(shards_.size());
  for (const Shard& shard : shards_) next->shards.push_back(shard.view);
  snapshot_ = std::move(next);
}

void ClusterState::begin_incarnation(Node& node) {
  ++node.view.incarnation;
  node.range_reported = false;
  std::fill(node.claims.begin(), node.claims.end(), unlisted);
}

// The entry of the node that answers: its address is the one we dialled, or it is the only entry, or the only one with
// the role that the 0.1.0 server gives itself.
const wire::Node* ClusterState::self_entry(const Node& node, const wire::View& view) const {
  for (const wire::Node& entry : view.nodes) {
    if (entry.address == node.view.address) return &entry;
  }
  if (view.nodes.size() == 1) return &view.nodes.front();
  const wire::Node* self = nullptr;
  for (const wire::Node& entry : view.nodes) {
    if (entry.role != "unknown") continue;
    if (self != nullptr) return nullptr;
    self = &entry;
  }
  return self;
}

void ClusterState::learn_self(std::size_t index, const wire::View& view, Change& change) {
  NodeView& node = nodes_[index].view;
  const wire::Node* self = self_entry(nodes_[index], view);
  if (self == nullptr || (self->id == node.id && self->role == node.role)) return;
  if (self->id != node.id) {
    const auto old = ids_.find(node.id);
    if (old != ids_.end() && old->second == index) ids_.erase(old);
    if (!self->id.empty()) ids_.insert_or_assign(self->id, index);
  }
  node.id = self->id;
  node.role = self->role;
  if (change.nodes.empty()) change.nodes.push_back(index);
}

void ClusterState::apply_claim(std::size_t node, std::uint32_t shard, std::int32_t claim, TimePoint now,
                               Change& change) {
  std::int32_t& last = nodes_[node].claims[shard];
  const std::int32_t before = std::exchange(last, claim);
  if (before == claim) return;
  if (claim >= 0) {
    set_leader(shard, claim, LeaderSource::view, now, change);
  } else if (before >= 0 && before == leader(shard)) {
    // The node stopped saying so. A node that starts with "nobody" takes nothing back.
    set_leader(shard, -1, LeaderSource::view, now, change);
  }
}

void ClusterState::forget_unconfirmed(std::size_t node, TimePoint now, Change& change) {
  // A new stream may mean a new process: what was believed of the node before the stream was opened, and what its first
  // view does not say again, is void.
  const auto index = static_cast<std::int32_t>(node);
  for (std::uint32_t shard = 0; shard < shards_.size(); ++shard) {
    if (leader(shard) != index || nodes_[node].claims[shard] == index) continue;
    if (shards_[shard].changed < nodes_[node].stream_opened) set_leader(shard, -1, LeaderSource::view, now, change);
  }
}

void ClusterState::set_leader(std::uint32_t shard, std::int32_t leader, LeaderSource source, TimePoint now,
                              Change& change) {
  Shard& entry = shards_[shard];
  entry.changed = now;
  const std::int32_t before = std::exchange(entry.view.leader, leader);
  entry.view.source = source;
  if (before == leader) return;
  const auto name = [this](std::int32_t node) {
    return node < 0 ? std::string{} : address(static_cast<std::size_t>(node));
  };
  change.leaders.push_back({shard, name(before), name(leader), source});
}

}  // namespace norikv::core
