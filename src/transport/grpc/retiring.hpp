#pragma once

#include <memory>

#include <norikv/types.hpp>

namespace grpc {
class Channel;
}

namespace norikv::transport {

/// Takes a channel that nobody uses any more. [any thread] A channel that may be in the middle of connecting is
/// destroyed only when that is over, up to `longest_attempt` later and in the background: gRPC (1.51, for one) forgets
/// a connection whose peer sends its SETTINGS after the channel is gone, and keeps its socket for ever.
void retire(std::shared_ptr<grpc::Channel> channel, Duration longest_attempt);

}  // namespace norikv::transport
