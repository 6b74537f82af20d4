#include "cli/load.hpp"

#include <sys/resource.h>

#include <chrono>
#include <future>
#include <limits>

#include <fmt/format.h>

namespace norikv::cli {
namespace {

using Clock = TimePoint::clock;

/// What the keys outlive the load by.
constexpr auto spare_ttl = std::chrono::hours{1};

double own_cpu_seconds() {
  rusage usage{};
  (void)getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

Load::Load(Client& client, const Bench& bench, LoadPlan plan)
    : client_(client), bench_(bench), plan_(plan), value_(bench.value_bytes, 'v') {
  keys_.reserve(bench.keys);
  for (std::uint32_t number = 0; number < bench.keys; ++number) {
    keys_.push_back(fmt::format("{}{}", bench.prefix, number));
  }
  put_options_.ttl = std::min<Duration>(bench.time + spare_ttl, max_duration);
}

void Load::tick() {
  client_.post([this] {
    if (!began_) {
      began_ = Clock::now();
      cpu_at_begin_ = own_cpu_seconds();
    }
    start_due();
  });
}

void Load::finish() {
  std::promise<void> ended;
  client_.post([this] {
    finished_ = true;
    if (!began_) return;
    result_.seconds = std::chrono::duration<double>(Clock::now() - *began_).count();
    result_.cpu_seconds = own_cpu_seconds() - cpu_at_begin_;
  });
  client_.drain([&ended] { ended.set_value(); });
  ended.get_future().wait();
}

void Load::start_due() {
  const std::uint64_t all = plan_.operations.value_or(std::numeric_limits<std::uint64_t>::max());
  const TimePoint now = Clock::now();
  while (!finished_ && in_flight_ < bench_.in_flight && started_ < all) {
    TimePoint due = now;
    if (plan_.rate) {
      const double seconds = static_cast<double>(started_) / *plan_.rate;
      due = *began_ + std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(seconds));
      if (due > now) return;
    }
    start(due);
  }
}

void Load::start(TimePoint due) {
  const std::string& key = keys_[started_++ % keys_.size()];
  ++in_flight_;
  if (plan_.verb == Verb::put) {
    client_.put(key, value_, put_options_,
                [this, due](const Result<Written>& written) { on_end(due, written ? nullptr : &written.error()); });
    return;
  }
  client_.get(key, [this, due](const Result<std::optional<Entry>>& found) {
    if (found && !*found && !finished_) ++result_.missing;
    on_end(due, found ? nullptr : &found.error());
  });
}

void Load::on_end(TimePoint due, const Error* error) {
  --in_flight_;
  if (finished_) return;
  if (error != nullptr) {
    // The next tick starts another one: what fails at once shall not keep a core busy.
    ++failed_;
    ++result_.errors[std::string{to_string(error->code)}];
    if (!first_error_) first_error_ = *error;
    return;
  }
  result_.latencies.add(std::chrono::duration_cast<Duration>(Clock::now() - due));
  ++succeeded_;
  const bool more = !plan_.operations || started_ < *plan_.operations;
  if (plan_.rate) {
    start_due();
  } else if (more) {
    start(Clock::now());
  }
}

}  // namespace norikv::cli
