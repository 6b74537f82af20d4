#include "util/text.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include <fmt/format.h>

namespace norikv::util {

std::string to_text(Duration duration) {
  struct Unit {
    std::int64_t nanoseconds;
    std::string_view name;
  };
  static constexpr Unit units[] = {{1'000'000'000, "s"}, {1'000'000, "ms"}, {1'000, "us"}, {1, "ns"}};

  const std::int64_t count = duration.count();
  if (count == 0) return "0 s";
  const auto unit = std::find_if(std::begin(units), std::end(units),
                                 [&](const Unit& candidate) { return count / candidate.nanoseconds != 0; });
  std::string number = fmt::format("{:.3f}", static_cast<double>(count) / static_cast<double>(unit->nanoseconds));
  number.erase(number.find_last_not_of('0') + 1);
  if (number.back() == '.') number.pop_back();
  return fmt::format("{} {}", number, unit->name);
}

std::string one_line(std::string_view text, std::size_t limit) {
  std::size_t end = std::min(text.size(), limit);
  // Not in the middle of a UTF-8 sequence.
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  std::string line(text.substr(0, end));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; }, ' ');
  if (end < text.size()) line += "...";
  return line;
}

}  // namespace norikv::util
