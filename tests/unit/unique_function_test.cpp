#include <norikv/unique_function.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "support/catch.hpp"

using norikv::UniqueFunction;

namespace {

/// Counts the instances that hold the capture: not those that were moved from.
class Token {
 public:
  explicit Token(int& alive) : alive_(&alive) { ++*alive_; }
  Token(Token&& other) noexcept : alive_(std::exchange(other.alive_, nullptr)) {}
  Token(const Token&) = delete;
  ~Token() {
    if (alive_ != nullptr) --*alive_;
  }

 private:
  int* alive_;
};

/// A callable of a chosen size that holds a token.
template <std::size_t Padding>
struct Sized {
  Token token;
  std::array<char, Padding> padding{};
  int operator()(int number) const { return number + 1; }
};

using Small = Sized<8>;
using Large = Sized<200>;
static_assert(sizeof(Small) <= UniqueFunction<int(int)>::inline_size);
static_assert(sizeof(Large) > UniqueFunction<int(int)>::inline_size);

static_assert(!std::is_copy_constructible_v<UniqueFunction<void()>>);
static_assert(!std::is_copy_assignable_v<UniqueFunction<void()>>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFunction<void()>>);
static_assert(std::is_nothrow_move_assignable_v<UniqueFunction<void()>>);
static_assert(!std::is_constructible_v<UniqueFunction<void(int)>, void (*)(std::string)>);

}  // namespace

TEST_CASE("A function without a callable is empty") {
  CHECK_FALSE(UniqueFunction<void()>());
  CHECK_FALSE(UniqueFunction<void()>(nullptr));
  CHECK(UniqueFunction<void()>([] {}));
}

TEMPLATE_TEST_CASE("A callable is called, wherever it is stored", "", Small, Large) {
  int alive = 0;
  UniqueFunction<int(int)> function(TestType{Token(alive)});
  CHECK(function(41) == 42);
  CHECK(function(1) == 2);
}

TEMPLATE_TEST_CASE("A callable is destroyed exactly once", "", Small, Large) {
  int alive = 0;
  {
    UniqueFunction<int(int)> function(TestType{Token(alive)});
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

TEMPLATE_TEST_CASE("Moving a function moves its callable and leaves nothing behind", "", Small, Large) {
  int alive = 0;
  UniqueFunction<int(int)> from(TestType{Token(alive)});
  UniqueFunction<int(int)> to(std::move(from));
  CHECK(alive == 1);
  CHECK_FALSE(from);  // NOLINT(bugprone-use-after-move)
  REQUIRE(to);
  CHECK(to(1) == 2);
}

TEMPLATE_TEST_CASE("Assigning to a function destroys what it held", "", Small, Large) {
  int old_alive = 0;
  int new_alive = 0;
  UniqueFunction<int(int)> function(TestType{Token(old_alive)});
  function = UniqueFunction<int(int)>(TestType{Token(new_alive)});
  CHECK(old_alive == 0);
  CHECK(new_alive == 1);
  CHECK(function(1) == 2);
  function = nullptr;
  CHECK(new_alive == 0);
  CHECK_FALSE(function);
}

TEMPLATE_TEST_CASE("Moving a function onto itself changes nothing", "", Small, Large) {
  int alive = 0;
  UniqueFunction<int(int)> function(TestType{Token(alive)});
  UniqueFunction<int(int)>& same = function;
  function = std::move(same);
  CHECK(alive == 1);
  REQUIRE(function);
  CHECK(function(1) == 2);
}

TEMPLATE_TEST_CASE("Two functions can be swapped", "", Small, Large) {
  int alive = 0;
  UniqueFunction<std::string()> one([] { return std::string("one"); });
  UniqueFunction<std::string()> two([callable = TestType{Token(alive)}] { return std::to_string(callable(1)); });
  std::swap(one, two);
  CHECK(one() == "2");
  CHECK(two() == "one");
  CHECK(alive == 1);
}

TEST_CASE("A callable may be move-only") {
  UniqueFunction<int()> function([owned = std::make_unique<int>(42)] { return *owned; });
  UniqueFunction<int()> moved = std::move(function);
  CHECK(moved() == 42);
}

TEST_CASE("Arguments may be move-only, and references stay references") {
  UniqueFunction<int(std::unique_ptr<int>, int&)> function([](std::unique_ptr<int> owned, int& counter) {
    ++counter;
    return *owned;
  });
  int counter = 0;
  CHECK(function(std::make_unique<int>(7), counter) == 7);
  CHECK(counter == 1);
}

TEST_CASE("A callable keeps its state between calls") {
  UniqueFunction<int()> function([count = 0]() mutable { return ++count; });
  CHECK(function() == 1);
  CHECK(function() == 2);
}

TEST_CASE("The result of a callable may be dropped") {
  int calls = 0;
  UniqueFunction<void()> function([&] { return ++calls; });
  function();
  CHECK(calls == 1);
}

TEST_CASE("A callable that needs a larger alignment gets it") {
  struct alignas(64) Aligned {
    std::uintptr_t operator()() const { return reinterpret_cast<std::uintptr_t>(this) % 64; }
  };
  UniqueFunction<std::uintptr_t()> function{Aligned{}};
  CHECK(function() == 0);
  UniqueFunction<std::uintptr_t()> moved(std::move(function));
  CHECK(moved() == 0);
}

TEST_CASE("A callable whose move may throw is never moved with its function") {
  struct ThrowingMove {
    explicit ThrowingMove(int& moves) : moves_(&moves) {}
    ThrowingMove(ThrowingMove&& other) noexcept(false) : moves_(other.moves_) { ++*moves_; }
    void operator()() const {}
    int* moves_;
  };
  int moves = 0;
  UniqueFunction<void()> function{ThrowingMove(moves)};
  const int stored = moves;
  UniqueFunction<void()> moved(std::move(function));
  CHECK(moves == stored);
}

TEST_CASE("A plain function pointer is a callable") {
  UniqueFunction<int(int)> function(+[](int number) { return -number; });
  CHECK(function(3) == -3);
}

TEST_CASE("A function may be moved out of its place and destroyed while another runs it") {
  // What a completion queue does: take the callback out, call it, and have it clear the queue.
  int alive = 0;
  std::optional<UniqueFunction<void()>> place;
  place.emplace([token = Token(alive), &place] { place.reset(); });
  UniqueFunction<void()> taken = std::move(*place);
  taken();
  CHECK_FALSE(place.has_value());
  CHECK(alive == 1);
  taken = nullptr;
  CHECK(alive == 0);
}
