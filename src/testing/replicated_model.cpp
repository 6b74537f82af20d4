#include "testing/replicated_model.hpp"

#include <algorithm>
#include <utility>

#include <norikv/routing.hpp>

namespace norikv::testing {

ReplicatedModel::ReplicatedModel(ModelConfig config, TimePoint now)
    : config_(std::move(config)), nodes_(config_.cluster.nodes), shards_(config_.cluster.total_shards) {
  for (Node& node : nodes_) start_node(node, now);
  for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
    shards_[shard].elect(static_cast<NodeIndex>(shard % nodes_.size()), {}, now);
  }
}

void ReplicatedModel::start_node(Node& node, TimePoint now) { node = {true, false, now, changes_}; }

std::uint32_t ReplicatedModel::shard_of_key(std::string_view key) const {
  return shard_of(key, config_.cluster.total_shards);
}

std::string ReplicatedModel::hint_at(std::uint32_t shard, NodeIndex leader) const {
  if (config_.cluster.shapes.hint_form == AnswerShapes::HintForm::replica_id) return replica_id(leader, shard);
  return local_address(config_.ports[leader]);
}

std::string ReplicatedModel::hint(std::uint32_t shard) const {
  const std::optional<NodeIndex> leader = shards_[shard].leader();
  return leader ? hint_at(shard, *leader) : std::string();
}

void ReplicatedModel::advance_to(TimePoint now) {
  if (next_election_ && *next_election_ <= now) hold_elections(now);
}

void ReplicatedModel::hold_elections(TimePoint now) {
  next_election_.reset();
  for (std::uint32_t id = 0; id < shards_.size(); ++id) {
    ReplicatedShard& shard = shards_[id];
    const std::optional<TimePoint> at = shard.successor_at();
    if (!at) continue;
    if (*at > now) {
      next_election_ = next_election_ ? std::min(*next_election_, *at) : *at;
    } else if (const std::optional<NodeIndex> elected = successor(shard)) {
      shard.elect(*elected, hint_at(id, *elected), now);
      ++changes_;
    }
  }
}

std::optional<NodeIndex> ReplicatedModel::successor(const ReplicatedShard& shard) const {
  const auto count = static_cast<NodeIndex>(nodes_.size());
  for (NodeIndex step = 1; step <= count; ++step) {
    const NodeIndex candidate = (shard.last_leader() + step) % count;
    if (nodes_[candidate].running && !nodes_[candidate].frozen) return candidate;
  }
  return std::nullopt;
}

void ReplicatedModel::retry_elections(TimePoint now) {
  for (ReplicatedShard& shard : shards_) {
    if (shard.successor_at() && *shard.successor_at() <= now) shard.postpone(now + config_.cluster.election);
  }
  hold_elections(now);
}

Answer<WriteStart> ReplicatedModel::begin_write(NodeIndex node, Write write, TimePoint now) {
  advance_to(now);
  if (auto checked = check_key(write.key); !checked) return tl::unexpected(std::move(checked.error()));
  if (auto checked = check_value(write.value); !checked) return tl::unexpected(std::move(checked.error()));
  const std::uint32_t shard_id = shard_of_key(write.key);
  ReplicatedShard& shard = shards_[shard_id];
  if (shard.leader() != node) {
    const bool conditional = write.kind == WriteKind::put && write.if_match;
    return tl::unexpected(conditional ? not_leader_for_condition(hint(shard_id)) : not_leader(hint(shard_id)));
  }
  const WriteTicket ticket{node, shard_id, WriteId{++last_write_}};
  shard.propose(ticket.id, std::move(write), config_.cluster, now);
  return WriteStart{std::nullopt, ticket};
}

WriteProgress ReplicatedModel::poll_write(const WriteTicket& ticket, TimePoint now) {
  advance_to(now);
  return shards_[ticket.shard].poll(ticket.id, now);
}

void ReplicatedModel::abandon_write(const WriteTicket& ticket, TimePoint now) {
  advance_to(now);
  shards_[ticket.shard].abandon(ticket.id, now);
}

Answer<std::optional<Entry>> ReplicatedModel::read(NodeIndex node, std::string_view key, std::string_view consistency,
                                                   TimePoint now) {
  advance_to(now);
  if (auto checked = check_key(key); !checked) return tl::unexpected(std::move(checked.error()));
  if (auto checked = check_consistency(consistency, config_.cluster.shapes.consistency_names); !checked)
    return tl::unexpected(std::move(checked.error()));
  const std::uint32_t shard_id = shard_of_key(key);
  ReplicatedShard& shard = shards_[shard_id];
  if (shard.leader() != node && !allows_followers(consistency)) {
    return tl::unexpected(not_leader_for_strong_read(hint(shard_id)));
  }
  const Entry* entry = shard.find(key, now);
  return entry == nullptr ? std::nullopt : std::optional(*entry);
}

