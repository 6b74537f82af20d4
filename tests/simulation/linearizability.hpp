#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// Whether what users saw of one key can be explained by a register that takes one operation at a time.
namespace norikv::simulation {

/// A value that was written; each write writes another one. 0 = the key is missing.
using Value = std::uint64_t;
inline constexpr Value missing = 0;

/// One operation on one key, as its user saw it. `begin` and `end` are places in the order of everything that happened:
/// an operation that ended before another one began took effect before it.
struct Access {
  enum class Kind : std::uint8_t {
    put,        ///< `value` was written.
    remove,     ///< The key went.
    get,        ///< `value` was seen, or `missing`.
    replace,    ///< `value` was written over `expected`.
    insert,     ///< `value` was written where the key was missing.
    remove_if,  ///< The key went when `expected` was there.
    mismatch,   ///< `expected` was not there when it was asked for.
    revive,     ///< What had expired, and was not overwritten, is there again.
    expire,     ///< The search's own: `expected` goes if it is still there.
  };
  static constexpr std::uint64_t never = UINT64_MAX;

  Kind kind = Kind::get;
  Value value = missing;
  Value expected = missing;
  std::uint64_t begin = 0;
  std::uint64_t end = never;  ///< `never`: the outcome is unknown; it may take effect at any later time, or not at all.
  std::uint64_t place = 0;  ///< Of a write, if the servers tell: it comes after those with a smaller one. 0 = unknown.
  std::uint64_t expires = never;  ///< Where the value that was written ends. The write took effect, and before that.
};

enum class Linearizability : std::uint8_t {
  yes,
  no,
  undecided,  ///< Too many possibilities; a sign of a history that is too large.
};

/// Searches for an order (Wing and Gong 1993, with Lowe's memory of states that led nowhere). The key is missing at
/// first. At most `max_accesses`.
[[nodiscard]] Linearizability check_register(std::vector<Access> history);
inline constexpr std::size_t max_accesses = 512;

}  // namespace norikv::simulation
