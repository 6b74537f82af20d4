#pragma once

#include <string_view>

#include "cli/failure.hpp"

// The three standard streams, without buffers: what was written is out.
namespace norikv::cli {

/// Opens what is missing of the streams 0 to 2, so that no socket gets their numbers; using such a stream fails. A
/// closed pipe becomes an error of the write that meets it, not a signal.
void prepare_streams();

/// Fails with what the system said; a stop signal may interrupt it.
[[nodiscard]] Outcome<void> write_stdout(std::string_view bytes);
/// One line. There is nobody to tell if it fails.
void write_stderr(std::string_view line);

/// Replaces the last line of the terminal at stderr, or clears it; nothing happens if there is no terminal.
void show_progress(std::string_view line);

[[nodiscard]] bool stdout_is_terminal();

/// All of stdin, which must not be more than `limit` bytes.
[[nodiscard]] Outcome<std::string> read_stdin(std::size_t limit);

}  // namespace norikv::cli
