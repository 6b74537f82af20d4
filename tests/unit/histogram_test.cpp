#include "util/histogram.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"

using namespace norikv;
using namespace std::chrono_literals;

namespace {

LatencyHistogram recorded(std::initializer_list<Duration> durations) {
  util::Histogram histogram;
  for (const Duration duration : durations) histogram.record(duration);
  return histogram.snapshot();
}

}  // namespace

TEST_CASE("A duration falls into the bucket whose bounds enclose it") {
  for (std::size_t bucket = 1; bucket < LatencyHistogram::bucket_count; ++bucket) {
    const Duration lower = LatencyHistogram::upper_bound(bucket - 1);
    const Duration upper = LatencyHistogram::upper_bound(bucket);
    REQUIRE(lower < upper);
    REQUIRE(util::bucket_of(lower) == bucket);
    REQUIRE(util::bucket_of(upper - 1ns) == bucket);
  }
}

TEST_CASE("There are four buckets per power of two, from one microsecond to over an hour") {
  CHECK(LatencyHistogram::upper_bound(0) == 1250ns);
  CHECK(LatencyHistogram::upper_bound(3) == 2us);
  CHECK(LatencyHistogram::upper_bound(7) == 4us);
  CHECK(LatencyHistogram::upper_bound(LatencyHistogram::bucket_count - 1) > 1h);
}

TEST_CASE("The first and the last bucket also take what is beyond them") {
  CHECK(util::bucket_of(0ns) == 0);
  CHECK(util::bucket_of(999ns) == 0);
  CHECK(util::bucket_of(-1s) == 0);
  CHECK(util::bucket_of(Duration::min()) == 0);
  CHECK(util::bucket_of(Duration::max()) == LatencyHistogram::bucket_count - 1);
}

TEST_CASE("A quantile is at least the exact one and at most a quarter above it") {
  util::Histogram histogram;
  for (int sample = 1; sample <= 10'000; ++sample) histogram.record(sample * 10us);
  const LatencyHistogram snapshot = histogram.snapshot();
  for (const double q : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const Duration exact = static_cast<int>(std::ceil(q * 10'000)) * 10us;
    INFO("quantile " << q);
    CHECK(snapshot.quantile(q) >= exact);
    CHECK(snapshot.quantile(q) <= exact + exact / 4);
  }
}

TEST_CASE("No quantile is above the longest sample") {
  const LatencyHistogram one = recorded({5ms});
  CHECK(one.quantile(0) == 5ms);
  CHECK(one.quantile(1) == 5ms);
  CHECK(recorded({10h}).quantile(0.5) == 10h);
}

TEST_CASE("The smallest quantile is that of the shortest sample") {
  const LatencyHistogram snapshot = recorded({1s, 10us});
  CHECK(snapshot.quantile(0) <= 12500ns);
  CHECK(snapshot.quantile(0) >= 10us);
}

TEST_CASE("Without samples every figure is zero") {
  const LatencyHistogram empty;
  CHECK(empty.quantile(0.5) == 0ns);
  CHECK(empty.mean() == 0ns);
}

TEST_CASE("A quantile outside of 0 to 1 is taken as the nearer end, and one that is not a number as 0") {
  const LatencyHistogram snapshot = recorded({10us, 1s});
  CHECK(snapshot.quantile(-1) == snapshot.quantile(0));
  CHECK(snapshot.quantile(2) == snapshot.quantile(1));
  CHECK(snapshot.quantile(std::numeric_limits<double>::quiet_NaN()) == snapshot.quantile(0));
}

TEST_CASE("A snapshot tells how many samples there were, their sum, mean and longest") {
  const LatencyHistogram snapshot = recorded({1ms, 2ms, 6ms});
  CHECK(snapshot.count == 3);
  CHECK(snapshot.sum == 9ms);
  CHECK(snapshot.mean() == 3ms);
  CHECK(snapshot.max == 6ms);
}

TEST_CASE("A negative duration counts as zero") {
  const LatencyHistogram snapshot = recorded({-5ms});
  CHECK(snapshot.count == 1);
  CHECK(snapshot.sum == 0ns);
  CHECK(snapshot.max == 0ns);
}
