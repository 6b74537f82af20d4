#pragma once

#include <norikv/client.hpp>

#include "cli/failure.hpp"
#include "cli/invocation.hpp"

namespace norikv::cli {

/// A client for the target on a thread of its own; `options` says what the target does not. Fails if the target can't
/// be right.
[[nodiscard]] Outcome<Client> connect(const Target& target, ClientOptions options = {});

}  // namespace norikv::cli
