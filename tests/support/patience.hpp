#pragma once

#include <algorithm>
#include <cstdlib>

namespace norikv::test {

/// By how much a limit against hanging is longer than on an idle machine: what `tests/run.py --timeout-factor` says, so
/// that a program is given as much time by its own waits as by its timeout.
[[nodiscard]] inline double patience() {
  const char* const factor = std::getenv("NORIKV_TEST_TIMEOUT_FACTOR");
  return factor == nullptr ? 1 : std::max(1.0, std::atof(factor));
}

}  // namespace norikv::test
