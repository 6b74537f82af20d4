#include <functional>

#include "support/session_script.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

/// One client's day in single inputs. On the way there are a cold shard, a lane's queue, back-offs, streams that are
/// half open and open, an ambiguous write, ghosts, a drain and someone who waits for readiness.
class Scenario {
 public:
  explicit Scenario(Script& script) : script_(script) {
    step([this] { ready_ = script_.wait_ready(Need::all_nodes); });
    step([this] { script_.claims(0, {0}, {1}); });  // node 1 stays a half-open stream
    step([this] { lane_first_ = script_.put(0); });
    step([this] { script_.put(0); });  // the lane's queue
    step([this] { queued_ = script_.remove(0); });
    step([this] { read_ = script_.get(0); });
    step([this] { cold_write_ = script_.put(5); });  // a cold shard
    step([this] { script_.get(5); });
    step([this] { script_.get(6, {.text = "quorum"}); });
    step([this] { answer(5, not_leader()); });
    step([this] { answer(5, not_leader()); });  // the round is over: a back-off
    step([this] { drained_ = script_.drain(); });
    step([this] { answer(0, written(1)); });
    step([this] { answer(0, found("value")); });
    step([this] { script_.put(1, {.idempotent = true}); });
    step([this] { answer(1, missing()); });  // node 1 leads shard 1
    step([this] { answer(1, lost()); });     // an ambiguous write: its lane settles
    step([this] { script_.put(1); });
    step([this] { script_.wait(30ms); });
    step([this] { script_.cancel(queued_); });
    step([this] { doomed_ = script_.put(0, {.timeout = 50ms}); });
    step([this] { answer(0, written(2)); });
    step([this] { script_.wait(60ms); });  // the doomed one is a ghost now
    step([this] { script_.put(0); });
    step([this] { answer(0, called_off()); });
    step([this] { answer(5, missing()); });
    step([this] { script_.end_stream(0); });
    step([this] { script_.claims(1, {5}, {0, 1}); });
    step([this] { answer(5, not_leader(address_of(0))); });
    step([this] { script_.wait(600ms); });
    step([this] { answer(1, garbage()); });
    step([this] { script_.cancel(cold_write_); });
    step([this] { script_.wait(1s); });
    step([this] { answer(6, status(8, "busy")); });
  }

  [[nodiscard]] std::size_t size() const { return steps_.size(); }
  void run(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) steps_[i]();
  }
  [[nodiscard]] const Called& drained() const { return drained_; }
  [[nodiscard]] const Readiness& ready() const { return ready_; }

 private:
  void step(std::function<void()> action) { steps_.push_back(std::move(action)); }
  /// Answers the oldest request of the shard; none is fine, the story went another way.
  void answer(std::uint32_t shard, const Answer& answer) {
    for (const OnWire& request : script_.unanswered()) {
      if (request.shard == shard) return script_.answer(request, answer);
    }
  }

  Script& script_;
  std::vector<std::function<void()>> steps_;
  Submitted lane_first_, queued_, read_, cold_write_, doomed_;
  Called drained_;
  Readiness ready_;
};

/// Everything that is still on its way comes home; then nothing may be left.
void check_all_gone(Script& script) {
  for (const OnWire& request : script.unanswered()) {
    INFO("call " << static_cast<std::uint64_t>(request.id));
    CHECK(request.cancelled);  // else nobody would ever have ended it
    script.answer(request, called_off());
  }
  script.end_cancelled_streams();
  CHECK(script.unanswered().empty());
  CHECK(script.open_streams() == 0);
  CHECK(script.pending() == 0);
  CHECK(script.session().closed());
  CHECK_FALSE(script.session().busy());
  const auto held = script.session().held();
  CHECK(held.operations == 0);
  CHECK(held.calls == 0);
  CHECK(held.searches == 0);
  CHECK(held.timers == 0);
}

std::size_t scenario_size() {
  Script script{watched_nodes(2)};
  return Scenario{script}.size();
}

}  // namespace

TEST_CASE("The scenario meets what it is meant to meet") {
  Script script{watched_nodes(2)};
  Scenario scenario{script};
  scenario.run(scenario.size());
  const core::Counters& counters = script.counters();
  CHECK(counters.probes.value() >= 1);
  CHECK(counters.not_leader.value() >= 3);
  CHECK(counters.retries.value() >= 2);
  CHECK(counters.lanes_settling.value() >= 2);
  CHECK(counters.cancelled.value() == 2);
  CHECK(counters.deadline_exceeded.value() == 1);
  CHECK(counters.maybe_applied.value() >= 1);
  CHECK(counters.stream_reconnects.value() == 1);
  CHECK(script.pending() > 0);
}

TEST_CASE("A client that closes after any input of the scenario calls each callback once and leaves nothing") {
  const std::size_t inputs = scenario_size();
  for (std::size_t count = 0; count <= inputs; ++count) {
    INFO("closed after input " << count);
    Script script{watched_nodes(2)};
    Scenario scenario{script};
    scenario.run(count);
    script.close();
    CHECK(script.pending() == 0);  // more than once is seen by the script
    if (count > 0) CHECK_FALSE(scenario.ready().pending());
    if (count > 11) CHECK(scenario.drained().times() == 1);
    check_all_gone(script);
  }
}

TEST_CASE("A client that closes with grace after any input of the scenario does so too") {
  const std::size_t inputs = scenario_size();
  for (std::size_t count = 0; count <= inputs; ++count) {
    INFO("closed after input " << count);
    Script script{watched_nodes(2)};
    Scenario scenario{script};
    scenario.run(count);
    script.close(700ms);
    script.wait(300ms);
    for (const OnWire& request : script.unanswered()) {
      if (!request.cancelled) script.answer(request, request.method == a_get ? missing() : written(9));
    }
    script.wait(400ms);
    check_all_gone(script);
  }
}
