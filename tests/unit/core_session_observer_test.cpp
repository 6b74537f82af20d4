#include "support/observed.hpp"
#include "support/session_script.hpp"

// What an observer is told of the life of an operation, and what is counted for each node.
using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

ClientOptions observed(ClientOptions options) {
  options.observer = std::make_shared<Observer>();
  return options;
}

struct Seen : Script {
  explicit Seen(ClientOptions options) : Script(observed(std::move(options))) {}
  /// What was told since it was asked last.
  [[nodiscard]] Lines news() { return told(std::exchange(observations, {})); }
  template <class Facts>
  [[nodiscard]] Facts first() const {
    for (const core::Observation& each : observations) {
      if (const auto* facts = std::get_if<Facts>(&each)) return *facts;
    }
    FAIL("nothing of the kind was told");
    return {};
  }
};

/// The leader of shard 0 is node 0, as a view said.
struct Led : Seen {
  explicit Led(std::size_t count, ClientOptions options) : Seen(std::move(options)) {
    for (std::size_t node = 0; node < count; ++node) {
      claims(node, node == 0 ? std::vector<std::uint32_t>{0} : std::vector<std::uint32_t>{},
             node == 0 ? std::vector<std::uint32_t>{} : std::vector<std::uint32_t>{0});
    }
  }
  explicit Led(std::size_t count = 1) : Led(count, watched_nodes(count)) {}
};