wire::View ReplicatedModel::view(NodeIndex node, TimePoint now) {
  wire::View view;
  view.epoch = view_epoch(node, now);
  for (NodeIndex each = 0; each < nodes_.size(); ++each) {
    view.nodes.push_back(
        {node_id(each), local_address(config_.ports[each]), nodes_[each].running ? "follower" : "failed"});
  }
  view.shards.reserve(shards_.size());
  for (std::uint32_t id = 0; id < shards_.size(); ++id) {
    wire::Shard shard{id, {}};
    for (NodeIndex each = 0; each < nodes_.size(); ++each) {
      shard.replicas.push_back({view.nodes[each].id, shards_[id].leader() == each});
    }
    view.shards.push_back(std::move(shard));
  }
  return view;
}

std::uint64_t ReplicatedModel::view_epoch(NodeIndex node, TimePoint now) {
  advance_to(now);
  const auto ticks = (now - nodes_[node].started) / config_.cluster.view_interval;
  return static_cast<std::uint64_t>(ticks) + changes_ - nodes_[node].changes_before;
}

TimePoint ReplicatedModel::next_view(NodeIndex node, TimePoint now) {
  advance_to(now);
  const auto ticks = (now - nodes_[node].started) / config_.cluster.view_interval;
  const TimePoint next_tick = nodes_[node].started + (ticks + 1) * config_.cluster.view_interval;
  return next_election_ ? std::min(next_tick, *next_election_) : next_tick;
}

Answer<wire::Shard> ReplicatedModel::snapshot_shard(NodeIndex node, std::uint32_t shard, TimePoint now) {
  advance_to(now);
  if (shard >= shards_.size()) return tl::unexpected(unknown_shard(shard));
  const std::optional<NodeIndex> leader = shards_[shard].leader();
  if (leader != node) {
    return tl::unexpected(snapshot_not_leader(shard, leader ? replica_id(*leader, shard) : std::string()));
  }
  return wire::Shard{shard, {{replica_id(node, shard), true}}};
}

std::optional<NodeIndex> ReplicatedModel::leader(std::uint32_t shard, TimePoint now) {
  advance_to(now);
  return shard < shards_.size() ? shards_[shard].leader() : std::nullopt;
}

bool ReplicatedModel::move_leader(std::uint32_t shard, NodeIndex node, TimePoint now) {
  advance_to(now);
  if (shard >= shards_.size() || node >= nodes_.size() || !nodes_[node].running) return false;
  if (shards_[shard].leader() == node) return true;
  shards_[shard].elect(node, hint_at(shard, node), now);
  if (nodes_[node].frozen) shards_[shard].suspend(now + config_.cluster.election, now);
  ++changes_;
  hold_elections(now);
  return true;
}

void ReplicatedModel::seed(std::string_view key, std::string_view value, TimePoint now) {
  advance_to(now);
  shards_[shard_of_key(key)].seed(key, value, now);
}

std::optional<std::string> ReplicatedModel::stored(std::string_view key, TimePoint now) {
  advance_to(now);
  const Entry* entry = shards_[shard_of_key(key)].find(key, now);
  return entry == nullptr ? std::nullopt : std::optional(entry->value);
}

void ReplicatedModel::stop(NodeIndex node, TimePoint now) {
  advance_to(now);
  nodes_[node].running = false;
  nodes_[node].frozen = false;
  ++changes_;
  for (ReplicatedShard& shard : shards_) {
    if (shard.leader() != node) continue;
    shard.advance_to(now);
    shard.lose_leader(now + config_.cluster.election);
  }
  hold_elections(now);
}

void ReplicatedModel::restart(NodeIndex node, TimePoint now) {
  advance_to(now);
  ++changes_;
  start_node(nodes_[node], now);
  retry_elections(now);
}

void ReplicatedModel::freeze(NodeIndex node, TimePoint now) {
  advance_to(now);
  nodes_[node].frozen = true;
  for (ReplicatedShard& shard : shards_) {
    if (shard.leader() == node) shard.suspend(now + config_.cluster.election, now);
  }
  hold_elections(now);
}

void ReplicatedModel::thaw(NodeIndex node, TimePoint now) {
  advance_to(now);
  nodes_[node].frozen = false;
  for (ReplicatedShard& shard : shards_) {
    if (shard.leader() == node) shard.resume(now);
  }
  retry_elections(now);
}

std::uint64_t ReplicatedModel::applied_writes(TimePoint now) {
  std::uint64_t sum = 0;
  for (ReplicatedShard& shard : shards_) {
    shard.advance_to(now);
    sum += shard.applied_writes();
  }
  return sum;
}

std::uint32_t ReplicatedModel::max_overlapping_writes(std::uint32_t shard) const {
  return shard < shards_.size() ? shards_[shard].max_overlapping() : 0;
}

}  // namespace norikv::testing
