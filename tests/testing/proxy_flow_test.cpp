// When which bytes pass a proxy, without a socket.
#include <string>

#include "support/catch.hpp"
#include "testing/proxy_flow.hpp"

using namespace norikv;
using namespace norikv::testing;
using namespace std::chrono_literals;

namespace {

struct Line {
  Flow flow;
  FlowConditions conditions;
  TimePoint now{1h};

  void take_in(std::string_view bytes) { flow.take_in(bytes, conditions, now); }
  /// Passes on what may pass now.
  std::string pass() {
    std::string passed(flow.ready(conditions, now));
    flow.passed_on(passed.size());
    return passed;
  }
};

}  // namespace

TEST_CASE("A flow without conditions passes everything at once, in order") {
  Line line;
  line.take_in("one ");
  line.take_in("two");
  CHECK(line.flow.next(line.conditions, line.now) == line.now);
  CHECK(line.pass() == "one two");
  CHECK(line.flow.empty());
  CHECK(line.flow.next(line.conditions, line.now) == TimePoint::max());
}

TEST_CASE("A flow that was passed on in parts goes on where it stopped") {
  Line line;
  line.take_in("abcdef");
  line.flow.passed_on(2);
  CHECK(line.flow.ready(line.conditions, line.now) == "cdef");
  line.take_in("gh");
  CHECK(line.pass() == "cdefgh");
}

TEST_CASE("Delayed bytes pass when their time has come, each after its own arrival") {
  Line line;
  line.conditions.delay = 10ms;
  const TimePoint start = line.now;
  line.take_in("a");
  line.now += 4ms;
  line.take_in("b");
  CHECK(line.flow.next(line.conditions, line.now) == start + 10ms);
  CHECK(line.pass().empty());
  line.now = start + 10ms;
  CHECK(line.pass() == "a");
  CHECK(line.flow.next(line.conditions, line.now) == start + 14ms);
  line.now = start + 14ms;
  CHECK(line.pass() == "b");
}

TEST_CASE("Bytes never overtake others when a delay is shortened") {
  Line line;
  line.conditions.delay = 10ms;
  line.take_in("a");
  line.conditions.delay = 0ms;
  line.take_in("b");
  CHECK(line.pass().empty());
  line.now += 10ms;
  CHECK(line.pass() == "ab");
}

TEST_CASE("A throttled flow passes its bytes per second, whatever comes in") {
  Line line;
  line.conditions.bytes_per_second = 1000;
  line.take_in(std::string(5000, 'x'));
  const TimePoint start = line.now;
  std::size_t passed = line.pass().size();
  while (passed < 1000) {
    const TimePoint next = line.flow.next(line.conditions, line.now);
    REQUIRE(next > line.now);
    line.now = next;
    passed += line.pass().size();
  }
  const std::chrono::duration<double> taken = line.now - start;
  CHECK(taken.count() > 0.95);
  CHECK(taken.count() < 1.05);
}

TEST_CASE("A throttled flow that had nothing to do does not save up for later") {
  Line line;
  line.conditions.bytes_per_second = 1000;
  CHECK(line.pass().empty());
  line.now += 10s;
  line.take_in(std::string(5000, 'x'));
  CHECK(line.pass().size() <= 20);
}

TEST_CASE("A flow of 0 bytes per second, or one that is held, passes nothing and waits for no time") {
  Line line;
  line.take_in("a");
  SECTION("throttled") { line.conditions.bytes_per_second = 0; }
  SECTION("held") { line.conditions.held = true; }
  CHECK(line.pass().empty());
  line.now += 1h;
  CHECK(line.pass().empty());
  CHECK(line.flow.next(line.conditions, line.now) == TimePoint::max());
  line.conditions = {};
  CHECK(line.pass() == "a");
}

TEST_CASE("A flow has room for its capacity, and again when bytes were passed on") {
  Line line;
  line.conditions.held = true;
  CHECK(line.flow.room() == Flow::capacity);
  line.take_in(std::string(Flow::capacity, 'x'));
  CHECK(line.flow.room() == 0);
  line.conditions.held = false;
  CHECK(line.pass().size() == Flow::capacity);
  CHECK(line.flow.room() == Flow::capacity);
}
