#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <norikv/types.hpp>

namespace norikv::util {

/// The random numbers of back-off and choice: xoshiro256** (Blackman and Vigna, 2018). A value that its user owns; the
/// same seed gives the same numbers on every system. Not for secrets.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept;

  /// 64 random bits.
  [[nodiscard]] std::uint64_t next() noexcept;
  /// In (0, 1].
  [[nodiscard]] double unit() noexcept;
  /// In [0, bound); 0 for a bound of 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept;
  /// In (0, limit], the full jitter of a back-off; 0 for a limit that is not positive.
  [[nodiscard]] Duration jitter(Duration limit) noexcept;

 private:
  std::array<std::uint64_t, 4> state_;
};

/// A seed from the system's source of randomness. [any thread]
[[nodiscard]] std::uint64_t system_seed() noexcept;

/// 128 bits from the system's source as 32 hex digits: an automatic idempotency key. [any thread]
[[nodiscard]] std::string random_token();

}  // namespace norikv::util
