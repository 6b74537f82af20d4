#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>

#include <tl/expected.hpp>

#include <norikv/client.hpp>
#include <norikv/options.hpp>

#include "core/leader_table.hpp"

namespace norikv::core {

/// What admission counted for one operation, and gives back at its end.
struct Ticket {
  std::size_t bytes = 0;
  std::int32_t node = -1;  ///< Whose share it counts in; -1 = no leader was known.
  bool beyond = false;     ///< It waits for a full node and takes none of the client's own places.
};

/// Counts what the client holds, against its limits. `try_admit` and the readers are for any thread; the waiters are
/// the loop's.
///
/// An operation counts for the node that was believed to lead its shard when it was submitted. What a node has beyond
/// its limit is counted apart, up to a limit of its own: a node that hangs fills that, and not the client.
class Admission {
 public:
  Admission(const LimitOptions& limits, const LeaderTable& leaders, std::size_t nodes)
      : limits_(limits), leaders_(leaders), several_nodes_(nodes > 1) {}

  /// Why an operation was not admitted: the client is full, or the part of it that one node may take.
  enum class Full : std::uint8_t { client, node };

  /// [any thread] Takes a place for an operation of so many bytes. An error: nothing was taken.
  [[nodiscard]] tl::expected<Ticket, Full> try_admit(std::size_t bytes, std::uint32_t shard) {
    // Read first: whatever is in the way now is released after it.
    const std::uint64_t released = released_.load(std::memory_order_acquire);
    const tl::expected<Ticket, Full> ticket = try_take(bytes, shard);
    if (!ticket) awaited_release_.store(released + 1, std::memory_order_relaxed);
    return ticket;
  }

