#include "simulation/linearizability.hpp"

#include <algorithm>

#include "support/catch.hpp"
#include "util/random.hpp"

using namespace norikv::simulation;

namespace {

constexpr std::uint64_t never = Access::never;

Access put(Value value, std::uint64_t begin, std::uint64_t end) {
  return {Access::Kind::put, value, missing, begin, end};
}
Access removed(std::uint64_t begin, std::uint64_t end) { return {Access::Kind::remove, missing, missing, begin, end}; }
Access got(Value value, std::uint64_t begin, std::uint64_t end) {
  return {Access::Kind::get, value, missing, begin, end};
}
Access replaced(Value expected, Value value, std::uint64_t begin, std::uint64_t end) {
  return {Access::Kind::replace, value, expected, begin, end};
}
Access inserted(Value value, std::uint64_t begin, std::uint64_t end) {
  return {Access::Kind::insert, value, missing, begin, end};
}
Access removed_if(Value expected, std::uint64_t begin, std::uint64_t end) {
  return {Access::Kind::remove_if, missing, expected, begin, end};
}
Access mortal(Value value, std::uint64_t begin, std::uint64_t end, std::uint64_t expires) {
  Access access = put(value, begin, end);
  access.expires = expires;
  return access;
}
Access revived(std::uint64_t at) { return {Access::Kind::revive, missing, missing, at, at}; }
Access mismatched(Value expected, std::uint64_t begin, std::uint64_t end) {
  return {Access::Kind::mismatch, missing, expected, begin, end};
}

bool passes(std::vector<Access> history) { return check_register(std::move(history)) == Linearizability::yes; }
bool fails(std::vector<Access> history) { return check_register(std::move(history)) == Linearizability::no; }

/// Operations that really took effect one after the other, each somewhere between its begin and its end.
class Truth {
 public:
  explicit Truth(std::uint64_t seed) : random_(seed) {}

  std::vector<Access> history(std::size_t count) {
    std::vector<Access> made;
    for (std::size_t i = 0; i < count; ++i) made.push_back(access(100 * (i + 1)));
    return made;
  }

 private:
  Access access(std::uint64_t moment) {
    Access made;
    made.begin = moment - random_.below(400) % moment;
    made.end = moment + random_.below(400);
    switch (random_.below(6)) {
      case 0:
        made.kind = Access::Kind::put;
        made.value = value_ = ++last_;
        break;
      case 1:
        made.kind = Access::Kind::remove;
        value_ = missing;
        break;
      case 2:
        made.expected = random_.below(2) == 0 ? value_ : 1 + random_.below(last_ + 1);
        if (made.expected == value_ && value_ != missing) {
          made.kind = random_.below(3) == 0 ? Access::Kind::remove_if : Access::Kind::replace;
          made.value = value_ = made.kind == Access::Kind::replace ? ++last_ : missing;
        } else {
          made.kind = made.expected == value_ ? Access::Kind::get : Access::Kind::mismatch;
        }
        break;
      case 3:
        made.kind = value_ == missing ? Access::Kind::insert : Access::Kind::get;
        if (value_ == missing) value_ = ++last_;
        made.value = value_;
        break;
      default:
        made.value = value_;
    }
    const bool changes = made.kind != Access::Kind::get && made.kind != Access::Kind::mismatch;
    if (changes && random_.below(6) == 0) made.end = never;
    return made;
  }

  norikv::util::Random random_;
  Value value_ = missing;
  Value last_ = 0;
};

}  // namespace

TEST_CASE("A history without operations is linearizable") { CHECK(passes({})); }

TEST_CASE("Operations one after the other are linearizable if each sees the one before") {
  CHECK(passes({got(missing, 1, 2), put(1, 3, 4), got(1, 5, 6), removed(7, 8), got(missing, 9, 10), put(2, 11, 12),
                replaced(2, 3, 13, 14), got(3, 15, 16), mismatched(2, 17, 18)}));
}

TEST_CASE("A read that misses an acknowledged write is not linearizable") {
  CHECK(fails({put(1, 1, 2), got(missing, 3, 4)}));
  CHECK(fails({put(1, 1, 2), put(2, 3, 4), got(1, 5, 6)}));
}

TEST_CASE("A read of what nobody wrote is not linearizable") { CHECK(fails({put(1, 1, 2), got(7, 3, 4)})); }

TEST_CASE("A read before its write began is not linearizable") { CHECK(fails({got(1, 1, 2), put(1, 3, 4)})); }

