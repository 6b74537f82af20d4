#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/arguments.hpp"
#include "cli/parse.hpp"
#include "cli/shield.hpp"

// What the commands' grammars have in common.
namespace norikv::cli {

/// A complaint about the command line: thrown while it is read, as CLI11 throws its own; `parse_arguments` makes a
/// Failure of it.
struct UsageError {
  std::string message;
};

template <class T>
T checked(std::string_view source, Parsed<T> parsed) {
  if (!parsed) throw UsageError{fmt::format("{}: {}", source, parsed.error())};
  return std::move(*parsed);
}

/// An option or argument whose text is read afterwards with `given`, past CLI11's own conversions.
CLI::Option* add_text(CLI::App& app, const std::string& name, const char* type, const std::string& help);
CLI::Option* add_flag(CLI::App& app, const std::string& name, const std::string& help);

[[nodiscard]] bool is_given(const CLI::Option* option);
[[nodiscard]] std::optional<std::string> given(const CLI::Option* option);

/// The options of the program itself, and of most commands. Null where a command does not have one.
struct SharedOptions {
  const CLI::Option* nodes = nullptr;
  const CLI::Option* shards = nullptr;
  const CLI::Option* timeout = nullptr;
  const CLI::Option* json = nullptr;
  const CLI::Option* tls = nullptr;
  const CLI::Option* tls_ca = nullptr;
  const CLI::Option* tls_cert = nullptr;
  const CLI::Option* tls_key = nullptr;
  const CLI::Option* tls_server_name = nullptr;
  const CLI::Option* token = nullptr;
  const CLI::Option* token_file = nullptr;
  const CLI::Option* token_in_plaintext = nullptr;

  void add_nodes(CLI::App& app);
  void add_shards(CLI::App& app);
  void add_timeout(CLI::App& app);
  void add_json(CLI::App& app);
  void add_security(CLI::App& app);
  /// Whether any of those is given.
  [[nodiscard]] bool asks_for_security() const;
  /// All of them.
  static SharedOptions all(CLI::App& app);
};

/// Where the value of a shared option comes from: the command's own option, the program's, a variable, or the default.
class Settings {
 public:
  Settings(const SharedOptions& program, const Environment& environment)
      : program_(program), environment_(environment) {}

  [[nodiscard]] std::uint32_t shards(const SharedOptions& own) const;
  [[nodiscard]] Target target(const SharedOptions& own) const;
  [[nodiscard]] const SharedOptions& program() const { return program_; }

 private:
  struct Found {
    std::string source;
    std::string text;
  };
  void secure(Target& target, const SharedOptions& own) const;
  [[nodiscard]] std::optional<Found> look_up(const CLI::Option* own, const CLI::Option* program, const char* name,
                                             const char* variable) const;

  const SharedOptions& program_;
  const Environment& environment_;
};

}  // namespace norikv::cli
