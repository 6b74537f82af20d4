#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/options.hpp>

namespace grpc {
class Channel;
}

namespace norikv::transport {

/// A node's address in the words of gRPC: `ipv4:///1.2.3.4:7447`, `ipv6:///%5B::1%5D:7447`, `dns:///host:7447`,
/// `unix:///path`.
///
/// Written so that it never equals what gRPC calls the peer of a connection (`ipv4:1.2.3.4:7447`): a failed call whose
/// peer still is the target never met a connection.
[[nodiscard]] std::string grpc_target(std::string_view address);

/// The channels to one node, each with a connection of its own. [loop thread]
///
/// Calls that were started on them keep them alive by themselves, so a node that is dropped lets its calls end.
class NodeChannels {
 public:
  NodeChannels(std::string_view address, const ConnectionOptions& options);

  /// For calls: one after the other.
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& next() noexcept;
  /// For the topology stream: always the same.
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& first() const noexcept { return channels_.front(); }

 private:
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::size_t next_ = 0;
};

}  // namespace norikv::transport
