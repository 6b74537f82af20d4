#include "cli/stop.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <initializer_list>

namespace norikv::cli {
namespace {

// A signal handler can reach nothing but these.
std::array<int, 2> wake_pipe{-1, -1};
volatile std::sig_atomic_t stop_requested = 0;

void poke() {
  const int saved = errno;
  const char byte = 0;
  (void)!::write(wake_pipe[1], &byte, 1);  // a full pipe wakes as well
  errno = saved;
}

extern "C" void on_stop_signal(int /*signal*/) {
  stop_requested = 1;
  poke();
}

constexpr std::initializer_list<int> stop_signals{SIGINT, SIGTERM};

void mask_stop_signals(int how) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : stop_signals) sigaddset(&set, signal);
  (void)pthread_sigmask(how, &set, nullptr);
}

}  // namespace

Stop::Stop() {
  mask_stop_signals(SIG_BLOCK);
  if (::pipe(wake_pipe.data()) == 0) {
    for (const int end : wake_pipe) {
      (void)::fcntl(end, F_SETFL, O_NONBLOCK);
      (void)::fcntl(end, F_SETFD, FD_CLOEXEC);
    }
  }
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // and no SA_RESTART: a write that blocks shall end
  for (const int signal : stop_signals) (void)sigaction(signal, &action, nullptr);
}

Stop::~Stop() {
  for (const int signal : stop_signals) (void)std::signal(signal, SIG_DFL);
  for (int& end : wake_pipe) {
    (void)::close(end);
    end = -1;
  }
}

void Stop::listen() { mask_stop_signals(SIG_UNBLOCK); }

bool Stop::requested() const { return stop_requested != 0; }

void Stop::wake() const { poke(); }

void Stop::wait() { (void)wait_for(false); }

bool Stop::wait_with_reader() { return wait_for(true); }

bool Stop::wait_for(bool reader) {
  // POLLERR, which is what a closed pipe says, is always asked for; POLLHUP is what a terminal says.
  std::array<pollfd, 2> watched{pollfd{wake_pipe[0], POLLIN, 0}, pollfd{reader ? STDOUT_FILENO : -1, 0, 0}};
  if (::poll(watched.data(), watched.size(), -1) < 0) return true;  // interrupted: the handler has run
  std::array<char, 64> bytes{};
  while (::read(wake_pipe[0], bytes.data(), bytes.size()) > 0) {
  }
  return (watched[1].revents & (POLLERR | POLLHUP | POLLNVAL)) == 0;
}

}  // namespace norikv::cli
