#include "core/collision_detector.hpp"

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1h};

CollisionDetector::Write write(std::uint64_t operation, std::uint64_t index, Duration begin, Duration end,
                               std::size_t node = 0) {
  return {operation, node, {0, index}, start + begin, start + end};
}

std::optional<CollisionDetector::Write> acknowledge(CollisionDetector& detector, std::uint32_t shard,
                                                    const CollisionDetector::Write& acknowledged) {
  const auto other = detector.find(shard, acknowledged);
  detector.remember(shard, acknowledged);
  return other;
}

}  // namespace

TEST_CASE("Two overlapping writes of one version collide") {
  CollisionDetector detector;
  CHECK_FALSE(acknowledge(detector, 1, write(1, 5, 0ms, 100ms)));
  const auto other = acknowledge(detector, 1, write(2, 5, 2ms, 102ms));
  REQUIRE(other);
  CHECK(other->operation == 1);
}

TEST_CASE("Different versions, shards or nodes do not collide") {
  CollisionDetector detector;
  CHECK_FALSE(acknowledge(detector, 1, write(1, 5, 0ms, 100ms)));
  CHECK_FALSE(acknowledge(detector, 1, write(2, 6, 2ms, 102ms)));
  CHECK_FALSE(acknowledge(detector, 2, write(3, 5, 2ms, 102ms)));
  CHECK_FALSE(acknowledge(detector, 1, write(4, 5, 2ms, 102ms, 1)));
}

TEST_CASE("Writes one after the other may share a version: the server was restarted in between") {
  CollisionDetector detector;
  CHECK_FALSE(acknowledge(detector, 1, write(1, 5, 0ms, 100ms)));
  CHECK_FALSE(acknowledge(detector, 1, write(2, 5, 100ms, 200ms)));
}

TEST_CASE("What was forgotten collides with nothing") {
  CollisionDetector detector;
  CHECK_FALSE(acknowledge(detector, 1, write(1, 5, 0ms, 100ms)));
  detector.forget(1);
  CHECK(detector.size() == 0);
  CHECK_FALSE(acknowledge(detector, 1, write(2, 5, 2ms, 102ms)));
}

TEST_CASE("The last of many overlapping writes is compared with all of them") {
  CollisionDetector detector;
  for (std::uint64_t i = 0; i < 63; ++i) CHECK_FALSE(acknowledge(detector, 1, write(i, i, 0ms, 100ms)));
  const auto other = acknowledge(detector, 1, write(100, 0, 1ms, 101ms));
  REQUIRE(other);
  CHECK(other->operation == 0);
}
