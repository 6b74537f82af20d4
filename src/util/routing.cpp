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

namespace {

/// The jump as the paper and the server have it: divided first, then multiplied. The other order rounds differently for
/// rare hashes. Can't overflow: bucket + 1 < 2^32 and the quotient is at most 2^31.
std::int64_t jump_from(std::int64_t bucket, double divisor) noexcept {
  return static_cast<std::int64_t>(static_cast<double>(bucket + 1) * (2147483648.0 / divisor));
}

}  // namespace

// One jump waits for the one before, so what is between them counts: here an integer multiplication, where doubles take
// two conversions more. The divisions depend on the hash alone and are under way by then.
std::uint32_t jump_hash(std::uint64_t hash, std::uint32_t buckets) noexcept {
  constexpr std::int64_t one = std::int64_t{1} << 31;
  std::int64_t bucket = 0;
  std::int64_t next = 0;
  do {
    bucket = next;
    hash = hash * 2862933555777941757u + 1;
    const auto divisor = static_cast<double>(static_cast<std::int64_t>(hash >> 33) + 1);
    // The server's quotient, exactly, in units of 2^-31; what is finer is cut off.
    const auto quotient = static_cast<std::int64_t>(4611686018427387904.0 / divisor);
    std::int64_t product = 0;
    if (__builtin_mul_overflow(bucket + 1, quotient, &product)) break;  // beyond 2^32 buckets
    next = product >> 31;
    // It lacks less than bucket + 1 units by what was cut off, and the server's rounding adds at most 2^10. Where that
    // may reach the next bucket, which is rare, the server's own way decides.
    if ((product & (one - 1)) + bucket + 1 + 1024 >= one) [[unlikely]]
      next = jump_from(bucket, divisor);
  } while (next < static_cast<std::int64_t>(buckets));
  return static_cast<std::uint32_t>(bucket);
}

std::uint32_t shard_of(std::string_view key, std::uint32_t total_shards) noexcept {
  return jump_hash(key_hash(key), total_shards);
}

}  // namespace norikv
