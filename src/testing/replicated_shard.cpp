#include "testing/replicated_shard.hpp"

#include <algorithm>
#include <utility>

namespace norikv::testing {

void ReplicatedShard::elect(NodeIndex leader, const std::string& hint, TimePoint now) {
  advance_to(now);
  refuse_undecided(hint, now);
  leader_ = last_leader_ = leader;
  successor_at_.reset();
  suspended_ = false;
  // The ticks keep their phase: with leaders that move faster than the tick nothing would commit otherwise.
  if (term_ == 0) heartbeats_ = now;
  ++term_;
}

void ReplicatedShard::lose_leader(TimePoint successor_at) {
  refuse_undecided({}, TimePoint::min());
  leader_.reset();
  successor_at_ = successor_at;
  suspended_ = false;
}

void ReplicatedShard::suspend(TimePoint successor_at, TimePoint now) {
  advance_to(now);
  successor_at_ = successor_at;
  suspended_ = true;
}

void ReplicatedShard::resume(TimePoint now) {
  successor_at_.reset();
  suspended_ = false;
  for (Proposal& proposal : proposals_) {
    if (proposal.result) continue;
    proposal.times.committed = std::max(proposal.times.committed, now);
    proposal.times.answered = std::max(proposal.times.answered, now);
  }
  advance_to(now);
}

void ReplicatedShard::refuse_undecided(const std::string& hint, TimePoint now) {
  for (Proposal& proposal : proposals_) {
    if (proposal.result) continue;
    proposal.result = tl::unexpected(not_leader(hint));
    proposal.times.answered = now;
  }
  std::erase_if(proposals_, [](const Proposal& each) { return each.abandoned; });
}

void ReplicatedShard::advance_to(TimePoint now) {
  if (suspended_) return;
  for (Proposal& proposal : proposals_) {
    if (proposal.result || proposal.times.committed > now) continue;
    proposal.result = commit(proposal.write, proposal.times.committed);
  }
  std::erase_if(proposals_, [now](const Proposal& each) { return each.abandoned && each.times.answered <= now; });
}

Answer<Version> ReplicatedShard::commit(Write& write, TimePoint at) {
  if (!write.idempotency_key.empty()) {
    const auto known = idempotency_keys_.find(write.idempotency_key);
    if (known != idempotency_keys_.end()) return known->second;
  }
  if (write.if_match) {
    const Entry* entry = store_.find(write.key, at);
    if (entry == nullptr) return tl::unexpected(condition_on_missing_key());
    if (entry->version != *write.if_match) return tl::unexpected(version_mismatch(*write.if_match, entry->version));
  }
  const Version version{term_, ++index_};
  ++applied_writes_;
  if (write.fate) write.fate->took_effect(at);
  if (write.kind == WriteKind::remove) {
    store_.erase(write.key);
  } else {
    store_.put(std::move(write.key), {std::move(write.value), version},
               write.ttl ? std::optional(at + *write.ttl) : std::nullopt);
  }
  if (!write.idempotency_key.empty()) idempotency_keys_.emplace(std::move(write.idempotency_key), version);
  return version;
}

void ReplicatedShard::propose(WriteId id, Write write, const ClusterConfig& config, TimePoint now) {
  advance_to(now);
  std::uint32_t overlapping = 1;
  for (const Proposal& earlier : proposals_) {
    if (earlier.times.answered > now) ++overlapping;
  }
  max_overlapping_ = std::max(max_overlapping_, overlapping);
  proposals_.push_back({id, std::move(write), commit_times(config, heartbeats_, now)});
  advance_to(now);
}

WriteProgress ReplicatedShard::poll(WriteId id, TimePoint now) {
  advance_to(now);
  const auto found = std::find_if(proposals_.begin(), proposals_.end(), [id](const Proposal& p) { return p.id == id; });
  if (found == proposals_.end()) return {tl::unexpected(not_leader())};
  if (!found->result || found->times.answered > now) {
    // A suspended write is overdue: it waits for an event, not for a time.
    return {std::nullopt, found->times.answered > now ? found->times.answered : now + heartbeat_tick};
  }
  Answer<Version> answer = std::move(*found->result);
  proposals_.erase(found);
  return {std::move(answer)};
}

void ReplicatedShard::abandon(WriteId id, TimePoint now) {
  for (Proposal& proposal : proposals_) {
    if (proposal.id == id) proposal.abandoned = true;
  }
  advance_to(now);
}

const Entry* ReplicatedShard::find(std::string_view key, TimePoint now) {
  advance_to(now);
  return store_.find(key, now);
}

void ReplicatedShard::seed(std::string_view key, std::string_view value, TimePoint now) {
  advance_to(now);
  store_.put(std::string(key), {std::string(value), Version{term_, ++index_}}, std::nullopt);
}

}  // namespace norikv::testing
