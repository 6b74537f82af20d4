#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include <grpcpp/security/server_credentials.h>

#include <norikv/types.hpp>

#include "testing/exchange.hpp"

namespace norikv::testing {

/// A gRPC server without a port: it is handed connections, and hands out calls as bytes.
///
/// Driven by a completion queue and one thread, so that a waiting request costs no thread. (A callback server of gRPC
/// up to 1.70 answers up to 100 ms late after a second of silence.) Owned by a node's server; any thread, one at a time
/// unless said otherwise.
class RpcServer {
 public:
  /// [server's thread, or the timer's]
  class Handler {
   public:
    /// The headers of a call have arrived. `read` makes the server read the message; it may be called later.
    virtual void on_call(std::shared_ptr<Exchange> call, UniqueFunction<void()> read) = 0;
    /// The message has arrived too.
    virtual void on_request(std::shared_ptr<Exchange> call) = 0;

   protected:
    ~Handler() = default;
  };

  /// The handler outlives the server.
  explicit RpcServer(Handler& handler);
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  [[nodiscard]] bool start(const std::shared_ptr<grpc::ServerCredentials>& credentials);
  /// Serves an accepted, non-blocking socket, and closes it.
  void serve(int socket);
  /// Tells all connections to go away (GOAWAY) and serves them until their calls have ended.
  void retire();
  /// The server was retired and has nothing left to do.
  [[nodiscard]] bool drained() const noexcept { return drained_; }
  /// Ends it all. Calls that wait are over. The connections have to be cut before.
  void kill();

 private:
  class Call;
  struct Core;

  std::shared_ptr<Core> core_;
  std::thread drain_;
  std::atomic<bool> drained_{false};
};

}  // namespace norikv::testing
