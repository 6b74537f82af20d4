#include "cli/json.hpp"

#include <cstddef>

#include <fmt/format.h>

namespace norikv::cli {
namespace {

/// The length of the well-formed UTF-8 sequence that `bytes` starts with, 0 if there is none (Unicode 15, table 3-7).
std::size_t sequence_length(std::string_view bytes) {
  const auto at = [bytes](std::size_t index) {
    return index < bytes.size() ? static_cast<unsigned char>(bytes[index]) : 0U;
  };
  const auto in = [](unsigned value, unsigned least, unsigned most) { return value >= least && value <= most; };
  const auto tail = [&](std::size_t index) { return in(at(index), 0x80, 0xbf); };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (in(lead, 0xc2, 0xdf)) return tail(1) ? 2 : 0;
  if (in(lead, 0xe0, 0xef)) {
    const unsigned least = lead == 0xe0 ? 0xa0 : 0x80;
    const unsigned most = lead == 0xed ? 0x9f : 0xbf;
    return in(at(1), least, most) && tail(2) ? 3 : 0;
  }
  if (in(lead, 0xf0, 0xf4)) {
    const unsigned least = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned most = lead == 0xf4 ? 0x8f : 0xbf;
    return in(at(1), least, most) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = sequence_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    unsigned bits = 0;
    for (std::size_t index = 0; index < 3; ++index) {
      bits = bits << 8U | (index < group.size() ? static_cast<unsigned char>(group[index]) : 0U);
    }
    for (std::size_t index = 0; index < 4; ++index) {
      text += index <= group.size() ? alphabet[bits >> (18U - 6U * index) & 0x3fU] : '=';
    }
  }
  return text;
}

std::string json_string(std::string_view text) {
  std::string json = "\"";
  for (const char letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      json += '\\';
      json += letter;
    } else if (letter == '\n') {
      json += "\\n";
    } else if (letter == '\t') {
      json += "\\t";
    } else if (code < 0x20 || code == 0x7f) {
      json += fmt::format("\\u{:04x}", static_cast<unsigned>(code));
    } else {
      json += letter;
    }
  }
  return json + '"';
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  if (is_utf8(value)) return raw(name, json_string(value));
  std::string replaced;
  while (!value.empty()) {
    const std::size_t length = sequence_length(value);
    replaced += length == 0 ? "?" : value.substr(0, length);
    value.remove_prefix(length == 0 ? 1 : length);
  }
  return raw(name, json_string(replaced));
}

JsonObject& JsonObject::bytes(std::string_view name, std::string_view value) {
  if (is_utf8(value)) return text(name, value);
  return text(fmt::format("{}_base64", name), base64(value));
}

JsonObject& JsonObject::number(std::string_view name, std::uint64_t value) { return raw(name, fmt::to_string(value)); }

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
  if (body_.size() > 1) body_ += ',';
  body_ += json_string(name);
  body_ += ':';
  body_ += json;
  return *this;
}

}  // namespace norikv::cli
