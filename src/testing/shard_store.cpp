#include "testing/shard_store.hpp"

#include <utility>

namespace norikv::testing {

const Entry* ShardStore::find(std::string_view key, TimePoint now) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  if (found->second.expires && *found->second.expires <= now) return nullptr;
  return &found->second.entry;
}

void ShardStore::put(std::string key, Entry entry, std::optional<TimePoint> expires) {
  entries_.insert_or_assign(std::move(key), Stored{std::move(entry), expires});
}

void ShardStore::erase(std::string_view key) {
  if (const auto found = entries_.find(key); found != entries_.end()) entries_.erase(found);
}

void ShardStore::forget_expiries() {
  for (auto& [key, stored] : entries_) stored.expires.reset();
}

}  // namespace norikv::testing
