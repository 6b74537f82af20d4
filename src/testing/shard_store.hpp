#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <norikv/types.hpp>

namespace norikv::testing {

/// Lets a map with string keys be searched with a view, without a copy.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

template <class T>
using StringMap = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;

/// The data of one shard: what was applied. Owned by a model; time is passed in.
class ShardStore {
 public:
  /// What is stored under `key` and has not expired; lives until the next change. Null if there is nothing.
  [[nodiscard]] const Entry* find(std::string_view key, TimePoint now) const;

  /// `expires`: none = never.
  void put(std::string key, Entry entry, std::optional<TimePoint> expires);
  void erase(std::string_view key);

  /// What the server's log replay does: entries come back without their expiry, also those that had expired.
  void forget_expiries();

 private:
  struct Stored {
    Entry entry;
    std::optional<TimePoint> expires;
  };
  StringMap<Stored> entries_;
};

}  // namespace norikv::testing
