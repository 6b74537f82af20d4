#include "support/session_script.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

TEST_CASE("A known leader is asked at once") {
  Script script{nodes(3)};
  lead(script, 4, 2);
  const auto write = script.put(4);
  script.answer(script.expect(a_put, 2), written(1));
  const auto read = script.get(4);
  script.answer(script.expect(a_get, 2), found("value"));
  const auto removal = script.remove(4);
  script.answer(script.expect(a_remove, 2), removed(2));
  CHECK(write.succeeded());
  CHECK(read.succeeded());
  CHECK(removal.version() == Version{0, 2});
}

TEST_CASE("A write that succeeded keeps its node as the leader") {
  Script script{nodes(2)};
  lead(script, 4, 0);
  static_cast<void>(script.put(4));
  script.answer(script.expect(a_put, 0), written(1));
  CHECK(script.leader(4) == 0);
}

TEST_CASE("A leader that refuses is no leader any more, and the shard is searched") {
  Script script{nodes(2)};
  lead(script, 4, 0);
  const auto write = script.put(4);
  script.answer(script.expect(a_put, 0), not_leader());
  CHECK(script.leader(4) == -1);
  script.answer(script.expect(a_get), not_leader());
  script.answer(script.expect(a_get, 1), missing());
  script.answer(script.expect(a_put, 1), written(1));
  CHECK(write.succeeded());
  CHECK(script.counters().not_leader.value() == 2);
}

TEST_CASE("A hint with a configured address is followed at once") {
  Script script{nodes(3)};
  lead(script, 4, 0);
  const auto write = script.put(4);
  script.answer(script.expect(a_put, 0), not_leader(address_of(2)));
  script.answer(script.expect(a_put, 2), written(1));
  CHECK(write.succeeded());
  CHECK(script.leader(4) == 2);
}

TEST_CASE("A hint under the vector service's key is followed too") {
  Script script{nodes(2)};
  lead(script, 4, 0);
  static_cast<void>(script.put(4));
  Answer answer = not_leader();
  answer.metadata.emplace_back("x-norikv-leader", address_of(1));
  script.answer(script.expect(a_put, 0), answer);
  static_cast<void>(script.expect(a_put, 1));
}

TEST_CASE("A hint with a node's id is followed, with the shard's suffix or without") {
  for (const std::string hint : {"node1", "node1-shard4"}) {
    INFO(hint);
    Script script{watched_nodes(2)};
    script.claims(0, {4});
    script.claims(1, {});
    static_cast<void>(script.put(4));
    script.answer(script.expect(a_put, 0), not_leader(hint));
    static_cast<void>(script.expect(a_put, 1));
  }
}

TEST_CASE("A hint that names nobody we know is no hint") {
  for (const std::string hint : {"10.0.0.9:7447", "node9-shard4", "-shard4", "\x01\xff", "a:7448"}) {
    INFO(hint);
    Script script{nodes(2)};
    lead(script, 4, 0);
    static_cast<void>(script.put(4));
    script.answer(script.expect(a_put, 0), not_leader(hint));
    CHECK(script.leader(4) == -1);
    static_cast<void>(script.expect(a_get));  // a probe
  }
}

TEST_CASE("An empty hint is no hint") {
  Script script{nodes(2)};
  lead(script, 4, 0);
  static_cast<void>(script.put(4));
  Answer answer = not_leader();
  answer.metadata.emplace_back("leader-hint", "");
  script.answer(script.expect(a_put, 0), answer);
  CHECK(script.leader(4) == -1);
}

TEST_CASE("A node that refuses and names itself is refused") {
  Script script{nodes(2)};
  lead(script, 4, 0);
  static_cast<void>(script.put(4));
  script.answer(script.expect(a_put, 0), not_leader(address_of(0)));
  CHECK(script.leader(4) == -1);
  static_cast<void>(script.expect(a_get));
}

TEST_CASE("Two nodes that name each other are asked with pauses, not in a circle at full speed") {
  Script script{nodes(2)};
  lead(script, 4, 0);
  const auto write = script.put(4, {.timeout = 2s});
  int requests = 0;
  while (write.pending()) {
    for (const OnWire& request : script.unanswered()) {
      script.answer(request, not_leader(address_of(1 - request.node)));
      REQUIRE(++requests < 200);
    }
    script.wait(1ms);
  }
  CHECK(requests >= 8);
  CHECK(requests <= 60);
  CHECK(write.failed_with(ErrorCode::deadline_exceeded));
  CHECK(write.error().attempts.back().outcome == ErrorCode::not_leader);
}

