#include "client/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "client/guest.hpp"

extern char** environ;

namespace norikv::test {
namespace {

constexpr int telling = 3;  // the descriptor through which a child tells

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return ends;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

void write_all(int descriptor, const std::string& text) {
  if (write(descriptor, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
}

}  // namespace

Process::Process(const std::string& test_case, std::vector<std::string> settings) {
  const auto input = make_pipe();
  const auto output = make_pipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output[1], telling);
  std::vector<std::string> arguments{"client_tests", test_case};
  for (char** variable = environ; *variable != nullptr; ++variable) settings.emplace_back(*variable);
  const int error =
      posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, pointers(arguments).data(), pointers(settings).data());
  posix_spawn_file_actions_destroy(&actions);
  close(input[0]);
  close(output[1]);
  to_ = input[1];
  from_ = output[0];
  if (error != 0) throw std::runtime_error("no process");
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      to_(std::exchange(other.to_, -1)),
      from_(std::exchange(other.from_, -1)),
      buffer_(std::move(other.buffer_)) {}

Process::~Process() {
  if (pid_ < 0) return;
  close(to_);
  for (int tries = 0; tries < 500; ++tries) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    if (pid_ < 0) break;
    std::this_thread::sleep_for(10ms);
  }
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(from_);
}

void Process::write_line(const std::string& line) const { write_all(to_, line + "\n"); }

std::optional<std::string> Process::read_line(Duration limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const std::size_t stop = buffer_.find('\n');
    if (stop != std::string::npos) {
      std::string line = buffer_.substr(0, stop);
      buffer_.erase(0, stop + 1);
      return line;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd ready{from_, POLLIN, 0};
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) return std::nullopt;
    char bytes[4096];
    const ssize_t got = read(from_, bytes, sizeof bytes);
    if (got <= 0) return std::nullopt;
    buffer_.append(bytes, static_cast<std::size_t>(got));
  }
}

std::optional<std::string> line_of_parent() {
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
}

void tell_parent(const std::string& line) { write_all(telling, line + "\n"); }

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

TEST_CASE("A server for another process", "[.process]") {
  const Cluster cluster = start();
  tell_parent(cluster.addresses().front());
  while (line_of_parent()) continue;
}

}  // namespace norikv::test
