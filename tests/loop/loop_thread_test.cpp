#include <csignal>
#include <cstdlib>
#include <future>
#include <optional>
#include <string>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/event_loop.hpp"
#include "seams.hpp"
#include "support/catch.hpp"
#include "support/resources.hpp"

#include <uv.h>

using namespace norikv::test;
using norikv::loop::EventLoop;
using norikv::loop::LoopThread;
using norikv::loop::TurnHandler;

namespace {

/// What owns an event loop on a thread of its own in the library: kept alive by that thread.
struct Core final : TurnHandler {
  Core() {
    int error = 0;
    thread = LoopThread::create(error);
    REQUIRE(thread);
    loop = EventLoop::create(thread->loop(), *this, error);
    REQUIRE(loop);
    loop->hold(true);
  }
  ~Core() { destroyed.set_value(std::this_thread::get_id()); }

  void on_turn() override {}

  /// [any thread] Closes the event loop, which ends the thread.
  void finish() {
    REQUIRE(loop->post([this] { loop->close([this] { loop.reset(); }); }));
  }

  std::unique_ptr<LoopThread> thread;
  std::unique_ptr<EventLoop> loop;
  std::promise<std::thread::id> destroyed;
};

/// The signal that ended a child which ran `body`; 0 if it ran to its end.
template <class Body>
int signal_of(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);
    std::signal(SIGABRT, SIG_DFL);
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/// Counts the threads of the process at its start; waits for all later ones to end. What is detached can't be joined.
class Threads {
 public:
  Threads() {
    std::thread([] {}).join();  // a sanitizer starts one of its own along with the first
    before_ = threads();
  }
  [[nodiscard]] bool all_ended() const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (threads() > before_) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  std::ptrdiff_t before_ = 0;
};

}  // namespace

TEST_CASE("A thread of its own runs what is posted, until the event loop is closed", "[thread]") {
  auto core = std::make_shared<Core>();
  REQUIRE(core->thread->start(core) == 0);
  std::promise<bool> ran;
  REQUIRE(core->loop->post([&] { ran.set_value(core->loop->on_loop_thread()); }));
  CHECK(ran.get_future().get());
  CHECK_FALSE(core->loop->on_loop_thread());
  core->finish();
  core->thread->join();
  CHECK(core.use_count() == 1);
}

TEST_CASE("The thread has a name and leaves the host's signals alone", "[thread]") {
  auto core = std::make_shared<Core>();
  REQUIRE(core->thread->start(core) == 0);
  struct Seen {
    std::string name;
    bool terminate_blocked = false, child_blocked = false, fault_blocked = true;
  };
  std::promise<Seen> seen;
  REQUIRE(core->loop->post([&] {
    char name[32] = {};
    pthread_getname_np(pthread_self(), name, sizeof name);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    seen.set_value({name, sigismember(&blocked, SIGTERM) == 1, sigismember(&blocked, SIGCHLD) == 1,
                    sigismember(&blocked, SIGSEGV) == 1});
  }));
  const Seen result = seen.get_future().get();
  CHECK(result.name == "norikv-loop");
  CHECK(result.terminate_blocked);
  CHECK(result.child_blocked);
  CHECK_FALSE(result.fault_blocked);
  sigset_t here;
  pthread_sigmask(SIG_SETMASK, nullptr, &here);
  CHECK(sigismember(&here, SIGTERM) == 0);
  core->finish();
  core->thread->join();
}

TEST_CASE("Joining on the thread itself lets it end alone", "[thread]") {
  const Threads threads;
  auto core = std::make_shared<Core>();
  auto destroyed = core->destroyed.get_future();
  std::promise<int> state;
  REQUIRE(core->loop->post([&state, raw = core.get()] {
    raw->thread->join();
    pthread_attr_t attributes;
    int detached = -1;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getdetachstate(&attributes, &detached);
    pthread_attr_destroy(&attributes);
    state.set_value(detached);
  }));
  REQUIRE(core->thread->start(core) == 0);  // the task may come first
  CHECK(state.get_future().get() == PTHREAD_CREATE_DETACHED);
  core->finish();
  core->thread->join();
  core.reset();
  destroyed.get();
  CHECK(threads.all_ended());
}

