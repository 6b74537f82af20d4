#include <norikv/routing.hpp>

#include <cfloat>
#include <limits>

// The implementation comes with the header: short keys are hashed without a call into a shared library.
#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__FAST_MATH__)
#error "The shard of a key depends on exact IEEE arithmetic: build without -ffast-math"
#endif

namespace norikv {

static_assert(std::numeric_limits<double>::is_iec559 && FLT_EVAL_METHOD == 0,
              "the shard of a key depends on IEEE doubles without excess precision");

std::uint64_t key_hash(std::string_view key) noexcept { return XXH64(key.data(), key.size(), 0); }

std::uint32_t jump_hash(std::uint64_t hash, std::uint32_t buckets) noexcept {
  std::int64_t bucket = 0;
  std::int64_t next = 0;
  do {
    bucket = next;
    hash = hash * 2862933555777941757u + 1;
    // Divided first, then multiplied, as in the paper and the server: the other order rounds differently for rare
    // hashes. Can't overflow: bucket + 1 < 2^32 and the quotient is at most 2^31.
    next = static_cast<std::int64_t>(static_cast<double>(bucket + 1) *
                                     (2147483648.0 / static_cast<double>((hash >> 33) + 1)));
  } while (next < static_cast<std::int64_t>(buckets));
  return static_cast<std::uint32_t>(bucket);
}

std::uint32_t shard_of(std::string_view key, std::uint32_t total_shards) noexcept {
  return jump_hash(key_hash(key), total_shards);
}

}  // namespace norikv
