#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include <norikv/error.hpp>

#include "cli/invocation.hpp"

namespace norikv::cli {

/// What the process ends with. Scripts rely on the numbers.
enum class ExitCode : int {
  ok = 0,
  refused = 1,      ///< The key is not there, or a precondition failed.
  usage = 2,        ///< The command line, the environment or the input can't be right.
  unreachable = 3,  ///< No node could be reached, or the time ran out.
  other = 4,
};

/// Why a command ends with another code than 0.
struct Failure {
  ExitCode exit_code = ExitCode::other;
  std::string name;     ///< For machines: "usage", "io", "broken_pipe", "port_taken", or the name of an `ErrorCode`.
  std::string message;  ///< For people: what is wrong and what to do.
  std::optional<Error> cause{};  ///< What the client said, if it did.
};

template <class T>
using Outcome = tl::expected<T, Failure>;

[[nodiscard]] Failure usage_failure(std::string message);
/// `what` failed with this errno.
[[nodiscard]] Failure system_failure(std::string_view what, int error_number);
/// A `get` whose key is not there.
[[nodiscard]] Failure missing_key_failure();
/// What an error of the client means for the user of the command.
[[nodiscard]] Failure client_failure(Error error, const Target& target);

/// "norikv: MESSAGE" in one line, without the newline.
[[nodiscard]] std::string to_line(const Failure& failure);
/// One JSON object: error, message, exit_code, and what else is known: node, shard, attempts, maybe_applied, expected,
/// actual.
[[nodiscard]] std::string to_json(const Failure& failure);

}  // namespace norikv::cli
