#include "transport/h2/dial_plan.hpp"

#include <algorithm>
#include <utility>

namespace norikv::transport::h2 {

void DialPlan::assign(std::vector<Endpoint> found) {
  endpoints_ = std::move(found);
  next_ = 0;
  // Each place gets the nearest one behind it of the other family than the place before, as long as there is one.
  for (std::size_t at = 1; at < endpoints_.size(); ++at) {
    const auto before = endpoints_[at - 1].storage.ss_family;
    const auto place = endpoints_.begin() + static_cast<std::ptrdiff_t>(at);
    const auto other =
        std::find_if(place, endpoints_.end(), [&](const Endpoint& one) { return one.storage.ss_family != before; });
    if (other != endpoints_.end()) std::rotate(place, other, other + 1);
  }
}

const Endpoint& DialPlan::take(TimePoint now) noexcept {
  last_ = now;
  return endpoints_[next_++];
}

std::optional<TimePoint> DialPlan::next_at() const noexcept {
  if (!has_next()) return std::nullopt;
  return last_ + attempt_delay;
}

}  // namespace norikv::transport::h2
