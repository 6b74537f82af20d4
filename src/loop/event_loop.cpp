#include "loop/event_loop.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include <uv.h>

#include "loop/mailbox.hpp"

namespace norikv::loop {
namespace {

using std::chrono::milliseconds;

// Longer waits are cut into pieces: when the timer fires, the real clock decides.
constexpr milliseconds longest_wait = std::chrono::hours{24};

struct Handles {
  uv_async_t async{};
  uv_timer_t timer{};
};

template <class Handle>
uv_handle_t* base(Handle* handle) noexcept {
  return reinterpret_cast<uv_handle_t*>(handle);
}

template <class Handle>
bool closing(const Handle& handle) noexcept {
  return uv_is_closing(reinterpret_cast<const uv_handle_t*>(&handle)) != 0;
}

}  // namespace

/// The handles and what is decided about them. Owned by the `EventLoop`, on the loop's thread but for the mailbox and
/// the two atomics.
///
/// A host that walks its loop may close our handles. They are then replaced as soon as there is something to carry
/// (`revive_if_closed`); the old ones stay in `blocks` to the end, for nobody tells when libuv is through with them.
struct EventLoop::State {
  State(uv_loop_t* on, TurnHandler& handles_turns) : loop(on), handler(handles_turns) {}

  int open();
  void turn();
  void on_timer();
  void start_timer();
  void apply_hold();
  void tasks_are_known();
  void revive_if_closed();
  void close_handles(Handles& block);
  void start_farewell();
  void on_farewell();
  void record_thread();
  [[nodiscard]] bool on_thread() const noexcept;

  uv_loop_t* const loop;
  TurnHandler& handler;
  Mailbox mailbox;
  std::atomic<std::thread::id> thread{};
  std::atomic<Handles*> handles{nullptr};  // the last of `blocks`; atomic for `owns`
  std::vector<std::unique_ptr<Handles>> blocks;

  std::optional<TimePoint> timer_at;
  std::optional<TimePoint> started_for;  // what the timer runs for: `timer_at`, or earlier
  bool measured = false;
  Turn current;
  bool held = false;
  bool task_known = true;  // the first turn is owed like a task

  UniqueFunction<void()> done;
  bool closing_down = false;
  bool gone = false;
  int closes_pending = 0;
  int farewells = 0;
  uv_timer_t farewell{};
};

// --- opening and replacing handles ---

int EventLoop::State::open() {
  auto fresh = std::make_unique<Handles>();
  const int error =
      uv_async_init(loop, &fresh->async, [](uv_async_t* async) { static_cast<State*>(async->data)->turn(); });
  if (error != 0) return error;
  uv_timer_init(loop, &fresh->timer);  // has no way to fail
  fresh->async.data = this;
  fresh->timer.data = this;
  uv_unref(base(&fresh->timer));
  handles = fresh.get();
  blocks.push_back(std::move(fresh));
  mailbox.open(&handles.load()->async);
  return 0;
}

void EventLoop::State::revive_if_closed() {
  Handles& old = *handles;
  if (closing_down || (!closing(old.async) && !closing(old.timer))) return;
  if (open() != 0) return;  // out of descriptors; `close` gets by without
  close_handles(old);
  apply_hold();
  if (timer_at) start_timer();
}

void EventLoop::State::close_handles(Handles& block) {
  for (uv_handle_t* handle : {base(&block.async), base(&block.timer)}) {
    if (uv_is_closing(handle) != 0) continue;
    ++closes_pending;
    uv_close(handle, [](uv_handle_t* closed) { --static_cast<State*>(closed->data)->closes_pending; });
  }
}

// --- turns ---

void EventLoop::State::turn() {
  record_thread();
  const std::optional<TimePoint> asked_for = mailbox.fetch();
  if (measured) {
    current = {std::chrono::steady_clock::now(), std::nullopt, std::nullopt, 0};
    if (asked_for) current.queue_lag = current.began - *asked_for;
  }
  current.tasks = mailbox.run(tasks_per_turn);
  if (closing_down) return;
  handler.on_turn();
  mailbox.wake_for_rest();
  task_known = !mailbox.empty();
  apply_hold();
}

void EventLoop::State::record_thread() {
  const auto self = std::this_thread::get_id();
  if (thread.load(std::memory_order_relaxed) != self) thread.store(self, std::memory_order_relaxed);
}

bool EventLoop::State::on_thread() const noexcept {
  // Relaxed: nobody but this thread stores its own id.
  return thread.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void EventLoop::State::apply_hold() {
  uv_handle_t* async = base(&handles.load()->async);
  if (closing_down || uv_is_closing(async) != 0) return;
  if (held || task_known) {
    uv_ref(async);
  } else {
    uv_unref(async);
  }
}

void EventLoop::State::tasks_are_known() {
  task_known = true;
  revive_if_closed();
  apply_hold();
}

// --- the timer ---

void EventLoop::State::start_timer() {
  uv_timer_t& timer = handles.load()->timer;
  const auto now = std::chrono::steady_clock::now();
  if (*timer_at <= now) {
    // Not a timer of zero: set again whenever it fires, it would keep older libuv inside its timers for ever.
    timer_at.reset();
    started_for.reset();
    uv_timer_stop(&timer);
    mailbox.wake();
    return;
  }
  const auto wait = std::min(std::chrono::ceil<milliseconds>(*timer_at - now), longest_wait);
  started_for = timer_at;
  uv_update_time(loop);  // a wait counts from the loop's cached time, which is as old as the callbacks before us took
  uv_timer_start(        // refused if a host closed the timer; `timer_at` is kept
      &timer, [](uv_timer_t* fired) { static_cast<State*>(fired->data)->on_timer(); },
      static_cast<std::uint64_t>(wait.count()), 0);
}

void EventLoop::State::on_timer() {
  record_thread();
  const TimePoint now = std::chrono::steady_clock::now();
  if (now < *timer_at) return start_timer();  // it was put off, or libuv's clock is coarse
  if (measured) current = {now, std::nullopt, now - *timer_at, 0};
  timer_at.reset();
  started_for.reset();
  handler.on_turn();
}

// --- closing ---

void EventLoop::State::start_farewell() {
  uv_timer_init(loop, &farewell);
  farewell.data = this;
  uv_close(base(&farewell), [](uv_handle_t* handle) { static_cast<State*>(handle->data)->on_farewell(); });
}

// One round per iteration of the loop. A handle that the host closed is through at the end of the iteration, but not
// yet in the first round if that is the same one, because libuv finishes the newest first.
void EventLoop::State::on_farewell() {
  record_thread();
  mailbox.fetch();
  mailbox.run(tasks_per_turn);
  if (++farewells < 2 || closes_pending > 0 || !mailbox.try_seal()) return start_farewell();
  handles = nullptr;
  blocks.clear();
  gone = true;
  auto last = std::move(done);
  last();
}

// --- EventLoop ---

EventLoop::EventLoop(std::unique_ptr<State> state) : state_(std::move(state)) {}

EventLoop::~EventLoop() {
  if (state_->gone) return;
  std::fputs("norikv: an event loop was destroyed before it was closed\n", stderr);
  std::abort();
}

std::unique_ptr<EventLoop> EventLoop::create(uv_loop_s* loop, TurnHandler& handler, int& error) {
  auto state = std::make_unique<State>(loop, handler);
  error = state->open();
  if (error != 0) return nullptr;
  state->mailbox.wake();
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(state)));
}

