#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace norikv {

/// Every duration of this API. Converts implicitly from `5s`, `20ms`, ...
using Duration = std::chrono::nanoseconds;
/// Every point in time of this API: the monotonic clock.
using TimePoint = std::chrono::steady_clock::time_point;

/// The longest duration an option accepts: ten years. Longer ones are refused, so that adding one to "now" can't
/// overflow.
inline constexpr Duration max_duration = std::chrono::hours{24 * 3650};

/// The largest key and value the server accepts, in bytes. Larger ones are refused before anything is sent.
inline constexpr std::size_t max_key_size = 1024;
inline constexpr std::size_t max_value_size = 1024 * 1024;

/// What the server names a state of a key by. Opaque: equal or not, never ordered (versions of a shard can go backwards
/// when a server restarts, and say nothing across shards).
struct Version {
  std::uint64_t term = 0;
  std::uint64_t index = 0;
  friend bool operator==(const Version&, const Version&) = default;
};

/// A key that is there. The value may be empty.
struct Entry {
  std::string value;
  Version version;
};

/// A put that was acknowledged.
struct Written {
  Version version;
};

/// A remove that was acknowledged, also of a key that was not there: the server does not say which.
struct Removed {
  Version version;
};

/// How fresh a read has to be.
enum class Consistency : std::uint8_t {
  lease,         ///< The leader answers. The default.
  linearizable,  ///< The leader answers after it made sure that it still leads.
  stale,         ///< Any replica may answer with what it has.
  bounded,       ///< Any replica may answer within the server's own bound of staleness.
};

/// The name of a level in options, logs and on the command line: "lease", "linearizable", "stale", "bounded".
[[nodiscard]] constexpr std::string_view to_string(Consistency level) noexcept {
  switch (level) {
    case Consistency::lease:
      return "lease";
    case Consistency::linearizable:
      return "linearizable";
    case Consistency::stale:
      return "stale";
    case Consistency::bounded:
      return "bounded";
  }
  return "unknown";
}

/// A condition on a write; made by `at(version)`, or `absent`.
struct Precondition {
  std::optional<Version> version;  ///< The key must be there with exactly this version.
  bool is_absent = false;          ///< The key must not be there.
};

/// The write takes effect only if the key is there with this version. Take it from a `get`: the version that a put
/// returned stops matching after a server restart. Today's server compares and writes in two steps: two conditional
/// writes that run at the same time from different clients can both succeed.
[[nodiscard]] constexpr Precondition at(Version version) noexcept { return Precondition{version, false}; }

/// The write takes effect only if the key is missing. The server has no such condition, so the client reads the key and
/// then writes, and no other write of this client comes in between (unless `WriteOptions` let them overlap; two
/// operations that look first never do). A write of another client can: then both succeed, and the later one stays.
inline constexpr Precondition absent{std::nullopt, true};

/// Tag for `IdempotencyKey`: a fresh random one.
struct Automatic {};
inline constexpr Automatic automatic{};

/// Lets the server recognise a repeated write, so that the client may repeat it after an unknown outcome.
///
/// The server keeps keys per process, for ever and for all user keys alike: reusing a text for another write drops that
/// write silently. `automatic` draws 128 random bits for one operation and keeps them across its attempts.
class IdempotencyKey {
 public:
  IdempotencyKey() = default;                                   ///< none
  IdempotencyKey(std::string text) : text_(std::move(text)) {}  // NOLINT(google-explicit-constructor)
  IdempotencyKey(std::string_view text) : text_(text) {}        // NOLINT(google-explicit-constructor)
  IdempotencyKey(const char* text) : text_(text) {}             // NOLINT(google-explicit-constructor)
  IdempotencyKey(Automatic) : automatic_(true) {}               // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool is_automatic() const noexcept { return automatic_; }
  [[nodiscard]] bool is_set() const noexcept { return automatic_ || !text_.empty(); }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
  bool automatic_ = false;
};

}  // namespace norikv
