#include "core/watch_op.hpp"

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1h};

}  // namespace

TEST_CASE("A watch opens its stream at once") {
  WatchOp watch{ConnectionOptions{}};
  const auto step = watch.start(start);
  CHECK(step.open);
  CHECK(step.news == ConnectionState::connecting);
  CHECK(step.wake_at == start + 3s);
}

TEST_CASE("The first view of a stream is news, the next ones only push the silence back") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  CHECK(watch.on_view(start + 1s).news == ConnectionState::connected);
  const auto step = watch.on_view(start + 2s);
  CHECK_FALSE(step.news);
  CHECK_FALSE(step.open);
  CHECK(step.wake_at == start + 5s);
}

TEST_CASE("A stream that ends is opened again after a pause that grows to the cap") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  Duration expected = 100ms;
  for (std::uint32_t i = 0; i < 8; ++i) {
    const auto step = watch.on_end(start, 1.0);
    CHECK_FALSE(step.open);
    CHECK(step.news == ConnectionState::backing_off);
    CHECK(step.retry_in == expected);
    CHECK(step.wake_at == start + expected);
    CHECK(watch.failures() == i + 1);
    CHECK(watch.on_timer(start + expected).open);
    expected = std::min<Duration>(2 * expected, 2s);
  }
}

TEST_CASE("A view forgives the failures before it") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  for (int i = 0; i < 5; ++i) static_cast<void>(watch.on_end(start, 1.0));
  static_cast<void>(watch.on_timer(start));
  static_cast<void>(watch.on_view(start));
  CHECK(watch.failures() == 0);
  CHECK(watch.on_end(start, 1.0).retry_in == Duration{100ms});
}

TEST_CASE("Silence is told once, and ends with the next view") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  static_cast<void>(watch.on_view(start));
  const auto step = watch.on_timer(start + 3s);
  CHECK(step.news == ConnectionState::silent);
  CHECK_FALSE(step.wake_at);
  CHECK_FALSE(watch.on_timer(start + 4s).news);
  CHECK(watch.on_view(start + 5s).news == ConnectionState::connected);
}

TEST_CASE("A stream that was just opened is not silent yet") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  const auto early = watch.on_timer(start + 3s - 1ns);
  CHECK_FALSE(early.news);
  CHECK(early.wake_at == start + 3s);
  CHECK(watch.on_timer(start + 3s).news == ConnectionState::silent);
}

TEST_CASE("A wake-up that comes early is told when to come again") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  static_cast<void>(watch.on_view(start + 1s));
  const auto step = watch.on_timer(start + 3s);
  CHECK_FALSE(step.news);
  CHECK(step.wake_at == start + 4s);
}
