#include "util/trace_context.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace norikv::util {
namespace {

// "00-" + 32 + "-" + 16 + "-" + 2. Later versions may append more after another dash.
constexpr std::size_t version_0_size = 55;
// A later version's parent is passed on as it is, within reason.
constexpr std::size_t longest_parent = 256;
// What the recommendation asks everybody to pass on at least; longer lists are dropped here.
constexpr std::size_t longest_state = 512;
constexpr std::size_t most_members = 32;
constexpr std::size_t longest_name = 256;

bool is_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '0'; });
}

bool is_graphic(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

bool is_name(std::string_view text) noexcept {
  const auto first = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const auto next = [&](char c) { return first(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@'; };
  return !text.empty() && text.size() <= longest_name && first(text.front()) &&
         std::all_of(text.begin(), text.end(), next);
}

bool is_value(std::string_view text) noexcept {
  return !text.empty() && text.size() <= longest_name && text.back() != ' ' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f && c != '='; });
}

std::string_view trimmed(std::string_view text) noexcept {
  // No tabs: gRPC carries none.
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool is_traceparent(std::string_view text) noexcept {
  if (text.size() < version_0_size || text.size() > longest_parent) return false;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace = text.substr(3, 32);
  const std::string_view parent = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  if (!is_hex(version) || !is_hex(trace) || !is_hex(parent) || !is_hex(flags)) return false;
  if (version == "ff" || is_zero(trace) || is_zero(parent)) return false;
  if (version == "00") return text.size() == version_0_size;
  return text.size() == version_0_size || (text[version_0_size] == '-' && is_graphic(text.substr(version_0_size)));
}

bool is_tracestate(std::string_view text) noexcept {
  if (text.empty() || text.size() > longest_state) return false;
  std::array<std::string_view, most_members> names;
  std::size_t count = 0;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view member = trimmed(text.substr(0, comma));
    if (!member.empty()) {  // an empty one is allowed, and means nothing
      const std::size_t equals = member.find('=');
      if (equals == std::string_view::npos || count == most_members) return false;
      const std::string_view name = member.substr(0, equals);
      if (!is_name(name) || !is_value(member.substr(equals + 1))) return false;
      const auto end = names.begin() + static_cast<std::ptrdiff_t>(count);
      if (std::find(names.begin(), end, name) != end) return false;
      names[count++] = name;
    }
    if (comma == std::string_view::npos) return count > 0;
    text.remove_prefix(comma + 1);
  }
}

std::shared_ptr<const TraceContext> well_formed(TraceContext context) {
  if (!is_traceparent(context.traceparent)) return nullptr;
  if (!is_tracestate(context.tracestate)) context.tracestate.clear();
  return std::make_shared<const TraceContext>(std::move(context));
}

}  // namespace norikv::util
