#include <norikv/persistent_vector.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "support/catch.hpp"

using Numbers = norikv::PersistentVector<int, 4>;

namespace {

Numbers::Editor counting_to(std::size_t size) {
  Numbers::Editor editor;
  editor.assign(size, [](std::size_t i) { return static_cast<int>(i); });
  return editor;
}

std::vector<int> elements(const Numbers& numbers) { return {numbers.begin(), numbers.end()}; }

}  // namespace

TEST_CASE("A sequence that was never filled is empty") {
  const Numbers numbers;
  CHECK(numbers.empty());
  CHECK(numbers.begin() == numbers.end());
  CHECK(counting_to(0).share().empty());
}

TEST_CASE("A sequence has its elements in order, across chunks") {
  const Numbers numbers = counting_to(10).share();
  CHECK(elements(numbers) == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(numbers.size() == 10);
  CHECK(numbers.front() == 0);
  CHECK(numbers.back() == 9);
  CHECK(*std::lower_bound(numbers.begin(), numbers.end(), 7) == 7);
  CHECK(elements({3, 1, 2}) == std::vector<int>{3, 1, 2});
}

TEST_CASE("What was shared keeps what it shows") {
  Numbers::Editor editor = counting_to(6);
  const Numbers before = editor.share();
  editor.set(1, 100);
  const Numbers between = editor.share();
  editor.set(1, 200);
  editor.set(5, 500);
  CHECK(elements(before) == std::vector<int>{0, 1, 2, 3, 4, 5});
  CHECK(elements(between) == std::vector<int>{0, 100, 2, 3, 4, 5});
  CHECK(elements(editor.share()) == std::vector<int>{0, 200, 2, 3, 4, 500});
}

TEST_CASE("Versions share the chunks that did not change") {
  Numbers::Editor editor = counting_to(12);
  const Numbers before = editor.share();
  editor.set(5, 50);
  const Numbers after = editor.share();
  CHECK(&before[0] == &after[0]);
  CHECK(&before[5] != &after[5]);
  CHECK(&before[8] == &after[8]);
}
