#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>

#include "testing/cluster_model.hpp"
#include "testing/commit_clock.hpp"
#include "testing/shard_store.hpp"

namespace norikv::testing {

/// One shard on one server of profile norikv: a Raft group of one over a store, with the race that loses writes.
///
/// The real server takes a write's log index some milliseconds before it appends the write. A second write in between
/// gets the same index and overwrites the first in the log; both are acknowledged. Owner: NorikvModel.
class NorikvShard {
 public:
  /// The group is created by the first request that needs it. `leads_at`: none = it never finds a leader.
  void create(std::optional<TimePoint> leads_at);
  /// The process is killed: the log is gone, the data stays, and replaying it forgets what was to expire.
  void crash(TimePoint now);

  [[nodiscard]] bool created() const noexcept { return created_; }
  [[nodiscard]] bool leads(TimePoint now) const noexcept { return created_ && leads_at_ && *leads_at_ <= now; }

  /// Applies what is committed by now.
  void advance_to(TimePoint now);

  void propose(WriteId id, Write write, const ClusterConfig& config, TimePoint now);
  /// `write` gets the proposed write once it is answered OK, for whoever remembers its idempotency key.
  [[nodiscard]] WriteProgress poll(WriteId id, TimePoint now, Write& write);
  void abandon(WriteId id, TimePoint now);

  [[nodiscard]] const Entry* find(std::string_view key, TimePoint now);
  /// Stores a value past the log, as if it had been on the disk.
  void seed(std::string_view key, std::string_view value);

  [[nodiscard]] std::uint64_t applied_writes() const noexcept { return applied_writes_; }
  [[nodiscard]] std::uint64_t lost_writes() const noexcept { return lost_writes_; }
  [[nodiscard]] std::uint32_t max_overlapping() const noexcept { return max_overlapping_; }

 private:
  struct Proposal {
    WriteId id{};
    Write write;
    std::uint64_t index = 0;
    CommitTimes times;
    bool overwritten = false;  ///< A later write took the same index before this one was appended.
    bool done = false;         ///< Applied, or passed over.
    bool abandoned = false;
  };

  void apply(const Write& write, TimePoint at);

  bool created_ = false;
  std::optional<TimePoint> leads_at_;
  std::uint64_t last_index_ = 0;  ///< Of the log; starts again with the process.
  std::uint64_t sequence_ = 0;    ///< Of the store; goes on.
  ShardStore store_;
  std::vector<Proposal> proposals_;  ///< In order of arrival, which is the order of commit.
  std::uint64_t applied_writes_ = 0;
  std::uint64_t lost_writes_ = 0;
  std::uint32_t max_overlapping_ = 0;
};

}  // namespace norikv::testing
