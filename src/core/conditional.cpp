#include "core/conditional.hpp"

#include <algorithm>

namespace norikv::core {

std::optional<Error> judge(Conditional::Kind kind, const std::optional<Version>& expected,
                           const std::optional<Entry>& found) {
  Error error;
  error.code = ErrorCode::precondition_failed;
  switch (kind) {
    case Conditional::Kind::update:
      return std::nullopt;
    case Conditional::Kind::absent:
      if (!found) return std::nullopt;
      error.message = "the key is there already";
      error.mismatch = VersionMismatch{{}, found->version};
      return error;
    case Conditional::Kind::unchanged:
      if (found && found->version == expected) return std::nullopt;
      error.message = found ? "the key has another version" : "the key is not there";
      error.mismatch = VersionMismatch{expected.value_or(Version{}), {}};
      if (found) error.mismatch->actual = found->version;
      return error;
  }
  return std::nullopt;
}

bool KeyLocks::acquire(const std::string& key, OpId operation) {
  std::deque<OpId>& line = keys_[key];
  line.push_back(operation);
  return line.size() == 1;
}

std::optional<OpId> KeyLocks::leave(const std::string& key, OpId operation) {
  const auto found = keys_.find(key);
  if (found == keys_.end() || found->second.empty()) return std::nullopt;
  std::deque<OpId>& line = found->second;
  const bool worked = line.front() == operation;
  const auto place = std::find(line.begin(), line.end(), operation);
  if (place == line.end()) return std::nullopt;
  line.erase(place);
  if (line.empty()) {
    keys_.erase(found);
    return std::nullopt;
  }
  return worked ? std::optional{line.front()} : std::nullopt;
}

}  // namespace norikv::core
