#pragma once

#include <optional>

#include <norikv/types.hpp>

namespace norikv::util {

/// The earlier one of two moments, of which none = never.
[[nodiscard]] inline std::optional<TimePoint> earlier(std::optional<TimePoint> one,
                                                      std::optional<TimePoint> other) noexcept {
  if (!one || !other) return one ? one : other;
  return *one < *other ? one : other;
}

}  // namespace norikv::util
