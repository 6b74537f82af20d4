#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

#include <pthread.h>
#include <uv.h>

#include "loop/event_loop.hpp"

namespace norikv::loop {
namespace {

/// All signals are the host's business, but for those that a thread raises by its own fault: blocked, they would kill
/// without a trace.
sigset_t signals_of_the_host() noexcept {
  sigset_t signals;
  sigfillset(&signals);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&signals, fault);
  return signals;
}

void name_this_thread(const char* name) noexcept {
#ifdef __APPLE__
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
}

struct CloseLoop {
  void operator()(uv_loop_t* loop) const {
    if (uv_loop_close(loop) != 0) {
      std::fputs("norikv: handles were left on the client's own loop:\n", stderr);
      uv_print_all_handles(loop, stderr);
      std::abort();  // they would be freed under libuv's feet
    }
    delete loop;
  }
};
using OwnedLoop = std::unique_ptr<uv_loop_t, CloseLoop>;

}  // namespace

/// Owned by the `LoopThread`. The thread owns the loop from its start on, so that nothing here is touched when it ends:
/// `keep_alive` may own this object.
struct LoopThread::State {
  OwnedLoop unstarted;
  uv_loop_t* loop = nullptr;
  std::mutex starting;  // held until `thread` is written
  pthread_t thread{};
  bool joinable = false;
};

namespace {

struct Body {
  OwnedLoop loop;
  std::shared_ptr<void> keep_alive;
  std::mutex& starting;

  void run() {
    { const std::lock_guard started(starting); }
    name_this_thread("norikv-loop");
    while (uv_run(loop.get(), UV_RUN_DEFAULT) != 0) continue;  // not ours to be stopped by uv_stop
    loop.reset();
    keep_alive.reset();
  }
};

}  // namespace

LoopThread::LoopThread(std::unique_ptr<State> state) : state_(std::move(state)) {}

LoopThread::~LoopThread() {
  join();
  // Never started: what was closed on it still has to be told.
  if (state_->unstarted) uv_run(state_->unstarted.get(), UV_RUN_DEFAULT);
}

std::unique_ptr<LoopThread> LoopThread::create(int& error) {
  auto loop = std::make_unique<uv_loop_t>();
  error = uv_loop_init(loop.get());
  if (error != 0) return nullptr;
  auto state = std::make_unique<State>();
  state->loop = loop.get();
  state->unstarted.reset(loop.release());
  return std::unique_ptr<LoopThread>(new LoopThread(std::move(state)));
}

uv_loop_s* LoopThread::loop() noexcept { return state_->loop; }

int LoopThread::start(std::shared_ptr<void> keep_alive) {
  const std::lock_guard starting(state_->starting);
  auto body = std::unique_ptr<Body>(new Body{std::move(state_->unstarted), std::move(keep_alive), state_->starting});
  const sigset_t blocked = signals_of_the_host();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &blocked, &before);  // inherited: there is no moment without it
  const int error = pthread_create(
      &state_->thread, nullptr,
      [](void* argument) -> void* {
        std::unique_ptr<Body>(static_cast<Body*>(argument))->run();
        return nullptr;
      },
      body.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    state_->unstarted = std::move(body->loop);
    return uv_translate_sys_error(error);
  }
  static_cast<void>(body.release());  // the thread's now
  state_->joinable = true;
  return 0;
}

void LoopThread::join() {
  if (!std::exchange(state_->joinable, false)) return;
  if (pthread_equal(state_->thread, pthread_self()) != 0) {
    pthread_detach(state_->thread);
  } else {
    pthread_join(state_->thread, nullptr);
  }
}

void LoopThread::abandon() noexcept { state_->joinable = false; }

}  // namespace norikv::loop
