#include <algorithm>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <variant>

#include "client/guest.hpp"
#include "support/observed.hpp"
#include "transport/scripted_server.hpp"

// Observers and trace contexts through the public API.
using namespace norikv;
using namespace norikv::test;

namespace {

const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Keeps all that it is told. [any thread]
class Recorder : public Observer {
 public:
  void on_client_start(const ClientStart& start) override {
    note("client starts");
    stats = start.stats;
  }
  void on_operation_start(const OperationStart& start) override { add(start); }
  void on_attempt_start(const AttemptStart& start) override { add(start); }
  void on_attempt_end(const AttemptEnd& end) override { add(end); }
  void on_retry(const RetryPlan& retry) override { add(retry); }
  void on_operation_end(const OperationEnd& end) override { add(end); }
  void on_turn(const LoopTurn& turn) override {
    turns.push_back(turn);
    told_in_turn.push_back(std::exchange(observations_, 0));
  }
  void on_client_end(const ClientEnd& end) override {
    note("client ends");
    last = end.stats;
  }

  [[nodiscard]] Lines lines() const {
    const std::lock_guard lock{mutex_};
    return lines_;
  }
  [[nodiscard]] std::thread::id thread() const {
    const std::lock_guard lock{mutex_};
    return thread_;
  }
  [[nodiscard]] bool one_thread() const {
    const std::lock_guard lock{mutex_};
    return one_thread_;
  }

  Story story;
  std::vector<LoopTurn> turns;
  std::vector<int> told_in_turn;
  std::function<std::optional<Stats>()> stats;
  std::optional<Stats> last;

 private:
  template <class Facts>
  void add(const Facts& facts) {
    ++observations_;
    story(facts);
    note(Told{}(facts));
  }
  void note(std::string line) {
    const std::lock_guard lock{mutex_};
    const auto here = std::this_thread::get_id();
    one_thread_ = one_thread_ && (lines_.empty() || here == thread_);
    thread_ = here;
    lines_.push_back(std::move(line));
  }

  mutable std::mutex mutex_;
  Lines lines_;
  std::thread::id thread_;
  bool one_thread_ = true;
  int observations_ = 0;
};

ClientOptions with(ClientOptions options, std::shared_ptr<Observer> observer) {
  options.observer = std::move(observer);
  return options;
}

/// A node without topology streams, so that all that arrives is about operations.
ClientOptions alone(const std::string& address) {
  ClientOptions options;
  options.nodes = {address};
  options.connection.watch_topology = false;
  return options;
}

struct OnAttempt : Observer {
  std::function<void()> then;
  void on_attempt_start(const AttemptStart&) override {
    if (then) std::exchange(then, nullptr)();
  }
};

}  // namespace

TEST_CASE("An observer is told from the client's start to its end, on the loop's thread") {
  const Cluster cluster = start();
  const auto recorder = std::make_shared<Recorder>();
  {
    auto client = made(create(with(cluster.client_options(), recorder)));
    const PutOutcome outcome;
    client.put("key", "value", outcome.callback());
    REQUIRE(outcome.wait());
    CHECK(recorder->thread() == outcome.thread());
  }
  const Lines lines = recorder->lines();
  REQUIRE(lines.size() > 2);
  CHECK(lines.front() == "client starts");
  CHECK(lines.back() == "client ends");
  CHECK(std::count(lines.begin(), lines.end(), "put 1 ends ok") == 1);
  CHECK(recorder->story.open() == 0);
  CHECK(recorder->one_thread());
  CHECK(recorder->last->succeeded == 1);
}

TEST_CASE("Every operation has one start and one end, however it ends") {
  Cluster cluster = start({.election = 20ms});
  const auto recorder = std::make_shared<Recorder>();
  ClientOptions options = with(cluster.client_options(), recorder);
  options.limits.operations = 40;
  int callbacks = 0;
  {
    Guest guest{options};
    for (int i = 0; i < 60; ++i) {
      const auto key = "key-" + std::to_string(i);
      Operation operation;
      if (i % 3 == 0) {
        operation = guest->put(key, "value", [&](auto) { ++callbacks; });
      } else {
        operation = guest->get(key, {.timeout = i % 5 == 0 ? 1ns : 5s}, [&](auto) { ++callbacks; });
      }
      if (i % 7 == 0) operation.cancel();
    }
    REQUIRE(guest.loop().run_until([&] { return callbacks == 60; }));
    cluster.freeze(0);
    guest->get("key", [&](auto) { ++callbacks; });
  }
  CHECK(callbacks == 61);
  CHECK(recorder->story.open() == 0);
  const Lines lines = recorder->lines();
  CHECK(std::count(lines.begin(), lines.end(), "put 0 ends overloaded") +
            std::count(lines.begin(), lines.end(), "get 0 ends overloaded") ==
        20);
  const auto has = [&](const std::string& end) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) { return line.ends_with(end); });
  };
  CHECK(has(" ends cancelled"));
  CHECK(has(" ends deadline_exceeded"));
  CHECK(has(" ends closed"));
  CHECK(has(" ends ok"));
}

TEST_CASE("What an observer is told in one turn is bounded") {
  const Cluster cluster = start();
  const auto recorder = std::make_shared<Recorder>();
  ClientOptions options = with(cluster.client_options(), recorder);
  options.limits.callbacks_per_turn = 2;
  Guest guest{options};
  int callbacks = 0;
  for (int i = 0; i < 50; ++i) guest->get("key", [&](auto) { ++callbacks; });
  REQUIRE(guest.loop().run_until([&] { return callbacks == 50; }));
  CHECK(*std::max_element(recorder->told_in_turn.begin(), recorder->told_in_turn.end()) <= 8);
}

