#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <grpcpp/security/server_credentials.h>

#include <norikv/testing/cluster.hpp>

#include "testing/exchange.hpp"

namespace norikv::testing {

/// Error: `invalid_argument`, naming the field.
[[nodiscard]] Result<void> check(const ServerTls& tls);

/// How the nodes show who they are, and who may call them. Shared by the nodes, owned by the cluster. [any thread]
class Access {
 public:
  Access(const std::optional<ServerTls>& tls, std::optional<RequiredTokens> tokens);

  /// For the next start of a node.
  [[nodiscard]] std::shared_ptr<grpc::ServerCredentials> credentials() const;
  void secure(const ServerTls& tls);

  void require(std::optional<RequiredTokens> tokens);
  /// Whether the call carries a token that is accepted now.
  [[nodiscard]] bool admits(const Exchange& call) const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::optional<RequiredTokens> tokens_;
};

}  // namespace norikv::testing
