#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <norikv/options.hpp>

#include "core/transport.hpp"
#include "loop/event_loop.hpp"

namespace norikv::transport {

/// The transport that speaks HTTP/2 on the loop itself, with connections to `addresses` (nodes as they are configured)
/// that are made when they are first used, secured with `tls` unless it is none. [loop thread, or before the loop runs]
///
/// `loop` and `sink` outlive the `done` of `close`; the transport itself must not be destroyed before it.
[[nodiscard]] std::unique_ptr<core::Transport> make_h2_transport(loop::EventLoop& loop, core::TransportSink& sink,
                                                                 const ConnectionOptions& options,
                                                                 const std::vector<std::string>& addresses,
                                                                 const std::optional<core::TlsMaterial>& tls = {});

}  // namespace norikv::transport
