#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

#include "testing/cluster_model.hpp"
#include "testing/shard_store.hpp"
#include "testing/timer_thread.hpp"
#include "testing/vector_model.hpp"
#include "testing/view_faults.hpp"

namespace norikv::testing {

/// Names a request to whoever asked.
enum class RequestId : std::uint64_t {};

/// The model in real time, for many threads: requests wait in here for their commit, for a thaw, for the next view.
///
/// One mutex holds it all, so that what happens to a node (stop, freeze, a moved leader) comes entirely before or after
/// each step of a request. Answers are given outside of it, by whichever thread brought them about: one of gRPC's, the
/// user's, or the timer's. Owned by the cluster.
class Engine {
 public:
  /// [any thread] Called once, unless the request is forgotten or its node is stopped before.
  template <class T>
  using Done = UniqueFunction<void(Answer<T>)>;

  /// The timer ends first.
  Engine(ModelConfig config, TimePoint now, TimerThread& timer);
  ~Engine();

  // Requests. They may be answered before the call returns.
  RequestId write(NodeIndex node, TimePoint deadline, Write write, Done<Version> done);
  RequestId read(NodeIndex node, std::string key, std::string consistency, Done<std::optional<Entry>> done);
  RequestId snapshot_shard(NodeIndex node, std::uint32_t shard, Done<wire::Shard> done);
  /// Of the Vector service, which must be there.
  template <class Message>
  RequestId vectors(NodeIndex node, TimePoint deadline, Message request, Done<VectorReply<Message>> done);
  [[nodiscard]] bool has_vectors() const noexcept { return vectors_.has_value(); }
  /// For an answer that needs nothing of the node but that it speaks.
  RequestId speak(NodeIndex node, Done<void> done);
  /// A stream of views: after each one it waits for `sent`.
  using ViewSink = UniqueFunction<void(RequestId, const wire::View&)>;
  RequestId watch(NodeIndex node, ViewSink view, UniqueFunction<void()> ended);
  void sent(RequestId stream);
  /// Nobody waits for the answer any more. A write that has begun goes on.
  void forget(RequestId request);

  // What happens to nodes.
  void stop(NodeIndex node);
  void restart(NodeIndex node);
  void freeze(NodeIndex node);
  void thaw(NodeIndex node);
  bool move_leader(std::uint32_t shard, NodeIndex node);
  /// The node's streams end, with OK.
  void end_streams(NodeIndex node);
  /// Changes what the node's views say, and pushes one.
  void falsify_views(NodeIndex node, const std::function<void(ViewFaults&)>& change);

  void seed(std::string_view key, std::string_view value);
  [[nodiscard]] std::optional<std::string> stored(std::string_view key);
  [[nodiscard]] std::optional<NodeIndex> leader(std::uint32_t shard);

  void count_arrival(NodeIndex node, Method method, std::string_view peer);
  void count_unauthenticated();
  [[nodiscard]] Cluster::Counters counters();
  [[nodiscard]] std::uint32_t max_overlapping_writes(std::uint32_t shard);
  [[nodiscard]] std::uint32_t max_overlapping_vector_writes();

 private:
  class Request;
  class WriteRequest;
  template <class Message>
  class VectorRequest;
  template <class T, class Ask>
  class Question;
  class Stream;
  using RequestMap = std::unordered_map<RequestId, std::unique_ptr<Request>>;

  struct Node {
    bool running = true;
    bool frozen = false;
    RequestMap requests;
    std::unordered_set<std::string, StringHash, std::equal_to<>> peers;  ///< Everyone who sent it a request.
    ViewFaults view_faults;
    std::uint64_t view_changes = 0;  ///< Of `view_faults`.
  };
  /// Answers that are due; given once the mutex is free.
  using Outbox = std::vector<UniqueFunction<void()>>;

  RequestId start(NodeIndex node, std::unique_ptr<Request> request);
  template <class T, class Ask>
  RequestId ask(NodeIndex node, Ask question, Done<T> done);
  /// Lets a request go on, and sees to it that it is looked at again in time. False if it has ended.
  bool go_on(RequestId id, Request& request, Outbox& outbox);
  void go_on_all(Outbox& outbox);
  void on_time(RequestId id);
  /// Runs `happening` under the mutex, then lets every request go on.
  template <class F>
  void happen(F&& happening);
  static void give_out(Outbox& outbox);

  TimerThread& timer_;
  std::mutex mutex_;
  std::deque<Node> nodes_;
  std::unique_ptr<ClusterModel> model_;
  std::optional<VectorModel> vectors_;  ///< None: there is no such service.
  Cluster::Counters counters_;
  std::uint64_t last_request_ = 0;
};

}  // namespace norikv::testing
