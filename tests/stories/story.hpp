#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "client/guest.hpp"
#include "support/lateness.hpp"

// What the stories share: they last seconds of real time, measure, and print what they measured.
namespace norikv::test {

/// Prints one line of numbers; also what docs/failover.md quotes.
template <class... Arguments>
void tell(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  const std::string line = fmt::format(format, std::forward<Arguments>(arguments)...);
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

[[nodiscard]] inline double in_milliseconds(Duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

/// The longest time between two events.
class Gap {
 public:
  explicit Gap(TimePoint start) : last_(start) {}
  void event(TimePoint now) {
    longest_ = std::max(longest_, Duration{now - last_});
    last_ = now;
  }
  [[nodiscard]] Duration longest() const { return longest_; }

 private:
  TimePoint last_;
  Duration longest_{0};
};

/// The duration that a share `q` of the samples did not exceed.
[[nodiscard]] inline Duration quantile(std::vector<Duration> samples, double q) {
  REQUIRE_FALSE(samples.empty());
  const auto at = static_cast<std::size_t>(q * static_cast<double>(samples.size() - 1));
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(at), samples.end());
  return samples[at];
}

}  // namespace norikv::test
