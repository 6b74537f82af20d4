#include <norikv/testing/loop_runner.hpp>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <uv.h>

namespace norikv::testing {
namespace {

/// How often a condition is looked at while the loop has nothing to do: it may depend on another thread.
constexpr std::uint64_t idle_check = 2;  // milliseconds

[[noreturn]] void fail(const char* what, int error) {
  std::fprintf(stderr, "norikv::testing::LoopRunner: %s: %s\n", what, uv_strerror(error));
  std::abort();
}

TimePoint now() { return std::chrono::steady_clock::now(); }

std::string describe(const uv_handle_t* handle) {
  const char* name = uv_handle_type_name(handle->type);
  std::string text = name != nullptr ? name : "unknown";
  text += uv_is_active(handle) != 0 ? ", active" : ", inactive";
  text += uv_has_ref(handle) != 0 ? ", keeps the loop alive" : ", unreferenced";
  if (uv_is_closing(handle) != 0) text += ", closing";
  return text;
}

}  // namespace

struct LoopRunner::State {
  uv_loop_t loop;
  uv_timer_t timer;  ///< Ours: wakes the loop when it is time to look or to give up.
  bool closed = false;

  void add_timer() {
    if (const int error = uv_timer_init(&loop, &timer); error != 0) fail("uv_timer_init", error);
  }
  void start_timer(Duration first, std::uint64_t repeat) {
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(first).count();
    uv_update_time(&loop);
    uv_timer_start(
        &timer, [](uv_timer_t* self) { uv_stop(self->loop); }, wait > 0 ? static_cast<std::uint64_t>(wait) : 0, repeat);
  }

  /// The handles that are neither closed nor ours.
  std::vector<std::string> leaked() {
    struct Walk {
      const uv_timer_t* ours;
      std::vector<std::string> names;
    } walk{&timer, {}};
    uv_walk(
        &loop,
        [](uv_handle_t* handle, void* argument) {
          auto& found = *static_cast<Walk*>(argument);
          if (handle != reinterpret_cast<const uv_handle_t*>(found.ours)) found.names.push_back(describe(handle));
        },
        &walk);
    return std::move(walk.names);
  }
};

LoopRunner::LoopRunner() : state_(std::make_unique<State>()) {
  if (const int error = uv_loop_init(&state_->loop); error != 0) fail("uv_loop_init", error);
  state_->add_timer();
}

LoopRunner::~LoopRunner() {
  const std::vector<std::string> left = close();
  if (left.empty()) return;
  std::fprintf(stderr, "norikv::testing::LoopRunner: %zu handles were not closed:\n", left.size());
  for (const std::string& handle : left) std::fprintf(stderr, "  %s\n", handle.c_str());
  std::abort();
}

uv_loop_s* LoopRunner::loop() noexcept { return &state_->loop; }

bool LoopRunner::run_until(UniqueFunction<bool()> condition, Duration limit) {
  const TimePoint end = now() + limit;
  state_->start_timer(Duration{0}, idle_check);
  bool met = condition();
  while (!met && now() < end) {
    uv_run(&state_->loop, UV_RUN_ONCE);
    met = condition();
  }
  uv_timer_stop(&state_->timer);
  return met;
}

void LoopRunner::run_for(Duration time) {
  const TimePoint end = now() + time;
  for (TimePoint at = now(); at < end; at = now()) {
    state_->start_timer(end - at, 0);
    uv_run(&state_->loop, UV_RUN_DEFAULT);
  }
  uv_timer_stop(&state_->timer);
}

bool LoopRunner::run_until_idle(Duration limit) {
  const TimePoint end = now() + limit;
  auto* const timer = reinterpret_cast<uv_handle_t*>(&state_->timer);
  uv_unref(timer);
  bool alive = true;
  for (TimePoint at = now(); alive && at < end; at = now()) {
    state_->start_timer(end - at, 0);
    alive = uv_run(&state_->loop, UV_RUN_DEFAULT) != 0;
  }
  uv_timer_stop(&state_->timer);
  uv_ref(timer);
  return !alive;
}

std::vector<std::string> LoopRunner::close() {
  if (state_->closed) return {};
  auto* const timer = reinterpret_cast<uv_handle_t*>(&state_->timer);
  uv_close(timer, nullptr);
  // One turn runs the close callbacks, and those may close more.
  for (int turn = 0; turn < 4; ++turn) uv_run(&state_->loop, UV_RUN_NOWAIT);
  if (uv_loop_close(&state_->loop) == 0) {
    state_->closed = true;
    return {};
  }
  std::vector<std::string> left = state_->leaked();
  if (left.empty()) left.emplace_back("a request that has not ended");
  state_->add_timer();
  return left;
}

}  // namespace norikv::testing
