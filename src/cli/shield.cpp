#include "cli/shield.hpp"

#include <algorithm>
#include <cstddef>

namespace norikv::cli {
namespace {

constexpr char mark = '=';

bool is_option(std::string_view word) { return word.size() > 1 && word.front() == '-'; }

/// "--name=text" with its text marked.
std::string shield_option(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) return word;
  return word.substr(0, equals + 1) + mark + word.substr(equals + 1);
}

}  // namespace

Shielded shield(const std::vector<std::string>& arguments, const std::vector<std::string>& takes_text) {
  Shielded shielded;
  bool options_ended = false;
  bool text_follows = false;
  for (const std::string& word : arguments) {
    if (!options_ended && word == "--") {
      options_ended = true;  // CLI11 need not know: no marked word looks like an option
    } else if (!options_ended && is_option(word)) {
      text_follows = std::find(takes_text.begin(), takes_text.end(), word) != takes_text.end();
      shielded.words.push_back(shield_option(word));
      continue;
    } else if (shielded.command.empty() && !text_follows && !options_ended) {
      shielded.command = word;
      shielded.words.push_back(word);
    } else {
      shielded.words.push_back(mark + word);
    }
    text_follows = false;
  }
  return shielded;
}

std::string unshield(std::string_view word) {
  // Only an option's text that begins with a dash comes without a mark.
  if (!word.empty() && word.front() == mark) word.remove_prefix(1);
  return std::string{word};
}

}  // namespace norikv::cli
