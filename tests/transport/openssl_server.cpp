#include "transport/openssl_server.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace norikv::test {

bool OpensslServer::available() {
  static const bool found = std::system("openssl version >/dev/null 2>&1") == 0;  // NOLINT(cert-env33-c)
  return found;
}

OpensslServer::OpensslServer(const Identity& identity, const std::vector<std::string>& options,
                             RawPeer::Script script) {
  folder_.write("ca.pem", certificates().ca);
  folder_.write("cert.pem", identity.certificate);
  folder_.write("key.pem", identity.key);
  start(options);
  std::string said = line_with("ACCEPT ");
  if (said.empty()) throw std::runtime_error("openssl s_server: " + folder_.read("errors"));
  said.pop_back();
  address_ = said.substr(said.rfind(' ') + 1);
  thread_ = std::thread([this, script = std::move(script)] { serve(script); });
}

void OpensslServer::start(const std::vector<std::string>& options) {
  // `timeout` ends it if we don't live to do so.
  std::vector<std::string> words{"timeout",     "60",    "openssl",  "s_server", "-accept",
                                 "127.0.0.1:0", "-cert", "cert.pem", "-key",     "key.pem"};
  words.insert(words.end(), options.begin(), options.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("no socketpair");
  talk_ = ends[0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder_.path().c_str());
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "errors", O_WRONLY | O_CREAT, 0600);
  const int error = posix_spawnp(&process_, arguments.front(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) process_ = -1;
}

OpensslServer::~OpensslServer() {
  if (process_ > 0) {
    kill(process_, SIGTERM);
    waitpid(process_, nullptr, 0);
  }
  shutdown(talk_, SHUT_RDWR);
  if (thread_.joinable()) thread_.join();
  close(talk_);
}

std::string OpensslServer::line_with(std::string_view words) const {
  std::string line;
  for (char next = 0; recv(talk_, &next, 1, 0) == 1;) {
    line += next;
    if (next != '\n') continue;
    if (line.find(words) != std::string::npos) return line;
    line.clear();
  }
  return {};
}

void OpensslServer::serve(const RawPeer::Script& script) {
  // The last thing that it says about a handshake that succeeded.
  if (line_with("Secure Renegotiation").empty()) return;
  RawConnection connection(talk_);
  script(connection);
}

}  // namespace norikv::test
