#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>

#include "testing/cluster_model.hpp"
#include "testing/commit_clock.hpp"
#include "testing/shard_store.hpp"

namespace norikv::testing {

/// One shard of profile replicated: a Raft group as it should be.
///
/// What is committed is on every replica, so one store stands for all of them. Conditions and idempotency keys are
/// decided when a write commits, in log order, which makes them atomic. A write that has not committed when the leader
/// changes is dropped. Owner: ReplicatedModel, which holds the elections.
class ReplicatedShard {
 public:
  /// A new leader in a new term, with its hint for those whose write is dropped.
  void elect(NodeIndex leader, const std::string& hint, TimePoint now);
  /// The leader is gone; another one is to be elected at `successor_at`.
  void lose_leader(TimePoint successor_at);
  /// The leader is frozen: nothing commits. Unless it resumes before, another one is to be elected at `successor_at`.
  void suspend(TimePoint successor_at, TimePoint now);
  void resume(TimePoint now);
  /// Puts the coming election off.
  void postpone(TimePoint successor_at) { successor_at_ = successor_at; }

  [[nodiscard]] std::optional<NodeIndex> leader() const noexcept { return leader_; }
  [[nodiscard]] NodeIndex last_leader() const noexcept { return last_leader_; }
  [[nodiscard]] std::optional<TimePoint> successor_at() const noexcept { return successor_at_; }

  void propose(WriteId id, Write write, const ClusterConfig& config, TimePoint now);
  [[nodiscard]] WriteProgress poll(WriteId id, TimePoint now);
  void abandon(WriteId id, TimePoint now);

  /// Commits what is due.
  void advance_to(TimePoint now);
  [[nodiscard]] const Entry* find(std::string_view key, TimePoint now);
  /// Stores a value past the log.
  void seed(std::string_view key, std::string_view value, TimePoint now);

  [[nodiscard]] std::uint64_t applied_writes() const noexcept { return applied_writes_; }
  [[nodiscard]] std::uint32_t max_overlapping() const noexcept { return max_overlapping_; }

 private:
  struct Proposal {
    WriteId id{};
    Write write;
    CommitTimes times;
    std::optional<Answer<Version>> result{};
    bool abandoned = false;
  };

  [[nodiscard]] Answer<Version> commit(Write& write, TimePoint at);
  void refuse_undecided(const std::string& hint, TimePoint now);

  std::optional<NodeIndex> leader_;
  NodeIndex last_leader_ = 0;
  std::optional<TimePoint> successor_at_;
  bool suspended_ = false;
  TimePoint heartbeats_{};
  std::uint64_t term_ = 0;
  std::uint64_t index_ = 0;
  ShardStore store_;
  StringMap<Version> idempotency_keys_;
  std::vector<Proposal> proposals_;  ///< In log order.
  std::uint64_t applied_writes_ = 0;
  std::uint32_t max_overlapping_ = 0;
};

}  // namespace norikv::testing
