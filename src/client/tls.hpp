#pragma once

#include <norikv/error.hpp>
#include <norikv/security.hpp>

#include "core/transport.hpp"

namespace norikv::client {

/// The options as a transport wants them: files read, texts checked. Error: `invalid_argument`, naming the field; never
/// a part of a text. [any thread]
[[nodiscard]] Result<core::TlsMaterial> load(const TlsOptions& options);

}  // namespace norikv::client
