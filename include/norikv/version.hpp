#pragma once

#include <norikv/export.hpp>

/// Semantic version of these headers. Before 1.0 a new minor version may break source and binary compatibility, a
/// patch version breaks neither (docs/compatibility.md). The build checks these against the project's version.
#define NORIKV_VERSION_MAJOR 0
#define NORIKV_VERSION_MINOR 1
#define NORIKV_VERSION_PATCH 0
#define NORIKV_VERSION_STRING "0.1.0"
/// major * 10000 + minor * 100 + patch, for `#if`.
#define NORIKV_VERSION 100

namespace norikv {

/// The version of the library that is loaded, such as "0.1.0"; compare with NORIKV_VERSION_STRING to find a header and
/// a library that do not belong together. [any thread] The text lives as long as the library.
[[nodiscard]] NORIKV_EXPORT const char* version() noexcept;

}  // namespace norikv