TEST_CASE("A thread object may be destroyed on its own thread, by what the thread kept alive", "[thread]") {
  const Threads threads;
  for (int round = 0; round < 100; ++round) {
    auto core = std::make_shared<Core>();
    auto destroyed = core->destroyed.get_future();
    REQUIRE(core->thread->start(core) == 0);
    Core* raw = core.get();
    std::thread([core = std::move(core)]() mutable { core.reset(); }).join();
    raw->finish();
    const bool elsewhere = destroyed.get() != std::this_thread::get_id();
    CHECK(elsewhere);
  }
  CHECK(threads.all_ended());
}

TEST_CASE("A thread whose loop has nothing to do ends at once, while start still returns", "[thread]") {
  for (int round = 0; round < 300; ++round) {
    int error = 0;
    auto thread = LoopThread::create(error);
    REQUIRE(thread);
    auto kept = std::make_shared<int>();
    const std::weak_ptr<int> watched = kept;
    REQUIRE(thread->start(std::move(kept)) == 0);
    thread->join();
    CHECK(watched.expired());
  }
}

TEST_CASE("What the thread keeps alive goes last, after the loop was closed", "[thread]") {
  int error = 0;
  LoopThread::create(error).reset();  // the first loop of a process opens descriptors that stay
  const auto files = descriptors();
  auto thread = LoopThread::create(error);
  REQUIRE(thread);
  CHECK(descriptors() > files);
  std::ptrdiff_t files_at_end = 0;
  const auto last = [&](void*) { files_at_end = descriptors(); };
  REQUIRE(thread->start(std::shared_ptr<void>(nullptr, last)) == 0);
  thread->join();
  CHECK(files_at_end == files);
}

TEST_CASE("A loop that never got its thread is closed with it", "[thread]") {
  auto core = std::make_shared<Core>();
  bool done = false;
  core->loop->close([&] {
    core->loop.reset();
    done = true;
  });
  core->thread.reset();
  CHECK(done);
}

TEST_CASE("A system without a thread to give is an error, and the event loop can still be closed", "[thread]") {
  auto core = std::make_shared<Core>();
  seams::refuse_threads = true;
  const int error = core->thread->start(core);
  seams::refuse_threads = false;
  CHECK(error == UV_EAGAIN);
  CHECK(core.use_count() == 1);
  core->loop->close([&] { core->loop.reset(); });
  core->thread.reset();
  CHECK_FALSE(core->loop);
}

TEST_CASE("Threads and descriptors come back", "[thread]") {
  const auto cycle = [] {
    auto core = std::make_shared<Core>();
    REQUIRE(core->thread->start(core) == 0);
    core->finish();
    core->thread->join();
  };
  cycle();
  const Threads threads;
  const auto files = descriptors();
  for (int i = 0; i < 100; ++i) cycle();
  CHECK(threads.all_ended());
  CHECK(descriptors() == files);
}

TEST_CASE("A handle that is left on the own loop ends the process", "[thread]") {
  CHECK(signal_of([] {
          int error = 0;
          auto thread = LoopThread::create(error);
          uv_async_t left;
          uv_async_init(thread->loop(), &left, nullptr);
          uv_unref(reinterpret_cast<uv_handle_t*>(&left));
          static_cast<void>(thread->start(nullptr));
          thread->join();
        }) == SIGABRT);
}

TEST_CASE("An event loop that is destroyed without being closed ends the process", "[thread]") {
  CHECK(signal_of([] {
          Core core;
          core.loop.reset();
        }) == SIGABRT);
}

TEST_CASE("A forked child forgets the thread that it does not have", "[thread]") {
  auto core = std::make_shared<Core>();
  REQUIRE(core->thread->start(core) == 0);
  const int joins = seams::joins;
  CHECK(signal_of([&] {
          alarm(10);
          core->thread->abandon();
          core->thread.reset();
          if (seams::joins != joins) std::abort();
        }) == 0);
  core->finish();
  core->thread->join();
}
