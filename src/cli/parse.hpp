#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>

#include "cli/invocation.hpp"

// Texts of the command line and what they mean. Pure functions.
namespace norikv::cli {

/// A value; or what is wrong with the text and which forms are accepted, for people.
template <class T>
using Parsed = tl::expected<T, std::string>;

/// "500ms", "30s", "2m", "12h", "7d": more than nothing and at most ten years.
[[nodiscard]] Parsed<Duration> parse_duration(std::string_view text);

/// "T:I", two decimal numbers, as `put` prints it.
[[nodiscard]] Parsed<Version> parse_version(std::string_view text);

/// A decimal number in [least, most].
[[nodiscard]] Parsed<std::uint32_t> parse_number(std::string_view text, std::uint32_t least, std::uint32_t most);

/// The bytes that an even number of hex digits stands for.
[[nodiscard]] Parsed<std::string> parse_hex(std::string_view digits);

[[nodiscard]] Parsed<Consistency> parse_consistency(std::string_view text);
[[nodiscard]] Parsed<testing::Profile> parse_profile(std::string_view text);
[[nodiscard]] Parsed<Verb> parse_verb(std::string_view text);
[[nodiscard]] Parsed<TransportKind> parse_transport(std::string_view text);

/// The addresses of a list such as "a:1, b:2", without the blanks around them. What an address may be is for the client
/// to say.
[[nodiscard]] std::vector<std::string> split_nodes(std::string_view list);

/// "T:I".
[[nodiscard]] std::string to_text(Version version);
/// The shortest text that `parse_duration` reads as `duration`, which is at least a millisecond.
[[nodiscard]] std::string to_text(Duration duration);
/// The text in quotes, shortened, and safe to show in one line.
[[nodiscard]] std::string in_quotes(std::string_view text);
/// The text without what could break a line or drive a terminal.
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace norikv::cli
