#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <norikv/error.hpp>
#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

namespace norikv {

/// What an update function decides about an entry: to leave it, or to store a new value. Made by `keep` and `store`.
class Change {
 public:
  /// The entry stays as it is: nothing is written.
  [[nodiscard]] static Change keep() { return {}; }
  /// `value` takes its place, for `ttl` if that is given (positive; under 1 ms rounds up).
  [[nodiscard]] static Change store(std::string value, std::optional<Duration> ttl = {}) {
    Change change;
    change.value_ = std::move(value);
    change.ttl_ = ttl;
    return change;
  }

  /// The new value; none = keep.
  [[nodiscard]] const std::optional<std::string>& value() const noexcept { return value_; }
  [[nodiscard]] const std::optional<Duration>& ttl() const noexcept { return ttl_; }

 private:
  std::optional<std::string> value_;
  std::optional<Duration> ttl_;
};

/// How an update ended well.
struct Updated {
  /// The version that was written, or that of the entry that was kept; none if the key is missing and stays so.
  std::optional<Version> version;
  bool stored = false;       ///< Whether anything was written.
  std::uint32_t rounds = 0;  ///< How often the update function ran.
};

/// Gets the entry as it is (none: the key is missing) and says what becomes of it. Called on the loop's thread, once a
/// round: it should depend on its argument alone. It may call the client.
using UpdateFunction = UniqueFunction<Change(const std::optional<Entry>&)>;
using UpdateCallback = UniqueFunction<void(Result<Updated>)>;

}  // namespace norikv
