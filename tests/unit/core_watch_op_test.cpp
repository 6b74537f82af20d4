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
    CHECK(watch.on_timer(start + expected, 1.0).open);
    expected = std::min<Duration>(2 * expected, 2s);
  }
}

TEST_CASE("A view forgives the failures before it") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  for (int i = 0; i < 5; ++i) static_cast<void>(watch.on_end(start, 1.0));
  static_cast<void>(watch.on_timer(start, 1.0));
  static_cast<void>(watch.on_view(start));
  CHECK(watch.failures() == 0);
  CHECK(watch.on_end(start, 1.0).retry_in == Duration{100ms});
}

TEST_CASE("Silence is told once, and ends with the next view") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  static_cast<void>(watch.on_view(start));
  const auto step = watch.on_timer(start + 3s, 1.0);
  CHECK(step.news == ConnectionState::silent);
  CHECK_FALSE(step.open);
  CHECK(step.wake_at == start + 3100ms);
  CHECK_FALSE(watch.on_timer(start + 3100ms, 1.0).news);
  CHECK(watch.state() == ConnectionState::silent);
  CHECK(watch.on_view(start + 5s).news == ConnectionState::connected);
}

TEST_CASE("A silent stream is opened again after a pause that grows to the cap") {
  WatchOp watch{ConnectionOptions{}};
  TimePoint now = start;
  static_cast<void>(watch.start(now));
  now = *watch.on_timer(now + 3s, 1.0).wake_at;
  Duration pause = 100ms;
  for (int i = 0; i < 8; ++i) {
    const auto step = watch.on_timer(now, 1.0);
    CHECK(step.open);
    CHECK_FALSE(step.news);
    pause = std::min<Duration>(2 * pause, 2s);
    CHECK(step.wake_at == now + 3s + pause);
    now = *step.wake_at;
  }
  static_cast<void>(watch.on_view(now));
  CHECK(watch.on_timer(now + 3s, 1.0).wake_at == now + 3100ms);
}

TEST_CASE("A silent stream that speaks within the pause is kept") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  static_cast<void>(watch.on_timer(start + 3s, 1.0));
  const auto step = watch.on_view(start + 3050ms);
  CHECK(step.wake_at == start + 6050ms);
  CHECK_FALSE(watch.on_timer(start + 6049ms, 1.0).open);
}

TEST_CASE("A stream that is opened in the place of another one is connecting, which is told once") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  CHECK_FALSE(watch.start(start).news);
  static_cast<void>(watch.on_view(start));
  CHECK(watch.start(start).news == ConnectionState::connecting);
}

TEST_CASE("A stream that was just opened is not silent yet") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  const auto early = watch.on_timer(start + 3s - 1ns, 1.0);
  CHECK_FALSE(early.news);
  CHECK(early.wake_at == start + 3s);
  CHECK(watch.on_timer(start + 3s, 1.0).news == ConnectionState::silent);
}

TEST_CASE("A wake-up that comes early is told when to come again") {
  WatchOp watch{ConnectionOptions{}};
  static_cast<void>(watch.start(start));
  static_cast<void>(watch.on_view(start + 1s));
  const auto step = watch.on_timer(start + 3s, 1.0);
  CHECK_FALSE(step.news);
  CHECK(step.wake_at == start + 4s);
}
