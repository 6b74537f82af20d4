#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace {

using namespace norikv::cli;

std::optional<std::string> variable(const char* name) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): no other thread runs yet
  return text == nullptr ? std::nullopt : std::optional<std::string>{text};
}

int finish(const Failure& failure, Format format) {
  write_stderr(format == Format::json ? to_json(failure) : to_line(failure));
  return static_cast<int>(failure.exit_code);
}

int run_program(const std::vector<std::string>& arguments) {
  const Outcome<Invocation> invocation = parse_arguments(arguments, variable);
  if (!invocation) return finish(invocation.error(), asks_for_json(arguments) ? Format::json : Format::text);
  const Format format = invocation->json ? Format::json : Format::text;
  const Outcome<void> done =
      std::visit([format](const auto& command) { return run(command, format); }, invocation->command);
  return done ? static_cast<int>(ExitCode::ok) : finish(done.error(), format);
}

}  // namespace

int main(int argc, char** argv) {
  prepare_streams();
  try {
    return run_program({argv + (argc > 0 ? 1 : 0), argv + argc});
  } catch (const std::exception& error) {
    return finish({ExitCode::other, "internal", fmt::format("internal error: {}", error.what())}, Format::text);
  }
}
