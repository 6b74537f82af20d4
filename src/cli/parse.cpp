#include "cli/parse.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace norikv::cli {
namespace {

struct Unit {
  std::string_view name;
  Duration length;
};

constexpr std::array<Unit, 5> units{{{"d", std::chrono::hours{24}},
                                     {"h", std::chrono::hours{1}},
                                     {"m", std::chrono::minutes{1}},
                                     {"s", std::chrono::seconds{1}},
                                     {"ms", std::chrono::milliseconds{1}}}};

/// Digits and nothing else: no sign, no blank, no overflow.
template <class Number>
std::optional<Number> parse_digits(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

std::optional<unsigned> hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return static_cast<unsigned>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<unsigned>(digit - 'a') + 10;
  if (digit >= 'A' && digit <= 'F') return static_cast<unsigned>(digit - 'A') + 10;
  return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <class Choice, std::size_t count>
Parsed<Choice> parse_choice(std::string_view text, std::string_view what, const std::array<Choice, count>& choices) {
  std::string names;
  for (const Choice choice : choices) {
    if (text == to_string(choice)) return choice;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", to_string(choice));
  }
  return tl::unexpected(fmt::format("{} is not {}: use one of {}", in_quotes(text), what, names));
}

}  // namespace

Parsed<Duration> parse_duration(std::string_view text) {
  const auto wrong = [text](std::string_view why) {
    return tl::unexpected(
        fmt::format("{} {}: write a number and its unit, such as 500ms, 30s, 2m, 12h or 7d", in_quotes(text), why));
  };
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto unit = std::find_if(units.begin(), units.end(),
                                 [&](const Unit& candidate) { return candidate.name == text.substr(digits); });
  if (digits == 0) return wrong("is not a duration");
  if (digits == text.size()) return wrong("has no unit");
  if (unit == units.end()) return wrong("is not a duration");
  const auto count = parse_digits<std::int64_t>(text.substr(0, digits));
  if (!count || *count > max_duration / unit->length) return wrong("is longer than ten years");
  if (*count == 0) return wrong("is not more than zero");
  return *count * unit->length;
}

Parsed<Version> parse_version(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const auto term = parse_digits<std::uint64_t>(text.substr(0, colon));
    const auto index = parse_digits<std::uint64_t>(text.substr(colon + 1));
    if (term && index) return Version{*term, *index};
  }
  return tl::unexpected(fmt::format("{} is not a version: write TERM:INDEX, two numbers such as 0:7", in_quotes(text)));
}

Parsed<std::uint32_t> parse_number(std::string_view text, std::uint32_t least, std::uint32_t most) {
  const auto number = parse_digits<std::uint32_t>(text);
  if (number && *number >= least && *number <= most) return *number;
  return tl::unexpected(fmt::format("{} is not a number from {} to {}", in_quotes(text), least, most));
}

Parsed<std::string> parse_hex(std::string_view digits) {
  const auto wrong = [digits](std::string_view why) {
    return tl::unexpected(fmt::format("{} {}: write two hex digits per byte, such as 00ff", in_quotes(digits), why));
  };
  if (digits.size() % 2 != 0) return wrong("has an odd number of digits");
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (std::size_t at = 0; at < digits.size(); at += 2) {
    const auto high = hex_digit(digits[at]);
    const auto low = hex_digit(digits[at + 1]);
    if (!high || !low) return wrong("is not hex");
    bytes.push_back(static_cast<char>(*high * 16 + *low));
  }
  return bytes;
}

Parsed<Consistency> parse_consistency(std::string_view text) {
  return parse_choice(
      text, "a consistency level",
      std::array{Consistency::lease, Consistency::linearizable, Consistency::stale, Consistency::bounded});
}

Parsed<testing::Profile> parse_profile(std::string_view text) {
  return parse_choice(text, "a profile", std::array{testing::Profile::norikv, testing::Profile::replicated});
}

Parsed<Verb> parse_verb(std::string_view text) {
  return parse_choice(text, "an operation", std::array{Verb::get, Verb::put});
}

Parsed<TransportKind> parse_transport(std::string_view text) {
  return parse_choice(text, "a transport", std::array{TransportKind::grpc, TransportKind::h2});
}

std::vector<std::string> split_nodes(std::string_view list) {
  std::vector<std::string> nodes;
  if (trimmed(list).empty()) return nodes;
  for (;;) {
    const std::size_t comma = list.find(',');
    nodes.emplace_back(trimmed(list.substr(0, comma)));
    if (comma == std::string_view::npos) return nodes;
    list.remove_prefix(comma + 1);
  }
}

std::string to_text(Version version) { return fmt::format("{}:{}", version.term, version.index); }

std::string to_text(Duration duration) {
  for (const Unit& unit : units) {
    if (duration % unit.length == Duration{0}) return fmt::format("{}{}", duration / unit.length, unit.name);
  }
  return fmt::format("{}ms", std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

std::string in_quotes(std::string_view text) {
  std::size_t shown = 60;
  if (text.size() <= shown) return fmt::format("\"{}\"", one_line(text));
  while (shown > 0 && (static_cast<unsigned char>(text[shown]) & 0xc0U) == 0x80U) --shown;  // not inside a character
  return fmt::format("\"{}...\"", one_line(text.substr(0, shown)));
}

std::string one_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  for (const char letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == '\n' || letter == '\r' || letter == '\t') {
      line += ' ';
    } else if (code < 0x20 || code == 0x7f) {
      line += fmt::format("\\x{:02x}", static_cast<unsigned>(code));
    } else {
      line += letter;
    }
  }
  return line;
}

}  // namespace norikv::cli
