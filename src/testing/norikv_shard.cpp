#include "testing/norikv_shard.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace norikv::testing {

void NorikvShard::create(std::optional<TimePoint> leads_at) {
  created_ = true;
  leads_at_ = leads_at;
}

void NorikvShard::crash(TimePoint now) {
  advance_to(now);
  proposals_.clear();
  created_ = false;
  last_index_ = 0;
  store_.forget_expiries();
}

void NorikvShard::advance_to(TimePoint now) {
  for (Proposal& proposal : proposals_) {
    if (proposal.times.appended <= now) last_index_ = std::max(last_index_, proposal.index);
    if (proposal.done || proposal.times.committed > now) continue;
    proposal.done = true;
    if (!proposal.overwritten) apply(proposal.write, proposal.times.committed);
  }
  std::erase_if(proposals_, [now](const Proposal& each) { return each.abandoned && each.times.answered <= now; });
}

void NorikvShard::propose(WriteId id, Write write, const ClusterConfig& config, TimePoint now) {
  advance_to(now);
  const std::uint64_t index = last_index_ + 1;
  std::uint32_t overlapping = 1;
  for (Proposal& earlier : proposals_) {
    if (earlier.index == index) earlier.overwritten = true;
    if (earlier.times.answered > now) ++overlapping;
  }
  max_overlapping_ = std::max(max_overlapping_, overlapping);
  proposals_.push_back({id, std::move(write), index, commit_times(config, *leads_at_, now)});
  advance_to(now);
}

WriteProgress NorikvShard::poll(WriteId id, TimePoint now, Write& write) {
  advance_to(now);
  const auto found = std::find_if(proposals_.begin(), proposals_.end(), [id](const Proposal& p) { return p.id == id; });
  // The log was lost meanwhile. Nobody hears this: the connection died with the process.
  if (found == proposals_.end()) return {tl::unexpected(not_leader())};
  if (found->times.answered > now) return {std::nullopt, found->times.answered};

  if (found->overwritten) ++lost_writes_;
  const Version version{0, found->index};
  write = std::move(found->write);
  proposals_.erase(found);
  return {version};
}

void NorikvShard::abandon(WriteId id, TimePoint now) {
  for (Proposal& proposal : proposals_) {
    if (proposal.id == id) proposal.abandoned = true;
  }
  advance_to(now);
}

const Entry* NorikvShard::find(std::string_view key, TimePoint now) {
  advance_to(now);
  return store_.find(key, now);
}

void NorikvShard::seed(std::string_view key, std::string_view value) {
  store_.put(std::string(key), {std::string(value), Version{0, ++sequence_}}, std::nullopt);
}

void NorikvShard::apply(const Write& write, TimePoint at) {
  ++applied_writes_;
  ++sequence_;  // A remove takes a number too.
  if (write.fate) write.fate->took_effect(at);
  if (write.kind == WriteKind::remove) return store_.erase(write.key);
  store_.put(write.key, {write.value, Version{0, sequence_}},
             write.ttl ? std::optional(at + *write.ttl) : std::nullopt);
}

}  // namespace norikv::testing
