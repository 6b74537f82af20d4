#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <norikv/export.hpp>
#include <norikv/types.hpp>

// What can go wrong in the ephemeral cluster. Each fault is started by a method of Cluster and healed when the returned
// object ends.
namespace norikv::testing {

/// What a request asks for.
enum class Method : std::uint8_t { put, get, remove, watch, snapshot_shard, transfer_shard, vector };

/// Which requests a fault hits. By default all but topology streams, on every node, until the fault is healed.
struct Requests {
  std::optional<std::uint32_t> node{};   ///< None = every node.
  std::optional<Method> method{};        ///< None = every one but `watch`. `vector` stands for the whole service.
  std::optional<std::string> key{};      ///< Only requests for this key; none = all.
  std::uint64_t skip = 0;                ///< So many of them pass first.
  std::optional<std::uint64_t> times{};  ///< So many are hit; none = until healed.
};

/// Before or after the server has done what the request asks for.
enum class Moment : std::uint8_t { before_applied, after_applied };

/// Names and values as they are sent.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// An answer that is sent instead of the server's own. `replies` below has the usual ones.
struct ScriptedReply {
  int status = 0;  ///< gRPC's number; 0 = OK.
  std::string message{};
  /// The bytes of the reply's message, whatever they are; none = no message, which with an OK status is a fault of its
  /// own. For `Method::watch` it is a view that is sent before the stream ends.
  std::optional<std::string> body{};
  Metadata initial_metadata{};
  Metadata trailing_metadata{};
  Moment moment = Moment::before_applied;  ///< `after_applied`: the request is carried out and its answer is lost.
};

namespace replies {

[[nodiscard]] inline ScriptedReply unavailable(std::string message = "The service is not ready") {
  return {14, std::move(message)};
}

/// NOT_LEADER, with a hint in the trailing metadata unless it is empty: an address, or a replica such as
/// "node1-shard3". The server's other key is `x-norikv-leader`.
[[nodiscard]] inline ScriptedReply not_leader(std::string hint = {}, std::string key = "leader-hint") {
  ScriptedReply reply{14, "NOT_LEADER"};
  if (!hint.empty()) reply.trailing_metadata.emplace_back(std::move(key), std::move(hint));
  return reply;
}

/// RESOURCE_EXHAUSTED that asks the client to wait.
[[nodiscard]] inline ScriptedReply throttled(std::chrono::milliseconds pushback) {
  ScriptedReply reply{8, "Too many requests"};
  reply.trailing_metadata.emplace_back("grpc-retry-pushback-ms", std::to_string(pushback.count()));
  return reply;
}

/// The write is applied, and the server says that it does not know.
[[nodiscard]] inline ScriptedReply commit_timeout() {
  return {13, "Put failed: CommitTimeout { elapsed_ms: 5000 }", {}, {}, {}, Moment::after_applied};
}

/// What the server says when the time that a client gave it is over.
[[nodiscard]] inline ScriptedReply timeout_expired(Moment moment = Moment::after_applied) {
  return {1, "Timeout expired", {}, {}, {}, moment};
}

/// OK, and no message.
[[nodiscard]] inline ScriptedReply without_message(Moment moment = Moment::after_applied) {
  return {0, {}, {}, {}, {}, moment};
}

/// OK, and a message that is no protobuf.
[[nodiscard]] inline ScriptedReply unparsable(Moment moment = Moment::after_applied) {
  return {0, {}, "\xff\xff\xff\xff", {}, {}, moment};
}

}  // namespace replies

/// How a node that is isolated looks to its clients.
enum class Isolation : std::uint8_t {
  /// Packets vanish: connections stay open and say nothing, and new ones are never answered. After healing TCP sends
  /// again what was lost, at its own pace: the longer the isolation, the later. (Not on Linux: connections are
  /// accepted, and only requests and replies are held.)
  silent,
  refused,  ///< Connections are reset and new ones refused.
};

/// A fault in effect. [any thread] Heals when it is destroyed; it may outlive its cluster.
class [[nodiscard]] Fault {
 public:
  NORIKV_EXPORT Fault(Fault&&) noexcept;
  /// Heals the one that was held before.
  NORIKV_EXPORT Fault& operator=(Fault&&) noexcept;
  NORIKV_EXPORT ~Fault();

  /// Ends it now. What it has done to requests that it already hit stays done: a request that is delayed stays so.
  NORIKV_EXPORT void heal() noexcept;
  /// Requests that it has hit; 0 for faults that hit no requests.
  [[nodiscard]] NORIKV_EXPORT std::uint64_t hits() const noexcept;

 private:
  friend class Cluster;
  friend class Proxy;
  struct State;
  explicit Fault(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace norikv::testing
