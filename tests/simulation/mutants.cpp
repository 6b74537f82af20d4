#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "simulation/world.hpp"
#include "support/patience.hpp"

// The simulation of a client that is broken on purpose: how many seeds it takes until somebody notices.
namespace norikv::simulation {

int active_mutation = 0;

}  // namespace norikv::simulation

namespace {

using namespace norikv::simulation;

struct Mutation {
  const char* name;
  const char* policy;
  const char* file;
  const char* complaint;  // why it can't be made; empty if it can
};
constexpr Mutation mutations[] = {
#include "core/mutations.inc"
};

// Long enough for any number of seeds, on a machine that is busy too; times the patience of the run.
constexpr double longest_seconds = 300;

struct Arguments {
  std::uint64_t seeds = 2000;
  std::uint64_t seed = 0;
  int only = 0;  // 0 = all
  long jobs = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  bool trace = false;
  bool list = false;
  bool ok = true;
};

Arguments parse(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--trace" || word == "--list") {
      (word == "--list" ? arguments.list : arguments.trace) = true;
      continue;
    }
    std::uint64_t number = 0;
    arguments.ok = ++i < count && std::from_chars(words[i], words[i] + std::strlen(words[i]), number).ec == std::errc{};
    if (!arguments.ok) return arguments;
    if (word == "--seeds") arguments.seeds = number;
    if (word == "--seed") arguments.seed = number;
    if (word == "--only") arguments.only = static_cast<int>(number);
    if (word == "--jobs") arguments.jobs = static_cast<long>(number);
  }
  arguments.ok = arguments.only >= 0 && arguments.only <= static_cast<int>(std::size(mutations));
  return arguments;
}

// What became of one mutation: "CHECK SEEDS" from the process that ran it, or how that one ended.
struct Caught {
  std::string check;
  std::uint64_t seeds = 0;
};

void run_seeds(int mutation, std::uint64_t seeds, int report) {
  active_mutation = mutation;
  alarm(static_cast<unsigned>(longest_seconds * norikv::test::patience()));
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Report result = run_seed(seed);
    if (!result.violation) continue;
    const std::string line = result.violation->check + " " + std::to_string(seed);
    if (write(report, line.data(), line.size()) < 0) _exit(2);
    break;
  }
  _exit(0);
}

class Runner {
 public:
  explicit Runner(const Arguments& arguments) : arguments_(arguments), caught_(std::size(mutations)) {}

  int run() {
    const int first = arguments_.only == 0 ? 1 : arguments_.only;
    const int last = arguments_.only == 0 ? static_cast<int>(std::size(mutations)) : arguments_.only;
    for (int mutation = first; mutation <= last; ++mutation) {
      if (*mutations[mutation - 1].complaint != '\0') continue;
      if (static_cast<long>(children_.size()) >= arguments_.jobs) wait_for_one();
      start(mutation);
    }
    while (!children_.empty()) wait_for_one();
    int failed = 0;
    for (int mutation = first; mutation <= last; ++mutation) failed += show(mutation) ? 0 : 1;
    std::printf("%d passed, %d failed\n", last - first + 1 - failed, failed);
    return failed > 0 ? 1 : 0;
  }

 private:
  struct Child {
    pid_t process = 0;
    int mutation = 0;
    int report = 0;
  };

  void start(int mutation) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    std::fflush(stdout);
    const pid_t process = fork();
    if (process == 0) {
      close(ends[0]);
      run_seeds(mutation, arguments_.seeds, ends[1]);
    }
    close(ends[1]);
    children_.push_back({process, mutation, ends[0]});
  }

  void wait_for_one() {
    int status = 0;
    const pid_t ended = wait(&status);
    const auto child =
        std::find_if(children_.begin(), children_.end(), [ended](const Child& each) { return each.process == ended; });
    if (child == children_.end()) return;
    Caught& caught = caught_[static_cast<std::size_t>(child->mutation - 1)];
    char line[200] = {};
    const ssize_t length = read(child->report, line, sizeof line - 1);
    close(child->report);
    if (length > 0) {
      const std::string_view text{line, static_cast<std::size_t>(length)};
      caught.check = text.substr(0, text.find(' '));
      std::from_chars(line + text.find(' ') + 1, line + length, caught.seeds);
    } else if (WIFSIGNALED(status)) {
      // Nobody has to find out by a check that a program crashes or hangs.
      caught.check = WTERMSIG(status) == SIGALRM ? "hang" : "crash";
    }
    children_.erase(child);
  }

  [[nodiscard]] bool show(int number) const {
    const Mutation& mutation = mutations[number - 1];
    const Caught& caught = caught_[static_cast<std::size_t>(number - 1)];
    const bool stale = *mutation.complaint != '\0';
    const std::string result =
        stale ? std::string{"STALE: "} + mutation.complaint
        : caught.check.empty()
            ? "NOT CAUGHT"
            : caught.check + (caught.seeds > 0 ? ", seed " + std::to_string(caught.seeds) : std::string{});
    std::printf("%3d | %s | %s | %s\n", number, mutation.policy, mutation.name, result.c_str());
    return !stale && !caught.check.empty();
  }

  const Arguments arguments_;
  std::vector<Child> children_;
  std::vector<Caught> caught_;
};

}  // namespace

int main(int count, char** words) {
  const Arguments arguments = parse(count, words);
  if (!arguments.ok) {
    std::fputs("usage: mutants [--list] [--seeds N] [--jobs N] [--only MUTATION [--seed SEED --trace]]\n", stderr);
    return 2;
  }
  if (arguments.list) {
    int number = 0;
    for (const Mutation& mutation : mutations)
      std::printf("%3d | %s | %s | src/core/%s\n", ++number, mutation.policy, mutation.name, mutation.file);
    return 0;
  }
  if (arguments.seed == 0) return Runner{arguments}.run();
  active_mutation = arguments.only;
  const Report report = run_seed(arguments.seed, arguments.trace ? Tracing::on : Tracing::off);
  std::fputs(report.trace.c_str(), stdout);
  if (report.violation) std::printf("%s: %s\n", report.violation->check.c_str(), report.violation->detail.c_str());
  return report.violation ? 1 : 0;
}
