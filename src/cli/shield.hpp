#pragma once

#include <string>
#include <string_view>
#include <vector>

// CLI11 gives some texts a meaning of their own ("{}" and "[a,b]" are lists, "++" ends a subcommand), but a key or a
// value may be any text. So every word that is not a name of an option or of the command goes through CLI11 with a mark
// in front.
namespace norikv::cli {

/// A command line as CLI11 may see it: the words in their order, texts marked, "--" obeyed and left out.
struct Shielded {
  std::vector<std::string> words;
  /// The command: the first word that is neither an option nor the text of one. Empty if there is none.
  std::string command;
};

/// `takes_text` names the options of the program itself that are followed by a text, such as "--nodes".
[[nodiscard]] Shielded shield(const std::vector<std::string>& arguments, const std::vector<std::string>& takes_text);

/// The text as it was given.
[[nodiscard]] std::string unshield(std::string_view word);

}  // namespace norikv::cli
