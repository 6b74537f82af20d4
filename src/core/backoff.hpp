#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <norikv/options.hpp>

namespace norikv::core {

/// The pause before retry number `retry` (0 = the first): full jitter, a random time in (0, min(cap, base * 2^retry)].
/// `fraction` is a random number in (0, 1]. (Brooker, "Exponential Backoff And Jitter": least total work of the
/// jitters.)
[[nodiscard]] inline Duration backoff_delay(const Backoff& backoff, std::uint32_t retry, double fraction) {
  const double longest =
      std::min(static_cast<double>(backoff.cap.count()),
               std::ldexp(static_cast<double>(backoff.base.count()), static_cast<int>(std::min(retry, 60u))));
  return Duration{std::max<std::int64_t>(1, static_cast<std::int64_t>(longest * fraction))};
}

}  // namespace norikv::core
