#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

// JSON as the command prints it: one object per line.
namespace norikv::cli {

/// Whether the bytes are well-formed UTF-8 (no surrogates, nothing overlong).
[[nodiscard]] bool is_utf8(std::string_view bytes);
/// RFC 4648, with padding.
[[nodiscard]] std::string base64(std::string_view bytes);
/// A JSON string, quotes included. `text` is UTF-8.
[[nodiscard]] std::string json_string(std::string_view text);

/// Writes one JSON object, field by field, in the order of the calls.
class JsonObject {
 public:
  /// A string; bytes that are not UTF-8 are replaced by question marks.
  JsonObject& text(std::string_view name, std::string_view value);
  /// Any bytes: as `name` if they are UTF-8, else in base64 as `name` + "_base64".
  JsonObject& bytes(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, std::uint64_t value);
  JsonObject& boolean(std::string_view name, std::same_as<bool> auto value) {
    return raw(name, value ? "true" : "false");
  }
  /// JSON that is written already.
  JsonObject& raw(std::string_view name, std::string_view json);

  [[nodiscard]] std::string str() const { return body_ + '}'; }

 private:
  std::string body_ = "{";
};

}  // namespace norikv::cli
