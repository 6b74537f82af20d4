#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <norikv/types.hpp>

#include "norikv.pb.h"

// What the encoders and decoders of all messages share. For the .cpp files of this layer alone: it knows protobuf.
namespace norikv::wire {

using WireFormat = google::protobuf::internal::WireFormatLite;

constexpr std::uint32_t text_tag(int field) {
  return WireFormat::MakeTag(field, WireFormat::WIRETYPE_LENGTH_DELIMITED);
}
constexpr std::uint32_t number_tag(int field) { return WireFormat::MakeTag(field, WireFormat::WIRETYPE_VARINT); }

/// Writes fields in protobuf's format straight into the string that is sent: a value is copied once, where a message
/// object would copy it twice. As in proto3 an empty field is left out. Fields are written in ascending order, which
/// makes the bytes equal to protobuf's own.
class FieldWriter {
 public:
  explicit FieldWriter(std::size_t capacity) { bytes_.reserve(capacity); }

  FieldWriter& number(std::uint32_t field, std::uint64_t value) {
    if (value != 0) {
      varint(field << 3 | 0);
      varint(value);
    }
    return *this;
  }
  FieldWriter& text(std::uint32_t field, std::string_view value) {
    if (!value.empty()) present(field, value);
    return *this;
  }
  /// A field that is there even when it is empty.
  FieldWriter& present(std::uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes_.append(value);
    return *this;
  }
  /// A packed field: its numbers lie side by side, least significant byte first.
  FieldWriter& floats(std::uint32_t field, std::span<const float> numbers) {
    if (numbers.empty()) return *this;
    varint(field << 3 | 2);
    varint(numbers.size() * sizeof(std::uint32_t));
    for (const float number : numbers) {
      const auto bits = std::bit_cast<std::uint32_t>(number);
      for (unsigned shift = 0; shift < 32; shift += 8) bytes_.push_back(static_cast<char>(bits >> shift));
    }
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

/// Bytes that every field but texts takes at most, and a text takes beside its content.
inline constexpr std::size_t max_overhead = 11;

/// Reads the fields of a message in the order in which `FieldWriter` and protobuf write them, and takes nothing that is
/// not the field it was asked for. Whoever is `done` at the end has read what protobuf would have; else protobuf has to
/// judge.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] std::optional<std::uint64_t> number(std::uint32_t field) { return after(field << 3 | 0); }
  [[nodiscard]] std::optional<std::string_view> text(std::uint32_t field) {
    const std::string_view before = rest_;
    const std::optional<std::uint64_t> size = after(field << 3 | 2);
    if (size && *size <= rest_.size()) {
      const std::string_view found = rest_.substr(0, *size);
      rest_.remove_prefix(*size);
      return found;
    }
    rest_ = before;
    return std::nullopt;
  }
  [[nodiscard]] bool done() const { return rest_.empty(); }

 private:
  // The number behind a tag of one byte.
  std::optional<std::uint64_t> after(std::uint32_t tag) {
    if (rest_.empty() || static_cast<unsigned char>(rest_.front()) != tag) return std::nullopt;
    constexpr std::size_t longest = 9;  // 63 bits; more is for protobuf
    std::uint64_t number = 0;
    for (std::size_t at = 0; at < longest && at + 1 < rest_.size(); ++at) {
      const auto byte = static_cast<unsigned char>(rest_[at + 1]);
      number |= std::uint64_t{byte & 0x7fu} << (7 * at);
      if (byte >= 0x80) continue;
      rest_.remove_prefix(at + 2);
      return number;
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

/// Whether any of a message's own fields, unknown ones included, has a tag for which `odd` is true.
template <class Predicate>
bool any_field(std::string_view message, Predicate odd) {
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const std::uint8_t*>(message.data()),
                                               static_cast<int>(message.size()));
  while (const std::uint32_t tag = input.ReadTag()) {
    if (odd(tag) || !WireFormat::SkipField(&input, tag)) return true;
  }
  return false;
}

/// Parses a whole message; an error text if that fails. Fields of a newer server are allowed.
template <class Message>
std::optional<std::string> parse(Message& message, std::string_view bytes, std::string_view name) {
  const auto failed = [&](std::string_view why) { return std::string(name).append(" ").append(why); };
  if (bytes.size() > std::numeric_limits<int>::max()) return failed("is larger than 2 GiB");
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return failed("does not parse");
  return std::nullopt;
}

inline Version from_proto(const v1::Version& version) { return {version.term(), version.index()}; }

}  // namespace norikv::wire
