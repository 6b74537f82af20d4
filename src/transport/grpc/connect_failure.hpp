#pragma once

#include <string>
#include <string_view>

#include "transport/tls/causes.hpp"

namespace norikv::transport {

/// Whether gRPC's text says that a call found no connection. Not enough to know that nothing was sent: a server may
/// have sent that text.
[[nodiscard]] bool found_no_connection(std::string_view text) noexcept;

/// gRPC's text about a call that found no connection, with an explanation in front where security is the likely cause.
/// gRPC gives one text for several causes; then those that the configuration leaves open are listed.
[[nodiscard]] std::string explain_connect_failure(std::string_view text, const SecurityFacts& facts);

}  // namespace norikv::transport
