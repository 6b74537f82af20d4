#include "support/session_script.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

// What concerns nodes as a whole: second requests, places, queues, leaders that moved, nodes that come and go.

TEST_CASE("A search without an answer for 250 ms asks a second node, and no third") {
  Script script{nodes(3)};
  const auto get = script.get(0);
  const auto first = script.expect(a_get, 0);
  script.wait(249ms);
  CHECK(script.quiet());
  script.wait(1ms);
  const auto second = script.expect(a_get, 1);
  script.wait(500ms);
  CHECK(script.quiet());
  CHECK(script.counters().joined_probes.value() == 1);
  script.answer(second, missing());
  CHECK(get.succeeded());
  CHECK(script.leader(0) == 1);
  CHECK(script.cancelled(first));
  script.answer(first, called_off());
}

TEST_CASE("A search goes on around beside a node that hangs") {
  Script script{nodes(3)};
  const auto get = script.get(0);
  const auto hanging = script.expect(a_get, 0);
  script.wait(250ms);
  script.answer(script.expect(a_get, 1), not_leader());
  script.answer(script.expect(a_get, 2), missing());
  CHECK(get.succeeded());
  script.answer(hanging, called_off());
}

TEST_CASE("A search with a single node has nobody else to ask") {
  Script script{nodes(1)};
  static_cast<void>(script.get(0));
  static_cast<void>(script.expect(a_get, 0));
  script.wait(900ms);
  CHECK(script.quiet());
}

TEST_CASE("A stale read is hedged to another node that has the shard, and the first answer counts") {
  auto options = watched_nodes(3);
  options.retry.hedge_after = 30ms;
  Script script{options};
  for (std::size_t node = 0; node < 3; ++node)
    script.claims(node, node == 0 ? std::vector<std::uint32_t>{4} : std::vector<std::uint32_t>{},
                  node == 2 ? std::vector<std::uint32_t>{4} : std::vector<std::uint32_t>{});
  const auto get = script.get(4, {.consistency = Consistency::stale});
  const auto first = script.expect(a_get, 0);
  script.wait(30ms);
  const auto hedge = script.expect(a_get, 2);  // node 1 does not have the shard
  CHECK(script.counters().hedges.value() == 1);
  script.answer(hedge, found("value"));
  CHECK(get.succeeded());
  CHECK(script.leader(4) == 0);
  script.answer(first, called_off());
}

TEST_CASE("A hedge that fails leaves the read to the first request, and reads of leaders have none") {
  auto options = watched_nodes(2);
  options.retry.hedge_after = 30ms;
  Script script{options};
  script.claims(0, {4});
  script.claims(1, {}, {4});
  const auto get = script.get(4, {.consistency = Consistency::stale});
  const auto first = script.expect(a_get, 0);
  script.wait(30ms);
  script.answer(script.expect(a_get, 1), lost());
  CHECK(get.pending());
  script.answer(first, missing());
  CHECK(get.succeeded());
  static_cast<void>(script.get(4));
  static_cast<void>(script.expect(a_get, 0));
  script.wait(500ms);
  CHECK(script.quiet());
}

TEST_CASE("A node takes so many requests, and the rest waits in order") {
  auto options = nodes(2);
  options.limits.in_flight_per_node = 2;
  Script script{options};
  lead(script, 4, 0);
  lead(script, 5, 1);
  std::vector<Submitted> gets;
  for (int i = 0; i < 4; ++i) gets.push_back(script.get(4));
  const auto first = script.expect(a_get, 0);
  static_cast<void>(script.expect(a_get, 0));
  CHECK(script.quiet());
  CHECK(script.session().held().queued == 2);
  const auto elsewhere = script.get(5);
  CHECK(script.expect(a_get, 1).is_about(elsewhere));
  script.answer(first, missing());
  CHECK(script.expect(a_get, 0).is_about(gets[2]));
  CHECK(script.quiet());
  script.cancel(gets[3]);
  CHECK(script.session().held().queued == 0);
}