bool EventLoop::post(Task& task) {
  // Asked first: another thread's task may be run, and this object destroyed by it, before `post` returns.
  const bool here = state_->on_thread();
  if (!state_->mailbox.post(task)) return false;
  if (here && !state_->closing_down) state_->tasks_are_known();
  return true;
}

bool EventLoop::on_loop_thread() const noexcept { return state_->on_thread(); }

bool EventLoop::may_start_directly() const noexcept { return state_->on_thread() && state_->mailbox.empty(); }

void EventLoop::leave_rest() noexcept { state_->mailbox.leave_rest(); }

void EventLoop::wake() { state_->mailbox.wake(); }

void EventLoop::turn_now() { state_->turn(); }

bool EventLoop::held() const noexcept { return state_->held; }

uv_loop_s* EventLoop::raw() const noexcept { return state_->loop; }

void EventLoop::measure() {
  state_->measured = true;
  state_->mailbox.measure();
}

const Turn& EventLoop::turn() const noexcept { return state_->current; }

void EventLoop::set_timer(std::optional<TimePoint> at) {
  State& state = *state_;
  if (state.closing_down || at == state.timer_at) return;
  state.timer_at = at;
  if (!at) {
    state.started_for.reset();
    uv_timer_stop(&state.handles.load()->timer);
  } else if (!state.started_for || *at < *state.started_for) {
    state.start_timer();
  }  // else it finds out when it fires: with every operation the next deadline moves on
}

void EventLoop::hold(bool keep_alive) {
  State& state = *state_;
  if (state.closing_down) return;
  state.held = keep_alive;
  if (keep_alive) state.revive_if_closed();
  state.apply_hold();
}

void EventLoop::close(UniqueFunction<void()> done) {
  State& state = *state_;
  assert(!state.closing_down);
  state.closing_down = true;
  state.done = std::move(done);
  state.mailbox.shut();
  state.close_handles(*state.handles);
  state.start_farewell();
}

bool EventLoop::owns(const uv_handle_s* handle) const noexcept {
  const Handles* handles = state_->handles;
  return handles != nullptr && (handle == reinterpret_cast<const uv_handle_t*>(&handles->async) ||
                                handle == reinterpret_cast<const uv_handle_t*>(&handles->timer));
}

}  // namespace norikv::loop