TEST_CASE("An observer may submit, and may close the client, from inside") {
  const Cluster cluster = start();
  const auto observer = std::make_shared<OnAttempt>();
  Guest guest{with(cluster.client_options(), observer)};
  const GetOutcome first, second;
  observer->then = [&] {
    guest->get("key", second.callback());
    guest->close();
  };
  guest->get("key", first.callback());
  REQUIRE(guest.wait(first));
  REQUIRE(guest.wait(second));
  CHECK(ended(second) == "closed");
}

TEST_CASE("An observer may destroy the client, and every callback still comes once") {
  const Cluster cluster = start();
  const auto observer = std::make_shared<OnAttempt>();
  LoopFixture loop;
  std::optional<Client> client{made(create(loop.loop(), with(cluster.client_options(), observer)))};
  observer->then = [&] { client.reset(); };
  std::vector<GetOutcome> outcomes(5);
  for (const GetOutcome& outcome : outcomes) client->get("key", outcome.callback());
  REQUIRE(loop.run_until([&] { return all_came(outcomes); }));
  CHECK_FALSE(client.has_value());
  for (const GetOutcome& outcome : outcomes) CHECK(outcome.calls() == 1);
  REQUIRE(loop.run_until_idle());
}

TEST_CASE("An observer may destroy a client with a loop of its own") {
  const Cluster cluster = start();
  const auto observer = std::make_shared<OnAttempt>();
  auto client = std::make_shared<std::optional<Client>>(made(create(with(cluster.client_options(), observer))));
  std::promise<void> destroyed;
  observer->then = [&destroyed, client] {
    client->reset();
    destroyed.set_value();
  };
  const GetOutcome outcome;
  (*client)->get("key", outcome.callback());
  CHECK(destroyed.get_future().wait_for(10s) == std::future_status::ready);
  CHECK(outcome.wait());
}

TEST_CASE("A turn tells how long ago it was asked for") {
  const Cluster cluster = start();
  const auto recorder = std::make_shared<Recorder>();
  Guest guest{with(cluster.client_options(), recorder)};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  recorder->turns.clear();
  bool ran = false;
  std::thread([&] { guest->post([&] { ran = true; }); }).join();
  std::this_thread::sleep_for(5ms);  // the loop is busy with something else
  REQUIRE(guest.loop().run_until([&] { return ran && !recorder->turns.empty(); }));
  const auto late = [](const LoopTurn& turn) { return turn.queue_lag >= Duration{5ms} && turn.tasks >= 1; };
  CHECK(std::any_of(recorder->turns.begin(), recorder->turns.end(), late));
}

TEST_CASE("The stats that an observer is given do not keep the client") {
  const Cluster cluster = start();
  const auto recorder = std::make_shared<Recorder>();
  {
    Guest guest{with(cluster.client_options(), recorder)};
    REQUIRE(ended(guest.put("key", "value")) == "ok");
    REQUIRE(recorder->stats());
    CHECK(recorder->stats()->succeeded == 1);
  }
  CHECK_FALSE(recorder->stats());
}

TEST_CASE("The stats have each node, with what it is doing") {
  Cluster cluster = start({.nodes = 2, .profile = Profile::replicated, .election = 5ms});
  Guest guest{cluster};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  REQUIRE(ended(guest.ready({.need = Need::all_nodes})) == "ok");
  const Stats stats = guest->stats();
  REQUIRE(stats.nodes.size() == 2);
  std::uint64_t attempts = 0, answers = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(stats.nodes[i].node == cluster.addresses()[i]);
    CHECK(stats.nodes[i].health == NodeHealth::up);
    CHECK(stats.nodes[i].breaker == BreakerState::closed);
    CHECK(stats.nodes[i].in_flight == 0);
    attempts += stats.nodes[i].attempts;
    answers += stats.nodes[i].latency.count;
  }
  CHECK(attempts == stats.attempts);
  CHECK(answers > 0);
}

// --- trace context ---

TEST_CASE("The trace context is taken in the submitting call and arrives with every attempt") {
  int calls = 0;
  ScriptedServer server{[&](ServerCall& call) {
    call.answer(++calls == 1 ? Answer{13, "Get failed: Internal"} : Answer{});  // a missing key
  }};
  ClientOptions options = alone(server.address());
  std::thread::id taken_on;
  options.trace_context = [&] {
    taken_on = std::this_thread::get_id();
    return TraceContext{parent, "rojo=1"};
  };
  auto client = made(create(options));
  const GetOutcome outcome;
  client.get("key", outcome.callback());
  CHECK(taken_on == std::this_thread::get_id());
  REQUIRE(outcome.wait());
  CHECK(ended(outcome) == "ok");
  REQUIRE(server.calls() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(server.call(i).metadata("traceparent") == parent);
    CHECK(server.call(i).metadata("tracestate") == "rojo=1");
  }
}

TEST_CASE("A trace context that is not well-formed does not travel, and harms nothing") {
  const std::pair<TraceContext, std::string> cases[] = {
      {{"00-nonsense", "rojo=1"}, ""}, {{parent + "\n", "rojo=1"}, ""}, {{"", ""}, ""}, {{parent, "a\r\nb=1"}, parent}};
  for (const auto& [context, arrives] : cases) {
    ScriptedServer server{always({})};
    ClientOptions options = alone(server.address());
    options.trace_context = [context = context] { return context; };
    Guest guest{options};
    CHECK(ended(guest.get("key")) == "ok");
    CHECK(server.call(0).metadata("traceparent") == arrives);
    CHECK(server.call(0).metadata("tracestate").empty());
  }
}
