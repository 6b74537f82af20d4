#include "util/random.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "support/catch.hpp"

using namespace norikv;
using namespace std::chrono_literals;
using util::Random;

TEST_CASE("The generator is xoshiro256** seeded by splitmix64") {
  // splitmix64 gives 16294208416658607535, 7960286522194355700, ... for the seed 0; xoshiro256**'s first number from
  // that state is rotl(state[1] * 5, 7) * 9.
  const std::uint64_t product = 7960286522194355700u * 5;
  CHECK(Random(0).next() == (product << 7 | product >> 57) * 9);
}

TEST_CASE("The same seed gives the same numbers, another seed gives others") {
  Random one(7);
  Random same(7);
  Random other(8);
  int equal = 0;
  for (int draw = 0; draw < 100; ++draw) {
    const std::uint64_t number = one.next();
    REQUIRE(same.next() == number);
    equal += other.next() == number;
  }
  CHECK(equal == 0);
}

TEST_CASE("A unit number is above 0, at most 1, and a half on average") {
  Random random(1);
  double sum = 0;
  for (int draw = 0; draw < 100'000; ++draw) {
    const double unit = random.unit();
    REQUIRE(unit > 0);
    REQUIRE(unit <= 1);
    sum += unit;
  }
  CHECK(sum / 100'000 == Approx(0.5).margin(0.01));
}

TEST_CASE("Numbers below a bound come equally often") {
  Random random(2);
  std::array<int, 7> drawn{};
  for (int draw = 0; draw < 70'000; ++draw) ++drawn.at(random.below(7));
  for (const int times : drawn) CHECK(times == Approx(10'000).margin(500));
}

TEST_CASE("Below a bound that is no power of two the upper numbers come as often as the lower ones") {
  Random random(3);
  const std::uint64_t bound = std::uint64_t{3} << 62;  // without care the lowest third came twice as often
  int low = 0;
  for (int draw = 0; draw < 30'000; ++draw) low += random.below(bound) < bound / 3;
  CHECK(low == Approx(10'000).margin(500));
}

TEST_CASE("There is no number below 0") {
  Random random(4);
  CHECK(random.below(0) == 0);
  CHECK(random.below(1) == 0);
}

TEST_CASE("Jitter is above zero and reaches its limit") {
  Random random(5);
  std::set<Duration> drawn;
  for (int draw = 0; draw < 1000; ++draw) drawn.insert(random.jitter(4ns));
  CHECK(drawn == std::set<Duration>{1ns, 2ns, 3ns, 4ns});
  CHECK(random.jitter(0ns) == 0ns);
  CHECK(random.jitter(-5ns) == 0ns);
}

TEST_CASE("A token is 32 hex digits and never the same") {
  std::set<std::string> tokens;
  for (int draw = 0; draw < 1000; ++draw) {
    const std::string token = util::random_token();
    REQUIRE(token.size() == 32);
    REQUIRE(token.find_first_not_of("0123456789abcdef") == std::string::npos);
    tokens.insert(token);
  }
  CHECK(tokens.size() == 1000);
}

TEST_CASE("The system's seeds differ") { CHECK(util::system_seed() != util::system_seed()); }
