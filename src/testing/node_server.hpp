#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include <grpcpp/channel.h>

#include "testing/access.hpp"
#include "testing/fault_book.hpp"
#include "testing/listener.hpp"
#include "testing/rpc_server.hpp"
#include "testing/services.hpp"

namespace norikv::testing {

/// What the nodes of a cluster share. The cluster's own.
struct NodeParts {
  const AnswerShapes& shapes;
  Engine& engine;
  FaultBook& faults;
  TimerThread& timer;
  const Access& access;
};

/// One node on 127.0.0.1, from start to kill: connections, calls, and what faults do to them on their way to the
/// services and back. Owned by the cluster; start and kill from any thread, one at a time.
class NodeServer final : private RpcServer::Handler {
 public:
  NodeServer(NodeParts parts, NodeIndex node, std::uint16_t port);
  ~NodeServer() { kill(); }
  NodeServer(const NodeServer&) = delete;
  NodeServer& operator=(const NodeServer&) = delete;

  /// False if the port is taken.
  [[nodiscard]] bool start();
  [[nodiscard]] bool running() const noexcept { return running_; }
  /// Breaks all connections. The engine has stopped the node before, so that nothing is answered any more.
  void kill();

  /// Tells the connections to go away; new ones are served.
  void go_away();
  /// Isolations may overlap; refusal is the stronger one.
  void isolate(Isolation how);
  void reconnect(Isolation how);

 private:
  class FaultyExchange;

  void on_call(std::shared_ptr<Exchange> call, UniqueFunction<void()> read) override;
  void on_request(std::shared_ptr<Exchange> call) override;
  void carry_out(Method method, const std::shared_ptr<Exchange>& call, Treatment treatment);
  void cut(const Exchange& call);
  /// Does it now, or once the node is in contact with its clients again.
  void when_in_contact(UniqueFunction<void()> task);

  void take_connection(int socket);

  std::shared_ptr<grpc::Channel> keeper_;
  const NodeParts parts_;
  const NodeIndex node_;
  Services services_;
  std::atomic<bool> running_{false};

  std::mutex mutex_;
  std::unique_ptr<RpcServer> server_;
  std::vector<std::unique_ptr<RpcServer>> retired_;
  int silent_ = 0;  ///< Isolations in effect.
  int refused_ = 0;
  std::atomic<bool> isolated_{false};         ///< Any of them; written under the mutex.
  std::vector<UniqueFunction<void()>> held_;  ///< What waits for contact.
  Listener listener_;                         ///< Last: its thread uses the rest.
};

}  // namespace norikv::testing
