#include "transport/h2/grpc_protocol.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace norikv::transport::h2 {
namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// HTTP/2 error codes (RFC 9113, section 7).
enum Reset : std::uint32_t {
  refused_stream = 0x7,
  cancel = 0x8,
  enhance_your_calm = 0xb,
  inadequate_security = 0xc,
};

}  // namespace

std::array<char, prefix_size> message_prefix(std::size_t message_size) noexcept {
  const auto byte = [&](int shift) { return static_cast<char>((message_size >> shift) & 0xff); };
  return {'\0', byte(24), byte(16), byte(8), byte(0)};
}

// --- messages ---

MessageReader::Result MessageReader::begin_body() {
  const auto flag = static_cast<unsigned char>(prefix_[0]);
  if (flag > 1) return Result::malformed;
  compressed_ = flag == 1;
  body_size_ = 0;
  for (std::size_t i = 1; i < prefix_size; ++i) body_size_ = body_size_ << 8 | static_cast<unsigned char>(prefix_[i]);
  if (body_size_ > limit_) return Result::too_large;
  body_.reserve(body_size_);  // at most the limit; what never comes is never touched
  return Result::more;
}

MessageReader::Result MessageReader::read(std::string_view& input) {
  if (prefix_filled_ < prefix_size) {
    const std::size_t count = std::min(prefix_size - prefix_filled_, input.size());
    std::copy_n(input.data(), count, prefix_.data() + prefix_filled_);
    prefix_filled_ += count;
    input.remove_prefix(count);
    if (prefix_filled_ < prefix_size) return Result::more;
    if (const Result begun = begin_body(); begun != Result::more) return begun;
  }
  const std::size_t count = std::min(body_size_ - body_.size(), input.size());
  body_.append(input.data(), count);
  input.remove_prefix(count);
  return body_.size() == body_size_ ? Result::message : Result::more;
}

std::string MessageReader::take() {
  prefix_filled_ = 0;
  return std::exchange(body_, {});
}

void MessageReader::clear() noexcept {
  prefix_filled_ = 0;
  body_.clear();
}

// --- headers ---

TimeoutText::TimeoutText(Duration left) noexcept {
  constexpr std::int64_t most = 99'999'999;
  std::int64_t count = std::max<std::int64_t>(left.count(), 1);
  const auto divide = [&](std::int64_t by) { count = count / by + (count % by != 0 ? 1 : 0); };
  char unit = 'u';
  divide(1000);
  if (count > 100'000) {
    divide(1000);
    unit = 'm';
  }
  if (count > most) {
    divide(1000);
    unit = 'S';
  }
  if (count > most) {
    divide(3600);
    unit = 'H';
  }
  std::int64_t step = 1;
  while (count / step >= 1000) step *= 10;
  divide(step);
  count = std::min(count * step, most);
  char* end = std::to_chars(text_.data(), text_.data() + text_.size() - 1, count).ptr;
  *end++ = unit;
  size_ = static_cast<std::size_t>(end - text_.data());
}

std::string base64(std::string_view bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : bytes) {
    group = group << 8 | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) text += digits[group >> (bits - 6) & 63];
  }
  if (bits > 0) text += digits[group << (6 - bits) & 63];
  return text;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low < 0) {
      decoded += text[i];
    } else {
      decoded += static_cast<char>(high << 4 | low);
      i += 2;
    }
  }
  return decoded;
}

int parse_status(std::string_view text) noexcept {
  int status = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
  return error == std::errc{} && end == text.data() + text.size() && status >= 0 ? status : Status::unknown;
}

int status_of_http(int http_status) noexcept {
  switch (http_status) {
    case 400:
      return Status::internal;
    case 401:
      return Status::unauthenticated;
    case 403:
      return Status::permission_denied;
    case 404:
      return Status::unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return Status::unavailable;
    default:
      return Status::unknown;
  }
}

int status_of_reset(std::uint32_t error_code) noexcept {
  switch (error_code) {
    case Reset::refused_stream:
      return Status::unavailable;
    case Reset::cancel:
      return Status::cancelled;
    case Reset::enhance_your_calm:
      return Status::resource_exhausted;
    case Reset::inadequate_security:
      return Status::permission_denied;
    default:
      return Status::internal;
  }
}

bool is_grpc(std::string_view content_type) noexcept {
  constexpr std::string_view grpc = "application/grpc";
  if (!content_type.starts_with(grpc)) return false;
  content_type.remove_prefix(grpc.size());
  return content_type.empty() || content_type.front() == '+' || content_type.front() == ';';
}

}  // namespace norikv::transport::h2