TEST_CASE("A hint to a probe is tried by the probe, and those who wait come when it was right") {
  auto options = nodes(3);
  options.writes.in_flight_per_shard = 0;
  Script script{options};
  static_cast<void>(script.put(0));
  static_cast<void>(script.put(0));
  script.answer(script.expect(a_get, 0), not_leader(address_of(2)));
  const auto probe = script.expect(a_get, 2);
  CHECK(script.quiet());
  script.answer(probe, missing());
  static_cast<void>(script.expect(a_put, 2));
  static_cast<void>(script.expect(a_put, 2));
}

TEST_CASE("An operation follows hints at once, but never back, and only so many") {
  auto options = nodes(4);
  options.retry.max_hint_hops = 2;
  Script script{options};
  lead(script, 4, 0);
  static_cast<void>(script.put(4));
  script.answer(script.expect(a_put, 0), not_leader(address_of(1)));
  script.answer(script.expect(a_put, 1), not_leader(address_of(2)));
  script.answer(script.expect(a_put, 2), not_leader(address_of(3)));
  CHECK(script.expect(a_get).probe);  // the third hint is one too many: a search
  CHECK(script.counters().hints_followed.value() == 2);
}

TEST_CASE("A leader that is only hinted at is tried by one operation, not by all that come") {
  auto options = nodes(2);
  options.writes.in_flight_per_shard = 0;
  Script script{options};
  lead(script, 4, 0);
  static_cast<void>(script.put(4));
  script.answer(script.expect(a_put, 0), not_leader(address_of(1)));
  const auto follower = script.expect(a_put, 1);
  for (int i = 0; i < 10; ++i) static_cast<void>(script.put(4));
  static_cast<void>(script.expect(a_get, 1));  // one search for all ten
  CHECK(script.quiet());
  script.answer(follower, written(1));
  for (int i = 0; i < 10; ++i) static_cast<void>(script.expect(a_put, 1));
}

TEST_CASE("A connection that can't be made sends the shard's operations to search") {
  Script script{nodes(2)};
  lead(script, 4, 0);
  const auto write = script.put(4);
  script.answer(script.expect(a_put, 0), not_sent());
  CHECK(script.leader(4) == -1);
  script.wait(20ms);
  const auto probe = script.expect(a_get);
  script.answer(probe, probe.node == 1 ? missing() : not_sent());
  if (probe.node == 0) script.answer(script.expect(a_get, 1), missing());
  script.answer(script.expect(a_put, 1), written(1));
  CHECK(write.succeeded());
}

TEST_CASE("A refusal that was asked before the leader was known is old news") {
  auto options = nodes(2);
  options.writes.in_flight_per_shard = 0;
  Script script{options};
  lead(script, 4, 0);
  const auto slow = script.put(4);
  const auto slow_request = script.expect(a_put, 0);
  script.wait(10ms);
  const auto fast = script.put(4);
  script.answer(script.expect(a_put, 0), written(1));
  CHECK(fast.succeeded());
  script.answer(slow_request, not_leader());
  CHECK(script.leader(4) == 0);
  static_cast<void>(script.expect(a_put, 0));
}

TEST_CASE("A read that a node refuses for its level's name is repeated in the other dialect, at once and there") {
  Script script{nodes(1)};
  const auto read = script.get(4, {.consistency = Consistency::linearizable});
  const auto first = script.expect(a_get, 0);
  CHECK(first.level == "strong");
  script.answer(first, status(3, "Unknown consistency level: strong"));
  const auto second = script.expect(a_get, 0);
  CHECK(second.level == "linearizable");
  script.answer(second, found("value"));
  CHECK(read.succeeded());
}