TEST_CASE("A read of a removed key is not linearizable") { CHECK(fails({put(1, 1, 2), removed(3, 4), got(1, 5, 6)})); }

TEST_CASE("Operations at the same time may be in either order") {
  CHECK(passes({put(1, 1, 10), put(2, 2, 9), got(1, 11, 12)}));
  CHECK(passes({put(1, 1, 10), put(2, 2, 9), got(2, 11, 12)}));
  CHECK(passes({put(1, 1, 10), got(missing, 2, 3), got(1, 4, 5)}));
}

TEST_CASE("A value that was seen does not go back") {
  CHECK(fails({put(1, 1, 10), got(1, 2, 3), got(missing, 4, 5)}));
  CHECK(fails({put(1, 1, 20), put(2, 1, 20), got(1, 2, 3), got(2, 4, 5), got(1, 6, 7)}));
}

TEST_CASE("A write of unknown outcome may have taken effect at any later time, or never") {
  CHECK(passes({put(1, 1, 2), put(2, 3, never), got(1, 5, 6)}));
  CHECK(passes({put(1, 1, 2), put(2, 3, never), got(1, 5, 6), got(2, 7, 8)}));
  CHECK(passes({put(1, 1, 2), removed(3, never), got(1, 5, 6), got(missing, 7, 8)}));
}

TEST_CASE("A write of unknown outcome takes effect once") {
  CHECK(fails({put(1, 1, 2), put(2, 3, never), got(2, 5, 6), put(3, 7, 8), got(2, 9, 10)}));
  CHECK(fails({put(1, 1, 2), removed(3, never), got(missing, 5, 6), put(2, 7, 8), got(missing, 9, 10)}));
}

TEST_CASE("A write of unknown outcome takes no effect before it began") {
  CHECK(fails({got(1, 1, 2), put(1, 3, never)}));
}

TEST_CASE("Two writes over one value are not linearizable") {
  CHECK(passes({put(1, 1, 2), replaced(1, 2, 3, 10)}));
  CHECK(fails({put(1, 1, 2), replaced(1, 2, 3, 10), replaced(1, 3, 4, 9)}));
}

TEST_CASE("A write over a missing key is not linearizable") {
  CHECK(fails({put(1, 1, 2), removed(3, 4), replaced(1, 2, 5, 6)}));
}

TEST_CASE("A write on condition that the key is missing needs a moment at which it is") {
  CHECK(passes({inserted(1, 1, 2), removed(3, 4), inserted(2, 5, 6), got(2, 7, 8)}));
  CHECK(passes({put(1, 1, 2), removed(3, never), inserted(2, 5, 6)}));
  CHECK(fails({put(1, 1, 2), inserted(2, 3, 4)}));
  CHECK(fails({inserted(1, 1, 10), inserted(2, 2, 9)}));
}

TEST_CASE("A remove on condition needs a moment at which the value is there") {
  CHECK(passes({put(1, 1, 2), removed_if(1, 3, 4), got(missing, 5, 6)}));
  CHECK(fails({put(1, 1, 2), put(2, 3, 4), removed_if(1, 5, 6)}));
  CHECK(fails({put(1, 1, 2), removed_if(1, 3, 10), removed_if(1, 4, 9)}));
}

TEST_CASE("A mismatch needs a moment at which another value was there") {
  CHECK(fails({put(1, 1, 2), mismatched(1, 3, 4)}));
  CHECK(passes({put(1, 1, 2), put(2, 3, 10), mismatched(1, 4, 5)}));
  CHECK(passes({put(1, 1, 2), put(2, 3, never), mismatched(1, 4, 5)}));
}

TEST_CASE("A value with a time to live is there until it ends, and missing afterwards") {
  CHECK(passes({mortal(1, 1, 2, 9), got(1, 3, 4), got(missing, 10, 11)}));
  CHECK(passes({mortal(1, 1, 2, 9), got(1, 8, 10), got(missing, 8, 10)}));
  CHECK(fails({mortal(1, 1, 2, 9), got(1, 10, 11)}));
  CHECK(fails({mortal(1, 1, 2, 9), got(missing, 3, 4)}));
  CHECK(fails({mortal(1, 1, 2, 9), got(missing, 8, 10), got(1, 11, 12)}));
}

TEST_CASE("The end of a value is not that of the next one") {
  CHECK(passes({mortal(1, 1, 2, 9), put(2, 3, 4), got(2, 10, 11)}));
  CHECK(passes({mortal(1, 1, 2, 9), inserted(2, 10, 11), got(2, 12, 13)}));
  CHECK(fails({mortal(1, 1, 2, 9), put(2, 3, 4), got(missing, 10, 11)}));
  CHECK(fails({mortal(1, 1, 2, 9), inserted(2, 3, 4)}));
}