TEST_CASE("A node that does not answer is asked by few until it does") {
  auto options = nodes(1);
  options.total_shards = 32;
  options.retry.breaker.failures = 3;
  Script script{options};
  for (std::uint32_t shard = 0; shard < 20; ++shard) lead(script, shard, 0);
  std::vector<Submitted> gets;
  for (std::uint32_t shard = 0; shard < 20; ++shard) gets.push_back(script.get(shard, {.timeout = 60s}));
  std::vector<OnWire> requests = script.unanswered();
  REQUIRE(requests.size() == 20);
  script.wait(1s);
  for (const OnWire& request : requests) script.answer(request, timed_out());
  script.wait(1s);
  requests = script.unanswered();
  CHECK(requests.size() == 3);
  CHECK(script.session().held().queued == 17);
  script.answer(requests[0], timed_out());
  script.wait(100ms);
  CHECK(script.unanswered().size() == 3);
  script.answer(script.unanswered()[0], missing());
  CHECK(script.unanswered().size() == 19);
}

TEST_CASE("A crowd of requests to one node does not run out of time in one moment") {
  auto options = nodes(1);
  options.limits.in_flight_per_node = 200;
  Script script{options};
  lead(script, 4, 0);
  for (int i = 0; i < 200; ++i) static_cast<void>(script.get(4, {.timeout = 60s}));
  const std::vector<OnWire> requests = script.unanswered();
  REQUIRE(requests.size() == 200);
  const auto time = [&](std::size_t i) { return requests[i].deadline - script.now(); };
  for (std::size_t i = 0; i <= 64; ++i) CHECK(time(i) == 1s);
  for (std::size_t i = 65; i < 200; ++i) CHECK(time(i) == time(i - 1) + 10ms);
  CHECK(time(199) < 3s);
}

TEST_CASE("A write that can't be repeated and hangs does not keep others from trying its node") {
  auto options = watched_nodes(1);
  options.retry.breaker.failures = 1;
  Script script{options};
  script.claims(0, {4, 5, 6});
  const auto silent = script.get(5);
  script.wait(1s);
  script.answer(script.expect(a_get), timed_out());
  script.claims(0, {4, 5, 6});
  static_cast<void>(script.put(4));
  static_cast<void>(script.expect(a_put));
  script.wait(100ms);
  CHECK(script.expect(a_get).is_about(silent));
  const auto other = script.get(6);
  CHECK(script.quiet());
  CHECK(script.session().held().queued == 1);
  script.cancel(other);
}

