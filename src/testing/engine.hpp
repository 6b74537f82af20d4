#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>

#include "testing/cluster_model.hpp"
#include "testing/shard_store.hpp"

namespace norikv::testing {

/// What the engine asks about a request that waits: the server's side of one call. Lives as long as the call.
class CallContext {
 public:
  /// The client gave up, or the connection is gone.
  [[nodiscard]] virtual bool cancelled() const = 0;
  /// When the time that the client sent along is over; `TimePoint::max()` = never.
  [[nodiscard]] virtual TimePoint deadline() const = 0;

 protected:
  ~CallContext() = default;
};

/// The model in real time, for many threads: requests wait in here for their commit, for a thaw, for the next view.
///
/// One mutex holds it all, so that what happens to a node (stop, freeze, a moved leader) comes entirely before or after
/// each step of a request. Owned by the cluster; called by gRPC's threads and by the user's.
class Engine {
 public:
  Engine(ModelConfig config, TimePoint now);

  // Requests. A node that was stopped answers nothing: they return once the call is dead, and what they return goes
  // nowhere.
  Answer<Version> write(NodeIndex node, const CallContext& call, Write write);
  Answer<std::optional<Entry>> read(NodeIndex node, const CallContext& call, std::string_view key,
                                    std::string_view consistency);
  /// Waits for a view that is newer than `sent` (none = the first one); none = the stream is over.
  std::optional<wire::View> next_view(NodeIndex node, const CallContext& call, std::optional<std::uint64_t> sent);
  Answer<wire::Shard> snapshot_shard(NodeIndex node, const CallContext& call, std::uint32_t shard);
  /// For an answer that needs nothing of the node but that it speaks.
  Answer<void> speak(NodeIndex node, const CallContext& call);

  // What happens to nodes. All of it wakes who waits.
  void stop(NodeIndex node);
  void restart(NodeIndex node);
  void freeze(NodeIndex node);
  void thaw(NodeIndex node);
  bool move_leader(std::uint32_t shard, NodeIndex node);

  void seed(std::string_view key, std::string_view value);
  [[nodiscard]] std::optional<std::string> stored(std::string_view key);
  [[nodiscard]] std::optional<NodeIndex> leader(std::uint32_t shard);

  enum class Request : std::uint8_t { put, get, remove, watch, admin };
  void count_arrival(NodeIndex node, Request request, std::string_view peer);
  [[nodiscard]] Cluster::Counters counters();
  [[nodiscard]] std::uint32_t max_overlapping_writes(std::uint32_t shard);

 private:
  struct Node {
    bool running = true;
    bool frozen = false;
    std::condition_variable changed;  ///< Anything that a waiting request wants to know.
    std::unordered_set<std::string, StringHash, std::equal_to<>> peers;  ///< Everyone who sent it a request.
  };
  using Lock = std::unique_lock<std::mutex>;

  /// Waits until the node speaks. A refusal: it never will to this call.
  Answer<void> wait_to_speak(Lock& lock, Node& node, const CallContext& call);
  Answer<Version> wait_for_commit(Lock& lock, const WriteTicket& ticket, const CallContext& call);
  /// Waits for an event, for `until`, or for a moment to look whether the call is still there.
  static void wait(Lock& lock, Node& node, TimePoint until);
  /// The end of a request to a stopped node.
  static Refusal stay_silent(Lock& lock, const CallContext& call);
  template <class T>
  Answer<T> counted(Answer<T> answer);
  void wake_all();

  std::mutex mutex_;
  std::deque<Node> nodes_;
  std::unique_ptr<ClusterModel> model_;
  Cluster::Counters counters_;
};

}  // namespace norikv::testing