  /// [loop thread] Gives a place back, just before its callback runs: the callback sees the room that it made.
  void release(const Ticket& ticket) {
    if (!ticket.beyond) operations_.fetch_sub(1, std::memory_order_relaxed);
    bytes_.fetch_sub(ticket.bytes, std::memory_order_relaxed);
    if (ticket.node >= 0) give_share_back(ticket);
    released_.store(released_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// [loop thread] An admitted operation turns out to be larger. It is not refused for that: its place is taken.
  void grow(Ticket& ticket, std::size_t bytes) {
    if (bytes <= ticket.bytes) return;
    const std::size_t more = bytes - ticket.bytes;
    bytes_.fetch_add(more, std::memory_order_relaxed);
    if (ticket.node >= 0) share(ticket).bytes.fetch_add(more, std::memory_order_relaxed);
    ticket.bytes = bytes;
  }

  /// [loop thread] How many nodes there are from now on.
  void set_nodes(std::size_t nodes) { several_nodes_.store(nodes > 1, std::memory_order_relaxed); }

  /// [any thread]
  [[nodiscard]] std::size_t operations() const { return operations_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool has_room(std::size_t operations = 1) const {
    const std::size_t held = bytes();
    // The next operations are taken to be as large as the largest of late; an empty client has room for whatever fits
    // at all.
    return this->operations() + operations <= limits_.operations &&
           (held == 0 || held + operations * largest_.load(std::memory_order_relaxed) <= limits_.bytes);
  }
  /// [any thread] Whether enough has ended to call the client free again: three quarters of both limits, so that a
  /// producer at the limit does not flap.
  [[nodiscard]] bool has_recovered() const {
    return operations() <= limits_.operations - (limits_.operations + 3) / 4 &&
           bytes() <= limits_.bytes - limits_.bytes / 4;
  }

  /// [loop thread] Waits for room, first come, first served.
  void wait(std::size_t operations, ReadyCallback callback) {
    waiters_.push_back({std::min(operations, limits_.operations), std::move(callback)});
  }
  /// [loop thread] Takes the first waiter if there is room for it now, and something was released since an operation
  /// was refused: there may be room in all of the client and none for what its producer has at hand, because one node
  /// is full or it is large. Such a producer is called as often as operations end, and not all the time.
  [[nodiscard]] ReadyCallback take_satisfied() {
    if (waiters_.empty() || !has_room(waiters_.front().operations)) return {};
    const bool released = released_.load(std::memory_order_relaxed) >= awaited_release_.load(std::memory_order_relaxed);
    if (!released && bytes() > 0) return {};
    return take_waiter();
  }
  /// [loop thread] Takes the first waiter whatever the room; empty if there is none.
  [[nodiscard]] ReadyCallback take_waiter() {
    if (waiters_.empty()) return {};
    ReadyCallback callback = std::move(waiters_.front().callback);
    waiters_.pop_front();
    return callback;
  }
  [[nodiscard]] bool anyone_waits() const { return !waiters_.empty(); }

 private:
  [[nodiscard]] tl::expected<Ticket, Full> try_take(std::size_t bytes, std::uint32_t shard) {
    // The only node there is has all of the client, and no part of it.
    const std::int32_t node = several_nodes_.load(std::memory_order_relaxed) ? leaders_.leader(shard) : -1;
    Ticket ticket{bytes, node, false};
    if (ticket.node >= 0 && !try_take_share(ticket)) return tl::make_unexpected(Full::node);
    const bool place = ticket.beyond || operations_.fetch_add(1, std::memory_order_relaxed) < limits_.operations;
    if (place && bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= limits_.bytes) {
      // An estimate, which many threads may set at once: it forgets a large one after some thousand smaller ones.
      const std::size_t largest = largest_.load(std::memory_order_relaxed);
      largest_.store(std::max(bytes, largest - largest / 1024), std::memory_order_relaxed);
      return ticket;
    }
    if (place) bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    if (!ticket.beyond) operations_.fetch_sub(1, std::memory_order_relaxed);
    if (ticket.node >= 0) give_share_back(ticket);
    return tl::make_unexpected(Full::client);
  }

  // Counted by a node's number modulo the size: more nodes than that share their places.
  static constexpr std::size_t max_shares = 256;
  struct Share {
    std::atomic<std::size_t> operations{0};
    std::atomic<std::size_t> bytes{0};
  };
  [[nodiscard]] Share& share(const Ticket& ticket) {
    return shares_[static_cast<std::size_t>(ticket.node) % max_shares];
  }
  // One node of several has at most half of the bytes, so that large values for a node that hangs leave room too.
  [[nodiscard]] bool try_take_share(Ticket& ticket) {
    Share& taken = share(ticket);
    const std::size_t before = taken.operations.fetch_add(1, std::memory_order_relaxed);
    const std::size_t bytes = taken.bytes.fetch_add(ticket.bytes, std::memory_order_relaxed) + ticket.bytes;
    ticket.beyond = before >= limits_.in_flight_per_node;
    const bool too_many = ticket.beyond && before - limits_.in_flight_per_node >= limits_.queued_per_node;
    const bool too_large = before > 0 && bytes > limits_.bytes - limits_.bytes / 2;
    if (!too_many && !too_large) return true;
    give_share_back(ticket);
    return false;
  }
  void give_share_back(const Ticket& ticket) {
    share(ticket).operations.fetch_sub(1, std::memory_order_relaxed);
    share(ticket).bytes.fetch_sub(ticket.bytes, std::memory_order_relaxed);
  }

  struct Waiter {
    std::size_t operations = 0;
    ReadyCallback callback;
  };

  LimitOptions limits_;
  const LeaderTable& leaders_;
  std::atomic<bool> several_nodes_;
  std::array<Share, max_shares> shares_;
  std::atomic<std::size_t> operations_{0};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> largest_{
      0};  // of all operations so far; a guess at the next one, so a lost race is harmless
  std::atomic<std::uint64_t> released_{0};         // places given back so far; only the loop counts
  std::atomic<std::uint64_t> awaited_release_{0};  // the first one after the latest refusal
  std::deque<Waiter> waiters_;
};

}  // namespace norikv::core
