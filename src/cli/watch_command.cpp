#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <norikv/client.hpp>

#include "cli/commands.hpp"
#include "cli/connect.hpp"
#include "cli/events.hpp"
#include "cli/output.hpp"
#include "cli/stop.hpp"

namespace norikv::cli {
namespace {

/// Lines on their way from the client's thread to the main thread, which alone writes: a reader that is slow, or
/// stopped, holds up neither the client nor the end of the command.
class Lines {
 public:
  struct Line {
    std::string text;
    bool is_warning;
  };

  explicit Lines(const Stop& stop) : stop_(stop) {}

  void push(Line line) {
    {
      const std::lock_guard lock(mutex_);
      lines_.push_back(std::move(line));
    }
    stop_.wake();
  }

  [[nodiscard]] std::vector<Line> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  const Stop& stop_;
  std::mutex mutex_;
  std::vector<Line> lines_;
};

/// Ends well when the user said stop or when the reader of stdout has gone.
Outcome<void> print_until_stopped(Stop& stop, Lines& lines) {
  while (stop.wait_with_reader()) {
    for (const Lines::Line& line : lines.take()) {
      if (stop.requested()) return {};
      if (line.is_warning) {
        write_stderr(line.text);
      } else if (auto written = write_stdout(line.text + '\n'); !written) {
        const bool reader_is_gone = written.error().name == "broken_pipe";
        return stop.requested() || reader_is_gone ? Outcome<void>{} : written;
      }
    }
    if (stop.requested()) return {};
  }
  return {};
}

}  // namespace

Outcome<void> run(const Watch& watch, Format format) {
  Stop stop;
  Lines lines{stop};
  Outcome<Client> client = connect(watch.target);
  if (!client) return tl::unexpected(std::move(client.error()));
  const bool json = format == Format::json;
  const Subscription warnings = client->warnings().subscribe([&lines, json](const WarningEvent& event) {
    lines.push({json ? to_json(event) : to_line(event), true});
  });
  const Subscription events = client->topology().subscribe([&lines, json](const TopologyEvent& event) {
    lines.push({json ? to_json(event) : to_line(event), false});
  });
  stop.listen();
  return print_until_stopped(stop, lines);
}

}  // namespace norikv::cli
