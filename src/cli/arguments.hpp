#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/failure.hpp"
#include "cli/invocation.hpp"

namespace norikv::cli {

/// Looks a variable up; none = not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// Reads a command line (without the program's name). Fails with ExitCode::usage only.
[[nodiscard]] Outcome<Invocation> parse_arguments(const std::vector<std::string>& arguments,
                                                  const Environment& environment);

/// Whether a command line that may be wrong asks for JSON, so that the complaint comes in JSON too.
[[nodiscard]] bool asks_for_json(const std::vector<std::string>& arguments);

}  // namespace norikv::cli
