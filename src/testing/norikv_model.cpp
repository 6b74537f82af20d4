#include "testing/norikv_model.hpp"

#include <algorithm>
#include <utility>

#include <norikv/routing.hpp>

namespace norikv::testing {

NorikvModel::NorikvModel(ModelConfig config, TimePoint now)
    : config_(std::move(config)), nodes_(config_.cluster.nodes) {
  for (Node& node : nodes_) boot(node, now);
}

void NorikvModel::boot(Node& node, TimePoint now) {
  node.running = true;
  node.started = now;
  node.idempotency_keys.clear();
  create(node.shards[0], now);  // The server waits for shard 0 before it listens.
}

void NorikvModel::create(NorikvShard& shard, TimePoint leads_at) const {
  // Nodes can't reach each other's Raft groups, so that only a node alone elects itself.
  shard.create(nodes_.size() == 1 ? std::optional(leads_at) : std::nullopt);
}

NorikvShard& NorikvModel::touch(Node& node, std::uint32_t shard, TimePoint now) {
  NorikvShard& touched = node.shards[shard];
  if (!touched.created()) create(touched, now + config_.cluster.election);
  return touched;
}

std::uint32_t NorikvModel::shard_of_key(std::string_view key) const {
  return shard_of(key, config_.cluster.total_shards);
}

Answer<WriteStart> NorikvModel::begin_write(NodeIndex index, Write write, TimePoint now) {
  if (auto checked = check_key(write.key); !checked) return tl::unexpected(std::move(checked.error()));
  if (auto checked = check_value(write.value); !checked) return tl::unexpected(std::move(checked.error()));
  Node& node = nodes_[index];
  if (!write.idempotency_key.empty()) {
    const auto known = node.idempotency_keys.find(write.idempotency_key);
    if (known != node.idempotency_keys.end()) return WriteStart{known->second};
  }

  const std::uint32_t shard_id = shard_of_key(write.key);
  NorikvShard& shard = touch(node, shard_id, now);
  const bool looks = write.kind == WriteKind::put ||
                     config_.cluster.shapes.remove_condition == AnswerShapes::RemoveCondition::enforced;
  const bool conditional = write.if_match && looks;
  if (!shard.leads(now)) return tl::unexpected(conditional ? not_leader_for_condition() : not_leader());
  if (conditional) {
    // Not atomic with the write: whoever else reads the version before this write commits succeeds too.
    const Entry* entry = shard.find(write.key, now);
    if (entry == nullptr) return tl::unexpected(condition_on_missing_key());
    if (entry->version != *write.if_match) return tl::unexpected(version_mismatch(*write.if_match, entry->version));
  }
  const WriteTicket ticket{index, shard_id, WriteId{++last_write_}};
  shard.propose(ticket.id, std::move(write), config_.cluster, now);
  return WriteStart{std::nullopt, ticket};
}

WriteProgress NorikvModel::poll_write(const WriteTicket& ticket, TimePoint now) {
  Node& node = nodes_[ticket.node];
  Write write;
  WriteProgress progress = node.shards[ticket.shard].poll(ticket.id, now, write);
  // The server remembers a key only when it answers: not for a request that was given up meanwhile.
  if (progress.answer && *progress.answer && !write.idempotency_key.empty()) {
    node.idempotency_keys.insert_or_assign(std::move(write.idempotency_key), **progress.answer);
  }
  return progress;
}

void NorikvModel::abandon_write(const WriteTicket& ticket, TimePoint now) {
  nodes_[ticket.node].shards[ticket.shard].abandon(ticket.id, now);
}

Answer<std::optional<Entry>> NorikvModel::read(NodeIndex node, std::string_view key, std::string_view consistency,
                                               TimePoint now) {
  if (auto checked = check_key(key); !checked) return tl::unexpected(std::move(checked.error()));
  if (auto checked = check_consistency(consistency, config_.cluster.shapes.consistency_names); !checked)
    return tl::unexpected(std::move(checked.error()));
  NorikvShard& shard = touch(nodes_[node], shard_of_key(key), now);
  if (!shard.leads(now)) return tl::unexpected(not_leader());  // Whatever the consistency.
  const Entry* entry = shard.find(key, now);
  return entry == nullptr ? std::nullopt : std::optional(*entry);
}

wire::View NorikvModel::view(NodeIndex index, TimePoint now) {
  const Node& node = nodes_[index];
  wire::View view;
  view.epoch = view_epoch(index, now);
  view.nodes.push_back({node_id(index), local_address(config_.ports[index]), "unknown"});
  for (NodeIndex peer = 0; peer < nodes_.size(); ++peer) {
    // The address of a peer is that of its gossip, and of no use for requests.
    if (peer != index) view.nodes.push_back({node_id(peer), local_address(config_.ports[peer] + 1000u), "follower"});
  }
  for (const auto& [id, shard] : node.shards) {
    if (shard.created()) view.shards.push_back({id, {{node_id(index), shard.leads(now)}}});
  }
  return view;
}

std::uint64_t NorikvModel::view_epoch(NodeIndex node, TimePoint now) {
  return static_cast<std::uint64_t>((now - nodes_[node].started) / config_.cluster.view_interval);
}

TimePoint NorikvModel::next_view(NodeIndex node, TimePoint now) {
  const auto epoch = (now - nodes_[node].started) / config_.cluster.view_interval;
  return nodes_[node].started + (epoch + 1) * config_.cluster.view_interval;
}

Answer<wire::Shard> NorikvModel::snapshot_shard(NodeIndex node, std::uint32_t shard, TimePoint now) {
  const auto found = nodes_[node].shards.find(shard);
  if (found == nodes_[node].shards.end() || !found->second.created()) return tl::unexpected(unknown_shard(shard));
  if (!found->second.leads(now)) return tl::unexpected(snapshot_not_leader(shard, {}));
  return wire::Shard{shard, {{replica_id(node, shard), true}}};
}

std::optional<NodeIndex> NorikvModel::leader(std::uint32_t shard, TimePoint now) {
  for (NodeIndex node = 0; node < nodes_.size(); ++node) {
    const auto found = nodes_[node].shards.find(shard);
    if (nodes_[node].running && found != nodes_[node].shards.end() && found->second.leads(now)) return node;
  }
  return std::nullopt;
}

void NorikvModel::seed(std::string_view key, std::string_view value, TimePoint now) {
  for (Node& node : nodes_) {
    NorikvShard& shard = node.shards[shard_of_key(key)];
    shard.advance_to(now);
    shard.seed(key, value);
  }
}

std::optional<std::string> NorikvModel::stored(std::string_view key, TimePoint now) {
  const auto shard = nodes_[0].shards.find(shard_of_key(key));
  if (shard == nodes_[0].shards.end()) return std::nullopt;
  const Entry* entry = shard->second.find(key, now);
  return entry == nullptr ? std::nullopt : std::optional(entry->value);
}

void NorikvModel::stop(NodeIndex node, TimePoint now) {
  nodes_[node].running = false;
  for (auto& [id, shard] : nodes_[node].shards) shard.crash(now);
}

void NorikvModel::restart(NodeIndex node, TimePoint now) { boot(nodes_[node], now); }

std::uint64_t NorikvModel::applied_writes(TimePoint now) {
  std::uint64_t sum = 0;
  for (Node& node : nodes_) {
    for (auto& [id, shard] : node.shards) {
      shard.advance_to(now);
      sum += shard.applied_writes();
    }
  }
  return sum;
}

std::uint64_t NorikvModel::lost_writes() const {
  std::uint64_t sum = 0;
  for (const Node& node : nodes_) {
    for (const auto& [id, shard] : node.shards) sum += shard.lost_writes();
  }
  return sum;
}

std::uint32_t NorikvModel::max_overlapping_writes(std::uint32_t shard) const {
  std::uint32_t most = 0;
  for (const Node& node : nodes_) {
    const auto found = node.shards.find(shard);
    if (found != node.shards.end()) most = std::max(most, found->second.max_overlapping());
  }
  return most;
}

}  // namespace norikv::testing