TEST_CASE("A node's dialect is remembered, and is its own") {
  Script script{nodes(2)};
  const Read stale{.consistency = Consistency::stale};
  static_cast<void>(script.get(0, stale));
  script.answer(script.expect(a_get, 0), status(3, "Unknown consistency level: eventual"));
  script.answer(script.expect(a_get, 0), missing());
  static_cast<void>(script.get(2, stale));
  CHECK(script.expect(a_get, 0).level == "stale_ok");
  static_cast<void>(script.get(1, stale));
  CHECK(script.expect(a_get, 1).level == "eventual");
}

TEST_CASE("A refusal of a name that was sent before the dialect changed does not change it back") {
  Script script{nodes(1)};
  const Read stale{.consistency = Consistency::stale};
  static_cast<void>(script.get(0, stale));
  static_cast<void>(script.get(0, stale));
  const auto first = script.expect(a_get);
  const auto second = script.expect(a_get);
  script.answer(first, status(3, "Unknown consistency level: eventual"));
  CHECK(script.expect(a_get).level == "stale_ok");
  script.answer(second, status(3, "Unknown consistency level: eventual"));
  CHECK(script.expect(a_get).level == "stale_ok");
}

TEST_CASE("A level whose names are both refused is an invalid argument") {
  Script script{nodes(1)};
  const auto read = script.get(4, {.consistency = Consistency::bounded});
  script.answer(script.expect(a_get), status(3, "Unknown consistency level: bounded_staleness"));
  script.answer(script.expect(a_get), status(3, "Unknown consistency level: stale_ok"));
  CHECK(read.failed_with(ErrorCode::invalid_argument));
  CHECK(read.error().attempts_made == 2);
}

TEST_CASE("Both names are tried on each node") {
  Script script{nodes(2)};
  const auto read = script.get(0, {.consistency = Consistency::linearizable});
  script.answer(script.expect(a_get, 0), status(3, "Unknown consistency level: strong"));
  script.answer(script.expect(a_get, 0), not_leader());
  script.answer(script.expect(a_get, 1), status(3, "Unknown consistency level: strong"));
  const auto last = script.expect(a_get, 1);
  CHECK(last.level == "linearizable");
  script.answer(last, found("value"));
  CHECK(read.succeeded());
}

TEST_CASE("A text of the user's is sent as it is, and is not repeated in other words") {
  Script script{nodes(1)};
  static_cast<void>(script.get(0));
  script.answer(script.expect(a_get), missing());
  const auto read = script.get(0, {.text = "quorum"});
  const auto request = script.expect(a_get);
  CHECK(request.level == "quorum");
  script.answer(request, status(3, "Unknown consistency level: quorum"));
  CHECK(read.failed_with(ErrorCode::invalid_argument));
  CHECK(script.quiet());
}

TEST_CASE("A text of the user's that is refused says nothing about the node's dialect") {
  Script script{nodes(1)};
  static_cast<void>(script.get(0));
  script.answer(script.expect(a_get), missing());
  static_cast<void>(script.get(0, {.text = "quorum"}));
  script.answer(script.expect(a_get), status(3, "Unknown consistency level: quorum"));
  static_cast<void>(script.get(0, {.consistency = Consistency::linearizable}));
  CHECK(script.expect(a_get).level == "strong");
}

TEST_CASE("A leader that let two requests run out of time is looked past, whoever asked") {
  // Neither request is repeated: one has a short time, the other is a write without a key.
  Script script{nodes(2)};
  lead(script, 4, 0);
  const auto read = script.get(4, {.timeout = 200ms});
  const auto first = script.expect(a_get, 0);
  script.wait(200ms);
  CHECK(read.failed_with(ErrorCode::deadline_exceeded));
  CHECK(script.leader(4) == 0);
  const auto write = script.put(4, {.timeout = 200ms});
  const auto second = script.expect(a_put, 0);
  script.wait(200ms);
  CHECK(write.failed_with(ErrorCode::deadline_exceeded));
  CHECK(script.leader(4) == -1);
}

TEST_CASE("A probe that meets a node of no use asks the others") {
  Script script{nodes(3)};
  const auto write = script.put(3);  // the search begins at node 0
  script.answer(script.expect(a_get, 0), status(12, ""));
  script.answer(script.expect(a_get, 1), not_leader());
  script.answer(script.expect(a_get, 2), missing());
  script.answer(script.expect(a_put, 2), written(1));
  CHECK(write.succeeded());
}
