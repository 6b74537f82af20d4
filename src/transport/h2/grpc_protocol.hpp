#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <norikv/types.hpp>

#include "core/grpc_status.hpp"

// What gRPC adds to HTTP/2 (PROTOCOL-HTTP2 of gRPC), as pure functions.
namespace norikv::transport::h2 {

using Status = core::grpc_status::Code;

/// A flag and the length stand in front of every message.
inline constexpr std::size_t prefix_size = 5;
[[nodiscard]] std::array<char, prefix_size> message_prefix(std::size_t message_size) noexcept;

/// Puts messages together from a stream of bytes that is cut anywhere.
class MessageReader {
 public:
  enum class Result : std::uint8_t { more, message, too_large, malformed };

  explicit MessageReader(std::size_t limit) noexcept : limit_(limit) {}

  /// Takes bytes from the front of `input` until a message is whole (`take` it, then go on) or none are left (`more`).
  /// Any other result is the end of the stream.
  [[nodiscard]] Result read(std::string_view& input);
  [[nodiscard]] std::string take();
  /// Whether the message that `take` gives is compressed.
  [[nodiscard]] bool compressed() const noexcept { return compressed_; }
  /// Whether a message has begun that is not whole.
  [[nodiscard]] bool amid_message() const noexcept { return prefix_filled_ > 0; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  void clear() noexcept;

 private:
  [[nodiscard]] Result begin_body();

  std::size_t limit_;
  std::array<char, prefix_size> prefix_{};
  std::size_t prefix_filled_ = 0;
  std::size_t body_size_ = 0;
  bool compressed_ = false;
  std::string body_;
};

/// A time as the header `grpc-timeout` has it: at most eight digits and a unit. Rounded up to three significant digits,
/// so that the same few texts are sent again and again, which HTTP/2 compresses to one byte.
class TimeoutText {
 public:
  explicit TimeoutText(Duration left) noexcept;
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  std::array<char, 12> text_{};
  std::size_t size_ = 0;
};

/// Whether the values under a key may be any bytes, which are sent as base64.
[[nodiscard]] inline bool is_binary(std::string_view key) noexcept { return key.ends_with("-bin"); }
/// Without padding, as gRPC wants it.
[[nodiscard]] std::string base64(std::string_view bytes);

/// The text of a header `grpc-message`. What is no good encoding stays as it is.
[[nodiscard]] std::string percent_decoded(std::string_view text);

/// The value of a header `grpc-status`; what is no number is UNKNOWN.
[[nodiscard]] int parse_status(std::string_view text) noexcept;

/// The status of an answer that came without one, from its HTTP status.
[[nodiscard]] int status_of_http(int http_status) noexcept;

/// The status of a stream that was reset with this HTTP/2 error code.
[[nodiscard]] int status_of_reset(std::uint32_t error_code) noexcept;

/// Whether a media type is gRPC's.
[[nodiscard]] bool is_grpc(std::string_view content_type) noexcept;

}  // namespace norikv::transport::h2
