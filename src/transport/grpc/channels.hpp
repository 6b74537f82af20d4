#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/options.hpp>

#include "core/transport.hpp"
#include "transport/grpc/connect_failure.hpp"

namespace grpc {
class Channel;
class ChannelCredentials;
}  // namespace grpc

namespace norikv::transport {

/// A node's address in the words of gRPC: `ipv4:///1.2.3.4:7447`, `ipv6:///%5B::1%5D:7447`, `dns:///host:7447`,
/// `unix:///path`.
///
/// Written so that it never equals what gRPC calls the peer of a connection (`ipv4:1.2.3.4:7447`): a failed call whose
/// peer still is the target never met a connection.
[[nodiscard]] std::string grpc_target(std::string_view address);

/// How connections are secured, shared by those that are secured alike. Immutable.
class Security {
 public:
  /// Plain text.
  Security();
  explicit Security(const core::TlsMaterial& material);

  [[nodiscard]] const std::shared_ptr<grpc::ChannelCredentials>& credentials() const noexcept { return credentials_; }
  /// Empty = the dialled host.
  [[nodiscard]] const std::string& server_name() const noexcept { return facts_.server_name; }
  /// To explain a connection that failed at this moment.
  [[nodiscard]] SecurityFacts facts() const;

 private:
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  SecurityFacts facts_;
  std::optional<std::chrono::system_clock::time_point> certificate_ends_;
};

/// The channels to one node, each with a connection of its own. [loop thread]
///
/// Calls that were started on them keep them alive by themselves, so a node that is dropped lets its calls end.
class NodeChannels {
 public:
  NodeChannels(std::string_view address, const ConnectionOptions& options, std::shared_ptr<const Security> security);
  NodeChannels(NodeChannels&&) noexcept = default;
  NodeChannels& operator=(NodeChannels other) noexcept;  // what it had goes with `other`
  ~NodeChannels();

  /// For calls: one after the other.
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& next() noexcept;
  /// For the topology stream: always the same.
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& first() const noexcept { return channels_.front(); }
  [[nodiscard]] const std::shared_ptr<const Security>& security() const noexcept { return security_; }

 private:
  std::shared_ptr<const Security> security_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::size_t next_ = 0;
  Duration longest_attempt_;
};

}  // namespace norikv::transport
