#pragma once

/// Marks what the shared library exports; everything else is hidden.
#if defined(__GNUC__) || defined(__clang__)
#define NORIKV_EXPORT __attribute__((visibility("default")))
#else
#define NORIKV_EXPORT
#endif