TEST_CASE(
    "A request that was given up keeps its place at the node until it has come home, and a write until it settled") {
  auto options = nodes(1);
  options.limits.in_flight_per_node = 1;
  Script script{options};
  lead(script, 4, 0);
  const auto put = script.put(4);
  const auto write = script.expect(a_put);
  script.cancel(put);
  const auto get = script.get(4);
  CHECK(script.quiet());
  script.answer(write, called_off());
  script.wait(499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  CHECK(script.expect(a_get).is_about(get));
}

TEST_CASE("What waits for a node goes to another one when its shard's leader moves") {
  auto options = watched_nodes(2);
  options.limits.in_flight_per_node = 1;
  Script script{options};
  script.claims(0, {4});
  script.claims(1, {}, {4});
  static_cast<void>(script.get(4));
  static_cast<void>(script.expect(a_get, 0));
  const auto waiting = script.get(4);
  CHECK(script.quiet());
  script.claims(1, {4});
  CHECK(script.expect(a_get, 1).is_about(waiting));
}

TEST_CASE("A read that hangs at a node which lost the shard is asked of the new leader") {
  Script script{watched_nodes(2)};
  script.claims(0, {4});
  script.claims(1, {}, {4});
  const auto get = script.get(4);
  const auto hanging = script.expect(a_get, 0);
  script.claims(1, {4});
  script.wait(99ms);
  CHECK_FALSE(script.cancelled(hanging));
  script.wait(1ms);
  REQUIRE(script.cancelled(hanging));
  script.answer(hanging, called_off());
  script.wait(50ms);
  script.answer(script.expect(a_get, 1), missing());
  CHECK(get.succeeded());
  CHECK(script.counters().moved_attempts.value() == 1);
}

TEST_CASE("A write without key that hangs at a node which lost the shard is not repeated") {
  Script script{watched_nodes(2)};
  script.claims(0, {4});
  const auto put = script.put(4);
  const auto hanging = script.expect(a_put, 0);
  script.claims(1, {4});
  script.wait(1s);
  CHECK_FALSE(script.cancelled(hanging));
  CHECK(script.quiet());
  CHECK(put.pending());
}

TEST_CASE("A write with key that hangs at a node which lost the shard is repeated at the new leader, once it settled") {
  Script script{watched_nodes(2)};
  script.claims(0, {4});
  const auto put = script.put(4, {.idempotent = true});
  const auto hanging = script.expect(a_put, 0);
  script.claims(1, {4});
  script.wait(100ms);
  REQUIRE(script.cancelled(hanging));
  script.answer(hanging, called_off());
  script.wait(499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  script.answer(script.expect(a_put, 1), written(2));
  CHECK(put.succeeded());
}

TEST_CASE("An old leader that answers in time is not given up") {
  Script script{watched_nodes(2)};
  script.claims(0, {4});
  const auto get = script.get(4);
  const auto request = script.expect(a_get, 0);
  script.claims(1, {4});
  script.wait(50ms);
  script.answer(request, missing());
  CHECK(get.succeeded());
  CHECK(script.counters().moved_attempts.value() == 0);
}

TEST_CASE("Nodes that are named later are connected and asked, and those that are not any more are dropped") {
  auto options = watched_nodes(2);
  Script script{options};
  script.claims(0, {4});
  script.session().set_nodes({address_of(1)}, script.now());
  script.wait(0ms);
  CHECK_FALSE(script.streaming(0));
  CHECK(script.leader(4) == -1);
  REQUIRE_FALSE(script.topology.empty());
  CHECK(script.topology.back().nodes_removed == std::vector<std::string>{address_of(0)});
  CHECK(script.session().cluster()->nodes.size() == 1);
  const auto get = script.get(4);
  script.answer(script.expect(a_get, 1), missing());
  CHECK(get.succeeded());
  CHECK(script.session().cluster()->leader_of(4)->address == address_of(1));
  script.session().set_nodes({address_of(0), address_of(1)}, script.now());
  script.wait(0ms);
  CHECK(script.streaming(0));
  CHECK(script.topology.back().nodes_added == std::vector<std::string>{address_of(0)});
  CHECK(script.session().cluster()->leader_of(4)->address == address_of(1));
}

TEST_CASE("A node that a view tells is dialled only as its translator says") {
  auto options = watched_nodes(2);
  options.nodes = {address_of(0)};
  options.address_translator = [](std::string_view id, std::string_view) -> std::optional<std::string> {
    if (id == "node1") return address_of(1);
    return id == "bad" ? std::optional<std::string>{"no address"} : std::nullopt;
  };
  core::Session session{options, 1};
  TimePoint now{1h};
  session.start(now);
  const auto opened = [&] {
    std::vector<std::string> addresses;
    for (core::Action& action : session.take_actions()) {
      if (auto* watch = std::get_if<core::StartWatch>(&action)) addresses.push_back(watch->address);
    }
    return addresses;
  };
  CHECK(opened() == std::vector<std::string>{address_of(0)});
  const wire::View view{1,
                        {{"node0", "0.0.0.0:7447", "unknown"},
                         {"node1", "10.0.0.1:8447", "follower"},
                         {"node2", "10.0.0.2:8447", "follower"},
                         {"bad", "10.0.0.3:8447", "follower"}},
                        {}};
  session.on_view(core::WatchId{1}, view, now);
  CHECK(opened() == std::vector<std::string>{address_of(1)});
  CHECK(session.cluster()->nodes.size() == 2);
  wire::View shrunk = view;
  shrunk.epoch = 2;
  shrunk.nodes.erase(shrunk.nodes.begin() + 1);
  session.on_view(core::WatchId{1}, shrunk, now);
  CHECK(session.cluster()->nodes.size() == 1);
}

TEST_CASE("A view that lacks a shard its node has written to tells that total_shards is too large") {
  Script script{watched_nodes(1)};
  script.claims(0, {0});
  const auto put = script.put(9);
  for (int i = 0; i < 10 && put.pending(); ++i) {
    for (const OnWire& request : script.unanswered())
      script.answer(request, request.method == a_put ? written(1) : missing());
  }
  REQUIRE(put.succeeded());
  script.wait(10ms);
  script.claims(0, {0});  // may have been on its way
  CHECK(script.warnings.empty());
  script.wait(1s);
  script.claims(0, {0});
  REQUIRE(script.warnings.size() == 1);
  CHECK(script.warnings[0].kind == WarningKind::shard_count_mismatch);
  CHECK(script.warnings[0].shard == 9);
  script.wait(1s);
  script.claims(0, {0});
  CHECK(script.warnings.size() == 1);
}

TEST_CASE("A view that has the shard, a while after the write, is no reason to warn") {
  Script script{watched_nodes(1)};
  script.claims(0, {0});
  const auto put = script.put(9);
  for (int i = 0; i < 10 && put.pending(); ++i) {
    for (const OnWire& request : script.unanswered())
      script.answer(request, request.method == a_put ? written(1) : missing());
  }
  for (int i = 0; i < 3; ++i) {
    script.wait(1s);
    script.claims(0, {0, 9});
  }
  CHECK(script.warnings.empty());
}

// -- Which of two requests an answer belongs to --

TEST_CASE("A level that one of two nodes does not know is asked for again of that one") {
  Script script{nodes(3)};
  const auto get = script.get(0);
  const auto first = script.expect(a_get, 0);
  script.wait(250ms);
  const auto second = script.expect(a_get, 1);
  script.answer(first, status(3, "Unknown consistency level: "));
  const auto repeated = script.expect(a_get, 0);
  CHECK(repeated.level != first.level);
  script.answer(second, status(3, "Unknown consistency level: "));
  script.answer(script.expect(a_get, 1), missing());  // it has not refused the other dialect
  CHECK(get.succeeded());
  script.answer(repeated, called_off());
}

TEST_CASE("A server that knows no dialect of a level is not asked for ever") {
  Script script{nodes(2)};
  const auto get = script.get(0);
  const auto first = script.expect(a_get, 0);
  script.wait(250ms);
  const auto second = script.expect(a_get, 1);
  for (const auto& refused : {first, second}) script.answer(refused, status(3, "Unknown consistency level: "));
  for (int i = 0; i < 2; ++i) script.answer(script.expect(a_get), status(3, "Unknown consistency level: "));
  CHECK(get.failed_with(ErrorCode::invalid_argument));
}

TEST_CASE("A search does not ask a node at which it still waits") {
  Script script{nodes(2)};
  const auto get = script.get(0);
  const auto hanging = script.expect(a_get, 0);
  script.wait(250ms);
  script.answer(script.expect(a_get, 1), not_leader());
  script.wait(250ms);
  script.answer(script.expect(a_get, 1), missing());
  CHECK(get.succeeded());
  script.answer(hanging, called_off());
}

TEST_CASE("A hint is followed to the node that it names, though another one is believed in by then") {
  Script script{nodes(4)};
  lead(script, 0, 0);
  const auto early = script.get(0);
  const auto asked = script.expect(a_get, 0);
  const auto late = script.get(0);
  const auto other = script.expect(a_get, 0);
  script.answer(other, not_leader(address_of(3)));
  const auto followed = script.expect(a_get, 3);
  script.answer(asked, not_leader(address_of(2)));
  script.answer(script.expect(a_get, 2), missing());
  CHECK(early.succeeded());
  script.answer(followed, missing());
  CHECK(late.succeeded());
}

TEST_CASE("A node that asks for time is given it though the search that asked it has ended") {
  Script script{nodes(2)};
  const auto get = script.get(0);
  auto busy = status(8, "busy");
  busy.metadata.emplace_back("grpc-retry-pushback-ms", "700");
  script.answer(script.expect(a_get, 0), busy);
  script.answer(script.expect(a_get, 1), not_leader(address_of(0)));
  script.wait(699ms);
  CHECK(script.quiet());
  script.wait(1ms);
  script.answer(script.expect(a_get, 0), missing());
  CHECK(get.succeeded());
}

TEST_CASE("A search goes on among the others while a node that has asked for time is given it") {
  const Answer answers[] = {status(8, "busy"), not_leader()};
  for (Answer busy : answers) {
    Script script{nodes(3)};
    const auto put = script.put(0);
    busy.metadata.emplace_back("grpc-retry-pushback-ms", "30000");
    script.answer(script.expect(a_get, 0), busy);
    script.answer(script.expect(a_get, 1), not_leader());
    script.answer(script.expect(a_get, 2), not_leader());
    script.wait(250ms);
    script.answer(script.expect(a_get, 1), not_leader());
    script.answer(script.expect(a_get, 2), missing());
    script.answer(script.expect(a_put, 2), written(1));
    CHECK(put.succeeded());
  }
}

TEST_CASE("A search of which all nodes have asked for time goes on with the first that is over") {
  Script script{nodes(2)};
  const auto get = script.get(0, {.timeout = 60s});
  for (const char* const pause : {"9000", "2000"}) {
    auto busy = status(8, "busy");
    busy.metadata.emplace_back("grpc-retry-pushback-ms", pause);
    script.answer(script.expect(a_get), busy);
  }
  script.wait(1999ms);
  CHECK(script.quiet());
  script.wait(1ms);
  script.answer(script.expect(a_get, 1), missing());
  CHECK(get.succeeded());
}

TEST_CASE("A search does not wait for a node that is full when others may be asked again") {
  auto options = nodes(3);
  options.limits.in_flight_per_node = 4;
  Script script{options};
  lead(script, 0, 0);
  for (int i = 0; i < 40; ++i) static_cast<void>(script.get(0, {.timeout = 60s}));
  for (int i = 0; i < 4; ++i) static_cast<void>(script.expect(a_get, 0));  // it hangs
  const auto get = script.get(1);
  script.answer(script.expect(a_get, 1), not_leader());
  script.answer(script.expect(a_get, 2), not_leader());
  script.wait(20ms);
  script.answer(script.expect(a_get, 1), missing());
  CHECK(get.succeeded());
}

TEST_CASE("A read whose node hangs is not given to that node once more while its breaker is open") {
  auto options = nodes(2);
  options.retry.breaker.failures = 2;
  Script script{options};
  lead(script, 4, 0);
  for (int i = 0; i < 2; ++i) static_cast<void>(script.get(4, {.timeout = 60s}));
  const auto get = script.get(4, {.timeout = 60s});
  std::vector<OnWire> requests = script.unanswered();
  REQUIRE(requests.size() == 3);
  script.wait(1s);
  for (const OnWire& request : requests) script.answer(request, timed_out());
  while (script.quiet()) script.wait(1ms);
  script.answer(script.expect(a_get, 1), missing());
  while (get.pending()) {
    std::size_t at_first = 0;
    for (const OnWire& request : script.unanswered()) {
      if (request.node == 1)
        script.answer(request, missing());
      else
        ++at_first;
    }
    CHECK(at_first <= 1);  // the search
    script.wait(1ms);
  }
  CHECK(get.succeeded());
}

TEST_CASE("A search passes by a node that is full") {
  auto options = nodes(2);
  options.limits.in_flight_per_node = 1;
  Script script{options};
  lead(script, 1, 0);
  static_cast<void>(script.get(1));
  static_cast<void>(script.expect(a_get, 0));  // node 0 is full now
  const auto get = script.get(0);
  script.answer(script.expect(a_get, 1), missing());
  CHECK(get.succeeded());
}

TEST_CASE("What waits at a node goes to the one that replaces it") {
  auto options = nodes(1);
  options.limits.in_flight_per_node = 1;
  Script script{options};
  lead(script, 4, 0);
  static_cast<void>(script.get(4));
  static_cast<void>(script.expect(a_get, 0));
  const auto waiting = script.get(4);
  CHECK(script.quiet());
  script.session().set_nodes({address_of(1)}, script.now());
  script.wait(0ms);
  script.answer(script.expect(a_get, 1), missing());
  CHECK(waiting.succeeded());
}

TEST_CASE("A level is not asked for again of a node that was removed meanwhile") {
  Script script{nodes(2)};
  lead(script, 4, 0);
  const auto get = script.get(4);
  const auto asked = script.expect(a_get, 0);
  script.session().set_nodes({address_of(1)}, script.now());
  script.answer(asked, status(3, "Unknown consistency level: "));
  script.answer(script.expect(a_get, 1), missing());
  CHECK(get.succeeded());
}

TEST_CASE("Ten thousand nodes that come and go leave no more behind than a few") {
  core::Session session{watched_nodes(1), 1};
  TimePoint now{1h};
  session.start(now);
  for (int number = 0; number < 10'000; ++number) {
    session.set_nodes({"stays:1", "n" + std::to_string(number) + ":1"}, now += 1ms);
    std::vector<core::WatchId> cancelled;
    for (const core::Action& action : session.take_actions()) {
      if (const auto* cancel = std::get_if<core::CancelWatch>(&action)) cancelled.push_back(cancel->id);
    }
    for (const core::WatchId id : cancelled) session.on_stream_end({id, 1, "CANCELLED"}, now);
    session.deliveries().clear();
  }
  CHECK(session.nodes_kept() < 70);
  CHECK(session.held().timers == 2);  // of the two streams
  CHECK(session.node_counters().size() == 2);
}

TEST_CASE("A node that was removed keeps its slot as long as a request is on its way to it") {
  core::Session session{nodes(1), 1};
  TimePoint now{1h};
  session.start(now);
  core::Request request;
  request.id = core::OpId{1};
  request.method = a_get;
  request.payload = std::make_shared<const std::string>(wire::encode_get("key"));
  request.deadline = now + 1h;
  session.submit(std::move(request), GetCallback{}, now);
  const auto actions = session.take_actions();
  const core::CallId call = std::get<core::Call>(actions[0]).id;
  const auto replace = [&](int from, int to) {
    for (int number = from; number < to; ++number) session.set_nodes({"n" + std::to_string(number) + ":1"}, now += 1ms);
  };
  replace(0, 200);
  const std::size_t kept = session.nodes_kept();
  core::Reply reply = missing();
  reply.id = call;
  session.on_reply(std::move(reply), now);
  CHECK(session.cluster()->shards[0].leader == -1);  // not the one that would have its slot
  replace(200, 400);
  CHECK(session.nodes_kept() == kept);
  CHECK(kept < 70);
}

TEST_CASE("Who waited in vain for the cluster is told why each node did not answer") {
  Script script{watched_nodes(2)};
  const auto ready = script.wait_ready(Need::any_node, 1s);
  script.end_stream(0, 14, "certificate verify failed");
  script.end_stream(1, 14, "connection refused");
  script.wait(1s);
  REQUIRE(ready.failed_with(ErrorCode::deadline_exceeded));
  CHECK(ready.error().message ==
        "not enough nodes answered in time; a:7447: certificate verify failed; b:7447: "
        "connection refused");
}
