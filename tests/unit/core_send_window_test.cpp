#include "core/send_window.hpp"

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1h};
constexpr std::size_t initial = 64;

}  // namespace

TEST_CASE("A node that has not answered gets so many requests, and twice as many as it had when it answered") {
  SendWindow window;
  CHECK(window.size(initial, start) == 64);
  window.on_answer(10, start);
  CHECK(window.size(initial, start) == 64);
  window.on_answer(64, start);
  CHECK(window.size(initial, start) == 128);
  window.on_answer(100, start);
  window.on_answer(1, start);
  CHECK(window.size(initial, start) == 200);
}

TEST_CASE("What a node had on its way counts for one to two seconds") {
  SendWindow window;
  window.on_answer(100, start + 500ms);
  window.on_answer(80, start + 1400ms);
  CHECK(window.size(initial, start + 1499ms) == 200);
  CHECK(window.size(initial, start + 1500ms) == 200);
  CHECK(window.size(initial, start + 2499ms) == 200);
  window.on_answer(40, start + 2499ms);
  CHECK(window.size(initial, start + 2500ms) == 80);
  CHECK(window.size(initial, start + 4500ms) == 64);
}

TEST_CASE("What a node had on its way counts no longer when nobody has asked for a while") {
  SendWindow window;
  window.on_answer(100, start);
  CHECK(window.size(initial, start + 1900ms) == 200);
  CHECK(window.size(initial, start + 2000ms) == 64);
}

TEST_CASE("A node that fell silent begins anew") {
  SendWindow window;
  window.on_answer(1000, start);
  window.on_silence();
  CHECK(window.size(initial, start) == 64);
}
