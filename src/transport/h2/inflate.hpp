#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace norikv::transport::h2 {

/// How a server compresses messages, as its header `grpc-encoding` says.
enum class Encoding : std::uint8_t { identity, gzip, deflate, other };
[[nodiscard]] Encoding encoding_of(std::string_view name) noexcept;

enum class InflateError : std::uint8_t {
  not_encoded,  ///< The message says that it is compressed, and the server did not say how.
  unknown,      ///< Compressed in a way that this client does not know.
  broken,
  too_large,
};

/// A message as it was before it was compressed, if that has at most `limit` bytes.
[[nodiscard]] tl::expected<std::string, InflateError> inflated(std::string_view bytes, Encoding encoding,
                                                               std::size_t limit);

}  // namespace norikv::transport::h2
