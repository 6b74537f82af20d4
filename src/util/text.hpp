#pragma once

#include <string>
#include <string_view>

#include <norikv/types.hpp>

// Text for people: error lines and log lines.
namespace norikv::util {

/// A duration in the unit that suits it, with at most three digits after the point: "250 ns", "1.5 ms", "5 s", "-20
/// ms".
[[nodiscard]] std::string to_text(Duration duration);

/// A text from the network, fit for one line: control characters become spaces, and what is longer than `limit` bytes
/// ends in "...".
[[nodiscard]] std::string one_line(std::string_view text, std::size_t limit = 200);

/// Whether the bytes are well-formed UTF-8 (RFC 3629), as protobuf's `string` fields have to be.
[[nodiscard]] bool is_utf8(std::string_view bytes) noexcept;

}  // namespace norikv::util
