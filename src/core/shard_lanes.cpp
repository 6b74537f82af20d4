#include "core/shard_lanes.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace norikv::core {

ShardLanes::Entry ShardLanes::enter(std::uint32_t shard, OpId write, TimePoint deadline, TimePoint now, Share share) {
  Lane& lane = lanes_[shard];
  while (!lane.settling.empty() && lane.settling.front() <= now) lane.settling.pop_front();
  if (lane.queue.empty() && may_start(lane, share, now)) {
    begin(lane, share, now);
    return Entry::started;
  }
  if (lane.queue.size() >= options_.queued_per_shard) return Entry::full;
  if (expected_start(lane, now) >= deadline) return Entry::too_late;
  lane.queue.push_back({write, share});
  return Entry::queued;
}

void ShardLanes::abandon(std::uint32_t shard, OpId write) {
  const auto found = lanes_.find(shard);
  if (found == lanes_.end()) return;
  std::erase_if(found->second.queue, [&](const Waiting& waiting) { return waiting.id == write; });
}

void ShardLanes::leave(std::uint32_t shard, Leave how, TimePoint now) {
  Lane& lane = lanes_[shard];
  if (lane.in_flight > 0) --lane.in_flight;
  const bool exclusive = std::exchange(lane.exclusive, false);
  if (how == Leave::settle) {
    lane.quiet = now + options_.lane_settle;
    if (exclusive)
      lane.next_start = std::max(lane.next_start, lane.quiet);  // it may go on; no place is free until then
    else if (!lifted())
      lane.settling.push_back(lane.quiet);
  }
  drop_if_idle(shard, now);
}

TimePoint ShardLanes::next_send(std::uint32_t shard) const {
  const auto found = lanes_.find(shard);
  return found == lanes_.end() ? TimePoint{} : found->second.next_send;
}

void ShardLanes::sent(std::uint32_t shard, TimePoint now) {
  if (options_.spacing > Duration{0}) lanes_[shard].next_send = now + options_.spacing;
}

void ShardLanes::observe(std::uint32_t shard, Duration time_on_wire) {
  const auto found = lanes_.find(shard);
  if (found == lanes_.end()) return;
  // An exponential moving average over about eight writes.
  Duration& typical = found->second.typical_write;
  typical = typical == Duration{0} ? time_on_wire : (typical * 7 + time_on_wire) / 8;
}

std::vector<OpId> ShardLanes::take_ready(std::uint32_t shard, TimePoint now) {
  std::vector<OpId> ready;
  const auto found = lanes_.find(shard);
  if (found == lanes_.end()) return ready;
  Lane& lane = found->second;
  while (!lane.settling.empty() && lane.settling.front() <= now) lane.settling.pop_front();
  while (!lane.queue.empty() && may_start(lane, lane.queue.front().share, now)) {
    ready.push_back(lane.queue.front().id);
    begin(lane, lane.queue.front().share, now);
    lane.queue.pop_front();
  }
  drop_if_idle(shard, now);
  return ready;
}

std::optional<TimePoint> ShardLanes::next_ready(std::uint32_t shard) const {
  const auto found = lanes_.find(shard);
  if (found == lanes_.end() || found->second.queue.empty()) return std::nullopt;
  return free_at(found->second, found->second.queue.front().share);
}

std::size_t ShardLanes::queued(std::uint32_t shard) const {
  const auto found = lanes_.find(shard);
  return found == lanes_.end() ? 0 : found->second.queue.size();
}

std::size_t ShardLanes::taken(std::uint32_t shard) const {
  const auto found = lanes_.find(shard);
  return found == lanes_.end() ? 0 : found->second.in_flight + found->second.settling.size();
}

bool ShardLanes::may_start(const Lane& lane, Share share, TimePoint now) const {
  const std::optional<TimePoint> at = free_at(lane, share);
  return at && *at <= now;
}

void ShardLanes::begin(Lane& lane, Share share, TimePoint now) const {
  ++lane.in_flight;
  lane.exclusive = share == Share::all;
  lane.next_start = now + options_.spacing;
}

std::optional<TimePoint> ShardLanes::free_at(const Lane& lane, Share share) const {
  if (lane.exclusive) return std::nullopt;
  if (share == Share::all) {
    if (lane.in_flight > 0) return std::nullopt;
    return std::max(lane.next_start, lane.quiet);
  }
  const std::size_t taken = lane.in_flight + lane.settling.size();
  if (lifted() || taken < options_.in_flight_per_shard) return lane.next_start;
  // Another place has to become free; only a settling one does so by time alone.
  const std::size_t surplus = taken - options_.in_flight_per_shard;
  if (surplus >= lane.settling.size()) return std::nullopt;
  return std::max(lane.next_start, *std::next(lane.settling.begin(), static_cast<std::ptrdiff_t>(surplus)));
}

TimePoint ShardLanes::expected_start(const Lane& lane, TimePoint now) const {
  // The writes before it start one `typical_write` apart per place, and at least `spacing` apart; the first of them is
  // already under way, so it is not counted.
  const auto before = static_cast<std::int64_t>(lane.queue.size());
  const Duration by_places = lifted() ? Duration{0} : lane.typical_write * before / options_.in_flight_per_shard;
  return std::max(now, free_at(lane, Share::one).value_or(now)) + std::max(by_places, options_.spacing * before);
}

void ShardLanes::drop_if_idle(std::uint32_t shard, TimePoint now) {
  const auto found = lanes_.find(shard);
  const Lane& lane = found->second;
  if (lane.in_flight == 0 && lane.settling.empty() && lane.queue.empty() && lane.next_start <= now &&
      lane.next_send <= now && lane.quiet <= now)
    lanes_.erase(found);
}

}  // namespace norikv::core
