#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include <norikv/types.hpp>

namespace norikv::test {

/// Another process that runs one hidden test case of this program: a server or a client that shares nothing with us.
/// It ends when this object does, for its input ends then.
class Process {
 public:
  /// `settings` are "NAME=value" and come on top of our environment.
  Process(const std::string& test_case, std::vector<std::string> settings);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  void write_line(const std::string& line) const;
  /// The next line that the process told; none if it ended, or said nothing for so long.
  [[nodiscard]] std::optional<std::string> read_line(Duration limit);

 private:
  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  std::string buffer_;
};

// In the other process.

/// A line of the parent's; none when it is gone.
[[nodiscard]] std::optional<std::string> line_of_parent();
void tell_parent(const std::string& line);
[[nodiscard]] std::string setting(const char* name);

/// A process with a cluster of one node and 4 shards; tells its address.
[[nodiscard]] inline Process server_process() { return Process{"A server for another process", {}}; }

}  // namespace norikv::test
