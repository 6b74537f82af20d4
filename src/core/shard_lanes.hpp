#pragma once

#include <cstdint>
#include <list>
#include <memory_resource>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <norikv/options.hpp>

#include "core/ids.hpp"

namespace norikv::core {

/// Keeps the writes of one shard apart, because today's server loses acknowledged writes that overlap in a shard. An
/// exclusive operation (a snapshot, which can lose writes too) overlaps with no write at all, however many a lane
/// takes.
///
/// A place in a lane belongs to the write on the server, not to the operation: it is left by a definite answer; after
/// an unknown outcome it settles, which means that it stays taken for a while longer. Writes wait in submission order.
class ShardLanes {
 public:
  explicit ShardLanes(const WriteOptions& options, std::pmr::memory_resource* memory = std::pmr::get_default_resource())
      : options_(options), lanes_(memory) {}

  enum class Entry : std::uint8_t { started, queued, full, too_late };
  /// What an operation takes of a lane: one of its places, or all of them.
  enum class Share : std::uint8_t { one, all };

  /// A write wants to start. `too_late`: it could not make its deadline behind the writes before it.
  Entry enter(std::uint32_t shard, OpId write, TimePoint deadline, TimePoint now, Share share = Share::one);

  /// A write that waited gave up.
  void abandon(std::uint32_t shard, OpId write);

  /// A place is free again: at once, or (`settle`) after `lane_settle`.
  enum class Leave : std::uint8_t { at_once, settle };
  void leave(std::uint32_t shard, Leave how, TimePoint now);

  /// When the next request of a write may go on the wire. `enter` spaces the writes, this their requests: after a
  /// search for the leader, or a pause, those of several writes would leave together.
  [[nodiscard]] TimePoint next_send(std::uint32_t shard) const;
  /// A request of a write goes on the wire now.
  void sent(std::uint32_t shard, TimePoint now);

  /// A write of this lane took so long on the wire; what `enter` estimates with.
  void observe(std::uint32_t shard, Duration time_on_wire);

  /// The writes that may start now, in order; they hold a place from here on.
  std::vector<OpId> take_ready(std::uint32_t shard, TimePoint now);

  /// When to ask `take_ready` again without anything else happening; none = never.
  [[nodiscard]] std::optional<TimePoint> next_ready(std::uint32_t shard) const;

  [[nodiscard]] std::size_t queued(std::uint32_t shard) const;
  /// Places taken, settling ones included.
  [[nodiscard]] std::size_t taken(std::uint32_t shard) const;

  /// Whether the lanes are switched off.
  [[nodiscard]] bool lifted() const { return options_.in_flight_per_shard == 0; }

 private:
  struct Waiting {
    OpId id{};
    Share share{};
  };
  struct Lane {
    std::uint32_t in_flight = 0;
    bool exclusive = false;         // the one in flight has all of it
    std::list<TimePoint> settling;  // when each ends, in order; like the queue, mostly empty, and then without memory
    TimePoint quiet{};              // what settles without a place, in a lane that is lifted, has ended by then
    std::list<Waiting> queue;
    TimePoint next_send{};
    TimePoint next_start{};    // spacing
    Duration typical_write{};  // moving average while it is busy; 0 = nothing known yet
  };

  [[nodiscard]] bool may_start(const Lane& lane, Share share, TimePoint now) const;
  void begin(Lane& lane, Share share, TimePoint now) const;
  /// When this much is free by time alone; none if an answer has to come first.
  [[nodiscard]] std::optional<TimePoint> free_at(const Lane& lane, Share share) const;
  [[nodiscard]] TimePoint expected_start(const Lane& lane, TimePoint now) const;
  void drop_if_idle(std::uint32_t shard, TimePoint now);

  WriteOptions options_;
  std::pmr::unordered_map<std::uint32_t, Lane> lanes_;
};

}  // namespace norikv::core
