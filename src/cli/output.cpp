#include "cli/output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

#include <fmt/format.h>

namespace norikv::cli {
namespace {

/// Whether to try again after `errno`: a stream that somebody else made non-blocking is waited for here.
bool waited_for(int descriptor, short events) {
  pollfd watched{descriptor, events, 0};
  return (errno == EAGAIN || errno == EWOULDBLOCK) && ::poll(&watched, 1, -1) >= 0;
}

/// The errno of what went wrong, or 0.
int write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && waited_for(descriptor, POLLOUT)) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

/// The lowest free number is the one that is opened, in the direction that makes its use fail.
void open_missing_streams() {
  for (int stream = 0; stream <= 2; ++stream) {
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF) (void)::open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
  }
}

#ifdef __linux__
// gRPC opens a descriptor while its library is loaded; only this comes before.
__attribute__((section(".preinit_array"), used)) void (*const before_all_libraries)() = open_missing_streams;
#endif

}  // namespace

void prepare_streams() {
  open_missing_streams();
  (void)std::signal(SIGPIPE, SIG_IGN);
}

Outcome<void> write_stdout(std::string_view bytes) {
  if (const int error = write_all(STDOUT_FILENO, bytes)) {
    return tl::unexpected(system_failure("can't write to stdout", error));
  }
  return {};
}

void write_stderr(std::string_view line) { (void)write_all(STDERR_FILENO, fmt::format("{}\n", line)); }

void show_progress(std::string_view line) {
  if (::isatty(STDERR_FILENO) == 1) (void)write_all(STDERR_FILENO, fmt::format("\r\x1b[K{}", line));
}

bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

Outcome<std::string> read_stdin(std::size_t limit) {
  std::string bytes;
  std::array<char, 65536> chunk{};
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (count == 0) return bytes;
    if (count < 0 && waited_for(STDIN_FILENO, POLLIN)) continue;
    if (count < 0) return tl::unexpected(system_failure("can't read the value from stdin", errno));
    bytes.append(chunk.data(), static_cast<std::size_t>(count));
    if (bytes.size() > limit) {
      return tl::unexpected(usage_failure(
          fmt::format("the value on stdin is larger than {} bytes, the most the server takes: split it", limit)));
    }
  }
}

}  // namespace norikv::cli
