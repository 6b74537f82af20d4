#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/session.hpp"
#include "norikv.pb.h"

// Parts of the library without a network around them.
namespace norikv::bench {

inline constexpr TimePoint begin{std::chrono::hours{1}};

inline std::vector<std::string> addresses(std::size_t nodes) {
  std::vector<std::string> made;
  for (std::size_t node = 0; node < nodes; ++node) made.push_back("127.0.0.1:" + std::to_string(7447 + node));
  return made;
}

inline std::string node_id(std::size_t node) { return "bench" + std::to_string(node); }

/// What node `self` of `nodes` says of so many shards with up to three replicas. The leaders of a round are those of
/// the round before, one node further.
inline std::string view_bytes(std::uint32_t shards, std::size_t nodes, std::uint64_t epoch, std::size_t round,
                              std::size_t self = 0) {
  v1::ClusterView view;
  view.set_epoch(epoch);
  view.add_nodes()->set_id(node_id(self));
  for (std::uint32_t id = 0; id < shards; ++id) {
    v1::ShardInfo& shard = *view.add_shards();
    shard.set_id(id);
    for (std::size_t i = 0; i < std::min<std::size_t>(nodes, 3); ++i) {
      v1::ShardReplica& replica = *shard.add_replicas();
      replica.set_node_id(node_id((id + round + i) % nodes));
      replica.set_leader(i == 0);
    }
  }
  return view.SerializeAsString();
}

/// A whole view, slice by slice; a snapshot after each.
inline void take_view(core::ClusterState& cluster, std::size_t node, wire::LeaderView view) {
  cluster.publish(cluster.on_view(node, std::move(view), begin));
  while (cluster.amid_view(node)) cluster.publish(cluster.on_next_slice(node));
}

/// A session with a transport that answers when it is told to, 10,000 operations per second of the session's time.
class SessionDriver {
 public:
  SessionDriver(const ClientOptions& options, wire::Method method, const std::string& request, std::string reply)
      : session_(options, 1),
        shards_(options.total_shards),
        method_(method),
        payload_(std::make_shared<const std::string>(request)),
        reply_(std::move(reply)) {
    session_.start(now_);
  }

  [[nodiscard]] core::Session& session() { return session_; }

  void submit(core::Callback callback) {
    now_ += std::chrono::microseconds{100};
    core::Request request;
    request.id = core::OpId{++id_};
    request.method = method_;
    request.shard =
        static_cast<std::uint32_t>((id_ * 0x9E3779B97F4A7C15) >> 32) % shards_;  // one that was not just used
    request.payload = payload_;
    request.submitted = now_;
    request.deadline = now_ + std::chrono::seconds{5};
    session_.submit(std::move(request), std::move(callback), now_);
    session_.advance_to(now_);
    take_calls();
  }
  /// Answers the oldest request; each answer is the benchmark's own copy.
  void answer_one() {
    core::Reply reply;
    reply.id = on_wire_.front();
    on_wire_.pop_front();
    reply.body = reply_;
    session_.on_reply(std::move(reply), now_);
    take_calls();
  }
  void answer_all() {
    while (!on_wire_.empty()) answer_one();
  }
  [[nodiscard]] std::size_t on_wire() const { return on_wire_.size(); }
  /// Drops what is for users; whether all of it was good.
  [[nodiscard]] bool deliver() {
    bool good = true;
    while (!session_.deliveries().empty()) {
      const core::Delivery delivery = std::move(session_.deliveries().front());
      session_.deliveries().pop_front();
      const auto* completion = std::get_if<core::Completion>(&delivery);
      good = good && (completion == nullptr || completion->outcome.has_value());
    }
    return good;
  }

 private:
  void take_calls() {
    for (const core::Action& action : session_.take_actions()) {
      if (const auto* call = std::get_if<core::Call>(&action)) on_wire_.push_back(call->id);
    }
  }

  core::Session session_;
  const std::uint32_t shards_;
  const wire::Method method_;
  const wire::Payload payload_;
  const std::string reply_;
  TimePoint now_ = begin;
  std::uint64_t id_ = 0;
  std::deque<core::CallId> on_wire_;
};

}  // namespace norikv::bench