TEST_CASE("A value can end before its write is answered, and of a write of unknown outcome") {
  CHECK(passes({mortal(1, 1, 20, 9), got(1, 3, 4), got(missing, 10, 11)}));
  CHECK(passes({mortal(1, 1, 20, 9), got(missing, 3, 4), got(missing, 10, 11)}));
  CHECK(fails({mortal(1, 1, 20, 9), got(1, 10, 11)}));
  CHECK(passes({put(1, 1, 2), mortal(2, 3, never, 9), got(missing, 10, 11)}));
  CHECK(fails({put(1, 1, 2), mortal(2, 3, never, 9), got(1, 10, 11)}));
}

TEST_CASE("What is conditional on a value needs it before its end") {
  CHECK(passes({mortal(1, 1, 2, 9), replaced(1, 2, 8, 12), got(2, 13, 14)}));
  CHECK(fails({mortal(1, 1, 2, 9), replaced(1, 2, 10, 12)}));
  CHECK(fails({mortal(1, 1, 2, 9), removed_if(1, 10, 12)}));
  CHECK(passes({mortal(1, 1, 2, 9), mismatched(1, 10, 12)}));
  CHECK(fails({mortal(1, 1, 2, 9), mismatched(1, 3, 4)}));
}

TEST_CASE("What has expired comes back where the end is forgotten, unless it was overwritten") {
  CHECK(passes({mortal(1, 1, 2, 9), got(missing, 10, 11), revived(15), got(1, 16, 17)}));
  CHECK(fails({mortal(1, 1, 2, 9), got(missing, 10, 11), revived(15), got(missing, 16, 17)}));
  CHECK(passes({mortal(1, 1, 2, 9), removed(10, 11), revived(15), got(missing, 16, 17)}));
  CHECK(fails({mortal(1, 1, 2, 9), removed(10, 11), revived(15), got(1, 16, 17)}));
  CHECK(passes({mortal(1, 1, 2, 9), removed(10, never), revived(15), got(1, 16, 17), got(missing, 18, 19)}));
  CHECK(fails({mortal(1, 1, 2, 9), put(2, 10, 11), revived(15), got(1, 16, 17)}));
}

TEST_CASE("A lost acknowledged write is found among many concurrent operations") {
  std::vector<Access> history;
  for (Value value = 1; value <= 60; ++value) history.push_back(put(value, value, 100 + value));
  history.push_back(got(30, 200, 201));
  CHECK(passes(history));
  history.push_back(put(100, 202, 203));
  history.push_back(got(30, 204, 205));
  CHECK(fails(history));
}

TEST_CASE("Many removes of unknown outcome do not make the search long") {
  std::vector<Access> history;
  for (std::uint64_t i = 0; i < 40; ++i) history.push_back(removed(10 * i, never));
  for (Value value = 1; value <= 40; ++value) {
    history.push_back(put(value, 1000 + 10 * value, 1002 + 10 * value));
    history.push_back(got(value % 2 == 0 ? value : missing, 1004 + 10 * value, 1006 + 10 * value));
  }
  CHECK(passes(history));
  history.push_back(put(100, 2000, 2001));
  history.push_back(got(99, 2002, 2003));
  CHECK(fails(history));
}

TEST_CASE("A history of more operations than fit is not called linearizable") {
  std::vector<Access> history;
  for (Value value = 1; value <= max_accesses + 1; ++value) history.push_back(put(value, 2 * value, 2 * value + 1));
  CHECK(check_register(history) == Linearizability::undecided);
}

TEST_CASE("Whatever really happened one after the other is linearizable, and a read that is changed is not") {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    INFO("seed " << seed);
    Truth truth{seed};
    std::vector<Access> history = truth.history(60);
    REQUIRE(check_register(history) == Linearizability::yes);
    // A read of a value that was overwritten long before.
    const auto late = std::find_if(history.rbegin(), history.rend(),
                                   [](const Access& access) { return access.kind == Access::Kind::get; });
    const auto early = std::find_if(history.begin(), history.end(), [](const Access& access) {
      return access.kind == Access::Kind::put && access.end != never;
    });
    if (late == history.rend() || early == history.end() || late->value == early->value) continue;
    if (late->begin < early->end + 2000) continue;
    late->value = early->value;
    REQUIRE(check_register(history) == Linearizability::no);
    ++found;
  }
  CHECK(found > 300);
}
