#pragma once

#include "cli/failure.hpp"
#include "cli/invocation.hpp"

// What each command does: blocks until it is done, writes its result to stdout.
namespace norikv::cli {

/// How results are printed.
enum class Format : bool { text, json };

[[nodiscard]] Outcome<void> run(const Put& put, Format format);
[[nodiscard]] Outcome<void> run(const Get& get, Format format);
[[nodiscard]] Outcome<void> run(const Del& del, Format format);
[[nodiscard]] Outcome<void> run(const Watch& watch, Format format);
[[nodiscard]] Outcome<void> run(const Serve& serve, Format format);
[[nodiscard]] Outcome<void> run(const Shard& shard, Format format);
[[nodiscard]] Outcome<void> run(const Bench& bench, Format format);
[[nodiscard]] Outcome<void> run(const Show& show, Format format);

}  // namespace norikv::cli
