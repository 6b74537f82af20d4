#include "util/random.hpp"

#include <algorithm>
#include <bit>
#include <random>

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

namespace norikv::util {
namespace {

/// One step of splitmix64: spreads a seed over the generator's state, as xoshiro's authors advise.
std::uint64_t split_mix(std::uint64_t& state) noexcept {
  std::uint64_t mixed = state += 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
  return mixed ^ mixed >> 31;
}

std::array<std::uint64_t, 2> system_bits() noexcept {
  std::array<std::uint64_t, 2> bits{};
  if (::getentropy(bits.data(), sizeof bits) == 0) return bits;
  // A kernel without the call, or a sandbox that forbids it; this one opens a device file.
  std::random_device device;
  for (std::uint64_t& word : bits) word = std::uint64_t{device()} << 32 | device();
  return bits;
}

}  // namespace

Random::Random(std::uint64_t seed) noexcept {
  for (std::uint64_t& word : state_) word = split_mix(seed);
}

std::uint64_t Random::next() noexcept {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double Random::unit() noexcept { return static_cast<double>((next() >> 11) + 1) * 0x1p-53; }

std::uint64_t Random::below(std::uint64_t bound) noexcept {
  if (bound == 0) return 0;
  // Numbers above the largest multiple of `bound` are drawn again, else the low ones came more often.
  const std::uint64_t excess = (0 - bound) % bound;
  std::uint64_t drawn = next();
  while (drawn < excess) drawn = next();
  return drawn % bound;
}

Duration Random::jitter(Duration limit) noexcept {
  return limit.count() <= 0 ? Duration{0}
                            : Duration{static_cast<std::int64_t>(below(static_cast<std::uint64_t>(limit.count()))) + 1};
}

std::uint64_t system_seed() noexcept { return system_bits()[0]; }

std::string random_token() {
  const auto bits = system_bits();
  return fmt::format("{:016x}{:016x}", bits[0], bits[1]);
}

}  // namespace norikv::util
