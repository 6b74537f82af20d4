#pragma once

#include <cstdint>
#include <memory>

#include <grpcpp/channel.h>
#include <grpcpp/server.h>

#include "testing/services.hpp"

namespace norikv::testing {

/// One node's gRPC server on 127.0.0.1, from start to kill. Owned by the cluster; any thread, one at a time.
///
/// A sync server: each request has a thread, and may wait in it. (A callback server of gRPC up to 1.70 answers up to
/// 100 ms late after a second of silence.)
class NodeServer {
 public:
  NodeServer(Engine& engine, NodeIndex node);
  ~NodeServer() { kill(); }
  NodeServer(const NodeServer&) = delete;
  NodeServer& operator=(const NodeServer&) = delete;

  /// False if the port is taken.
  [[nodiscard]] bool start(std::uint16_t port);
  [[nodiscard]] bool running() const noexcept { return server_ != nullptr; }
  /// Breaks all connections and waits for the requests' threads. The engine has stopped the node before, so that none
  /// of them answers any more and none waits.
  void kill();

 private:
  std::shared_ptr<grpc::Channel> keeper_;
  KvService kv_;
  MetaService meta_;
  AdminService admin_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace norikv::testing
