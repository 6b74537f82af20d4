#pragma once

#include <cstdint>
#include <string_view>

#include <norikv/export.hpp>

namespace norikv {

/// The hash the server places keys by: XXH64 with seed 0 over the raw bytes of the key.
/// [any thread] No allocation.
[[nodiscard]] NORIKV_EXPORT std::uint64_t key_hash(std::string_view key) noexcept;

/// Jump Consistent Hash (Lamping and Veach, 2014) in the server's order of floating-point operations: divide, then
/// multiply. Result in [0, buckets); `buckets` 0 is treated as 1. [any thread] No allocation.
[[nodiscard]] NORIKV_EXPORT std::uint32_t jump_hash(std::uint64_t hash, std::uint32_t buckets) noexcept;

/// The shard that holds `key` in a cluster of `total_shards`: `jump_hash(key_hash(key), total_shards)`.
/// The same number as the server computes, as long as `total_shards` is the server's. [any thread] No allocation.
[[nodiscard]] NORIKV_EXPORT std::uint32_t shard_of(std::string_view key, std::uint32_t total_shards) noexcept;

}  // namespace norikv