std::shared_ptr<const TraceContext> some_trace(std::string state = {}) {
  return std::make_shared<const TraceContext>(
      TraceContext{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", std::move(state)});
}

NodeStats node_stats(Script& script, std::size_t node) {
  return script.session().node_counters().at(node)->snapshot(address_of(node));
}

}  // namespace

TEST_CASE("A success is a start, an attempt with its end, and an end") {
  Led script;
  const auto read = script.get(0);
  script.wait(3ms);
  const auto start = script.first<OperationStart>();
  CHECK(start.shard == 0u);
  CHECK(start.deadline == start.at + 5s);
  script.answer(script.expect(a_get), found("value"));
  REQUIRE(read.succeeded());
  CHECK(script.first<AttemptEnd>().duration == 3ms);
  const auto end = script.first<OperationEnd>();
  CHECK(end.duration == 3ms);
  CHECK(end.attempts == 1);
  CHECK(end.node == address_of(0));
  CHECK(script.news() ==
        Lines{"get 1 starts", "get 1: attempt 1 (first) to a:7447", "get 1: attempt 1 ended ok", "get 1 ends ok"});
}

TEST_CASE("A missing key is a success for the observer too") {
  Led script;
  script.get(0);
  script.answer(script.expect(a_get), missing());
  CHECK(script.news().back() == "get 1 ends ok");
}

TEST_CASE("The end of an operation is told just before its callback") {
  Led script;
  const auto write = script.put(0);
  Lines at_callback;
  script.when_told(write, [&] { at_callback = told(script.observations); });
  script.answer(script.expect(a_put), written(1));
  REQUIRE(write.succeeded());
  CHECK(at_callback.back() == "put 1 ends ok");
}

TEST_CASE("A failure that is not repeated ends attempt and operation with its code") {
  Led script;
  script.put(0);
  script.answer(script.expect(a_put), lost());
  CHECK(script.first<OperationEnd>().maybe_applied);
  CHECK(script.first<OperationEnd>().phase == Phase::sent);
  CHECK(script.news() == Lines{"put 1 starts", "put 1: attempt 1 (first) to a:7447",
                               "put 1: attempt 1 ended unavailable", "put 1 ends unavailable"});
}

TEST_CASE("A retry is told with its cause and its pause, before the pause") {
  Led script;
  script.get(0);
  script.answer(script.expect(a_get), status(13, "Get failed: Internal"));
  const auto retry = script.first<RetryPlan>();
  CHECK(retry.after == 1);
  CHECK(retry.error == ErrorCode::server_error);
  CHECK(retry.pause > 0ms);
  CHECK(retry.pause <= 25ms);
  CHECK(script.news() == Lines{"get 1 starts", "get 1: attempt 1 (first) to a:7447",
                               "get 1: attempt 1 ended server_error", "get 1: again, ambiguous at a:7447"});
  script.wait(25ms);
  script.answer(script.expect(a_get), found("value"));
  CHECK(script.news() == Lines{"get 1: attempt 2 (retry) to a:7447", "get 1: attempt 2 ended ok", "get 1 ends ok"});
}

TEST_CASE("The cause of a retry is its class") {
  const std::pair<Answer, RetryCause> cases[] = {
      {not_leader(), RetryCause::not_leader},
      {not_sent(), RetryCause::unavailable},
      {lost(), RetryCause::ambiguous},
      {status(8, "busy"), RetryCause::throttled},
      {status(3, "Unknown consistency level: lease"), RetryCause::consistency_level},
  };
  for (const auto& [answer, cause] : cases) {
    INFO(answer.message);
    Led script;
    script.get(0);
    script.answer(script.expect(a_get), answer);
    CHECK(script.first<RetryPlan>().cause == cause);
  }
}

TEST_CASE("Another round of an update is a retry because of a version") {
  Led script;
  script.update(0, [](const auto&) { return Change::store("x"); });
  script.answer(script.expect(a_get), found("a", 1));
  script.answer(script.expect(a_put), status(9, "Version mismatch: expected term=0 index=1, got term=0 index=2"));
  const auto retry = script.first<RetryPlan>();
  CHECK(retry.cause == RetryCause::version_mismatch);
  CHECK(retry.error == ErrorCode::precondition_failed);
}

TEST_CASE("A search that meets a node which is no use goes on, and says so") {
  Seen script{nodes(2)};
  script.get(1);
  script.answer(script.expect(a_get), status(12));
  CHECK(script.first<RetryPlan>().cause == RetryCause::unfit);
}

TEST_CASE("A node that another one named is asked for that reason") {
  Led script{2};
  script.get(0);
  script.answer(script.expect(a_get, 0), not_leader(address_of(1)));
  CHECK(script.news().back() == "get 1: attempt 2 (hint) to b:7447");
}

TEST_CASE("A search for a leader is an operation of its own kind") {
  Seen script{nodes(1)};
  const auto write = script.put(7);
  CHECK(script.news() == Lines{"put 1 starts", "probe 0 starts", "probe 0: attempt 1 (first) to a:7447"});
  script.answer(script.expect(a_get), missing());
  const Lines news = script.news();
  CHECK(std::count(news.begin(), news.end(), "probe 0: attempt 1 ended ok") == 1);
  CHECK(std::count(news.begin(), news.end(), "probe 0 ends ok") == 1);
  CHECK(std::count(news.begin(), news.end(), "put 1: attempt 1 (first) to a:7447") == 1);
  script.answer(script.expect(a_put), written(1));
  CHECK(write.succeeded());
}

TEST_CASE("A second request of a search has its reason") {
  Seen script{nodes(2)};
  script.get(1);
  script.wait(250ms);
  const Lines news = script.news();
  REQUIRE(news.size() == 3);
  CHECK(news[2].starts_with("get 1: attempt 2 (joined) to "));
}

TEST_CASE("A hedge has its reason, and the slower attempt ends cancelled, before the operation") {
  ClientOptions options = watched_nodes(2);
  options.retry.hedge_after = 5ms;
  Led script{2, options};
  const auto read = script.get(0, {.consistency = Consistency::stale});
  const OnWire first = script.expect(a_get);
  script.wait(5ms);
  const OnWire second = script.expect(a_get);
  script.answer(second, found("value"));
  CHECK(read.succeeded());
  CHECK(script.news() == Lines{"get 1 starts", "get 1: attempt 1 (first) to " + address_of(first.node),
                               "get 1: attempt 2 (hedge) to " + address_of(second.node), "get 1: attempt 2 ended ok",
                               "get 1: attempt 1 ended cancelled", "get 1 ends ok"});
}

TEST_CASE("An attempt that was called off because the leader moved is followed by one that says so") {
  Led script{2};
  const auto read = script.get(0);
  const OnWire first = script.expect(a_get, 0);
  script.claims(1, {0});
  script.wait(100ms);
  REQUIRE(script.cancelled(first));
  static_cast<void>(script.news());
  script.answer(first, called_off());
  script.wait(25ms);
  CHECK(script.news().back() == "get 1: attempt 2 (moved) to b:7447");
}

TEST_CASE("Cancelled, out of time and closed: the attempt on the wire ends with the operation") {
  const std::pair<std::function<void(Script&, const Submitted&)>, std::string> ends[] = {
      {[](Script& script, const Submitted& operation) { script.cancel(operation); }, "cancelled"},
      {[](Script& script, const Submitted&) { script.wait(5s); }, "deadline_exceeded"},
      {[](Script& script, const Submitted&) { script.close(); }, "closed"},
  };
  for (const auto& [end, code] : ends) {
    Led script;
    const auto write = script.put(0);
    const OnWire request = script.expect(a_put);
    end(script, write);
    CHECK(script.news() == Lines{"put 1 starts", "put 1: attempt 1 (first) to a:7447", "put 1: attempt 1 ended " + code,
                                 "put 1 ends " + code});
    script.answer(request, called_off());
    CHECK(script.observations.empty());  // it came home, and nobody waited
  }
}

TEST_CASE("An operation that ends before it was sent has no attempt") {
  Led script;
  script.put(0);
  const auto second = script.put(0);
  static_cast<void>(script.news());
  script.cancel(second);
  CHECK(script.first<OperationEnd>().phase == Phase::queued);
  CHECK(script.news() == Lines{"put 2 ends cancelled"});
}

TEST_CASE("What is refused at once has an end alone, without a number") {
  Led script;
  Error error;
  error.code = ErrorCode::overloaded;
  script.session().refuse(core::Callback{GetCallback{[](auto) {}}}, error, OperationKind::get, script.now());
  script.cancel(script.get(0));
  CHECK(script.news().front() == "get 0 ends overloaded");
}

TEST_CASE("The time in the mailbox is told with the start") {
  Led script;
  core::Request request;
  request.id = core::OpId{99};
  request.method = a_get;
  request.payload = std::make_shared<const std::string>(wire::encode_get("1"));
  request.submitted = script.now() - 4ms;
  request.deadline = script.now();
  script.session().submit(std::move(request), GetCallback{[](auto) {}}, script.now());
  script.wait(0ms);
  CHECK(script.first<OperationStart>().queued == 4ms);
  CHECK(script.first<OperationEnd>().duration == 4ms);
}

TEST_CASE("A session without an observer notes nothing for one") {
  Script script{nodes(1)};
  script.get(1);
  script.answer(script.expect(a_get), missing());
  CHECK(script.observations.empty());
}

// --- trace context ---

TEST_CASE("Every attempt of an operation carries its trace context, and the observer sees it") {
  Led script;
  script.trace = some_trace("rojo=1");
  const core::Metadata expected{{"traceparent", script.trace->traceparent}, {"tracestate", "rojo=1"}};
  script.get(0);
  const OnWire first = script.expect(a_get);
  CHECK(first.metadata == expected);
  script.answer(first, lost());
  script.wait(25ms);
  const OnWire second = script.expect(a_get);
  CHECK(second.metadata == expected);
  script.answer(second, found("value"));
  for (const core::Observation& each : script.observations) {
    CHECK(std::visit([](const auto& facts) { return facts.trace; }, each) == script.trace);
  }
}

TEST_CASE("An empty trace state is not sent") {
  Led script;
  script.trace = some_trace();
  script.get(0);
  CHECK(script.expect(a_get).metadata == core::Metadata{{"traceparent", script.trace->traceparent}});
}

TEST_CASE("A search for a leader carries nobody's trace context") {
  Seen script{nodes(1)};
  script.trace = some_trace();
  script.put(7);
  const OnWire probe = script.expect(a_get);
  CHECK(probe.probe);
  CHECK(probe.metadata.empty());
}

TEST_CASE("A read that searches for its leader itself carries its own") {
  Seen script{nodes(1)};
  script.trace = some_trace();
  script.get(7);
  CHECK_FALSE(script.expect(a_get).metadata.empty());
}

// --- nodes ---

TEST_CASE("A node's requests are counted on their way, as ghosts, and at home") {
  Led script;
  const auto write = script.put(0);
  const OnWire request = script.expect(a_put);
  CHECK(node_stats(script, 0).in_flight == 1);
  CHECK(node_stats(script, 0).ghosts == 0);
  script.cancel(write);
  CHECK(node_stats(script, 0).in_flight == 1);
  CHECK(node_stats(script, 0).ghosts == 1);
  CHECK(node_stats(script, 0).failures == 1);
  script.answer(request, called_off());
  const NodeStats stats = node_stats(script, 0);
  CHECK(stats.in_flight == 0);
  CHECK(stats.ghosts == 0);
  CHECK(stats.attempts == 1);
  CHECK(stats.failures == 1);
  CHECK(stats.latency.count == 0);
}

TEST_CASE("A node's latency is that of its answers, refusals among them") {
  Led script;
  script.get(0);
  script.wait(2ms);
  script.answer(script.expect(a_get), found("value"));
  script.put(0);
  script.answer(script.expect(a_put), status(7));
  script.put(0);
  script.answer(script.expect(a_put), lost());
  const NodeStats stats = node_stats(script, 0);
  CHECK(stats.attempts == 3);
  CHECK(stats.failures == 2);
  CHECK(stats.latency.count == 2);
  CHECK(stats.latency.max == 2ms);
}

TEST_CASE("Operations that wait for a node are counted there") {
  ClientOptions options = watched_nodes(1);
  options.limits.in_flight_per_node = 1;
  Led script{1, options};
  script.get(0);
  script.get(0);
  const auto last = script.get(0);
  CHECK(node_stats(script, 0).queued == 2);
  script.cancel(last);
  CHECK(node_stats(script, 0).queued == 1);
  script.answer(script.expect(a_get), found("value"));
  CHECK(node_stats(script, 0).queued == 0);
}

TEST_CASE("A node's breaker is seen to open and to close") {
  ClientOptions options = watched_nodes(1);
  options.retry.breaker.failures = 2;
  Led script{1, options};
  for (int i = 0; i < 2; ++i) {
    script.put(0);
    while (script.unanswered().empty()) script.wait(10ms);
    script.answer(script.unanswered().front(), lost());
  }
  CHECK(node_stats(script, 0).breaker == BreakerState::open);
  script.get(0);
  while (script.unanswered().empty()) script.wait(10ms);
  script.answer(script.unanswered().front(), found("value"));
  CHECK(node_stats(script, 0).breaker == BreakerState::closed);
}

// It may come from somebody in front of the node who has no way for streams, while requests get nowhere.
TEST_CASE("A stream that is refused says nothing about whether its node answers requests") {
  const int code = GENERATE(7, 12, 16);
  ClientOptions options = watched_nodes(1);
  options.retry.breaker.failures = 1;
  Led script{1, options};
  script.get(0);
  while (script.unanswered().empty()) script.wait(10ms);
  script.answer(script.unanswered().front(), lost());
  REQUIRE(node_stats(script, 0).breaker == BreakerState::open);
  script.end_stream(0, code, "no such route");
  CHECK(node_stats(script, 0).breaker == BreakerState::open);
}

TEST_CASE("A node that was removed has no counters, and has them again when it comes back") {
  Led script{2};
  script.get(0);
  script.answer(script.expect(a_get, 0), found("value"));
  script.session().set_nodes({address_of(1)}, script.now());
  script.wait(0ms);
  CHECK(script.session().node_counters().size() == 1);
  script.session().set_nodes({address_of(0), address_of(1)}, script.now());
  script.wait(0ms);
  REQUIRE(script.session().node_counters().size() == 2);
  CHECK(node_stats(script, 0).attempts == 1);
}
