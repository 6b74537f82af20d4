#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include <norikv/update.hpp>

#include "core/ids.hpp"
#include "wire/wire.hpp"

namespace norikv::core {

/// A write that looks at its key first: it reads, decides, and then writes, and holds its shard's lane all the time.
struct Conditional {
  enum class Kind : std::uint8_t {
    absent,     ///< Writes if the key is missing.
    unchanged,  ///< Removes if the key has the version that was asked for; the server would not check it.
    update,     ///< Writes what the user's function makes of the entry.
  };
  Kind kind{};
  std::string key;
  wire::Payload look;            ///< The encoded GetRequest.
  UpdateFunction update;         ///< With `update`; empty while it is with the driver.
  std::uint32_t max_rounds = 1;  ///< With `update`.
  std::uint32_t rounds = 0;      ///< Times `update` was asked for.
  bool server_checks = false;    ///< The write on its way carries a condition that the server looks at.
};

/// What the look at a key means for a conditional write whose decision is not the user's: the error it ends with, or
/// none if it may write.
[[nodiscard]] std::optional<Error> judge(Conditional::Kind kind, const std::optional<Version>& expected,
                                         const std::optional<Entry>& found);

/// Lets one conditional write at a time work on a key, in the order in which they came, whatever the lanes allow.
class KeyLocks {
 public:
  /// True: it may go on. False: it waits.
  [[nodiscard]] bool acquire(const std::string& key, OpId operation);
  /// An operation ends, whether it worked or waited: the one whose turn it is now, if that changed.
  [[nodiscard]] std::optional<OpId> leave(const std::string& key, OpId operation);
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

 private:
  std::unordered_map<std::string, std::deque<OpId>> keys_;  // the first one of each works
};

}  // namespace norikv::core
