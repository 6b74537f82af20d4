#include "support/observed.hpp"
#include "support/session_script.hpp"
#include "util/random.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

/// Plays users, servers and the clock at random. What holds at all times is checked by the script: each callback once,
/// no attempt out of time or beside another write of its lane, events that form chains.
class Monkey {
 public:
  explicit Monkey(std::uint64_t seed) : random_(seed), script_(options(), seed) {}

  void play(int inputs) {
    for (int i = 0; i < inputs; ++i) act();
  }

  /// Lets all that is under way end, and checks that nothing is left.
  void end() {
    const bool close = random_.below(2) == 0;
    if (close) {
      script_.close(random_.below(2) == 0 ? Duration{0} : some_time());
      script_.close();
    } else {
      for (const Submitted& operation : script_.submitted()) script_.cancel(operation);
    }
    REQUIRE(script_.pending() == 0);
    for (const OnWire& request : script_.unanswered()) {
      REQUIRE(request.cancelled);
      script_.answer(request, called_off());
    }
    for (const Called& drained : drained_) REQUIRE(drained.times() == 1);
    const auto held = script_.session().held();
    REQUIRE(held.operations == 0);
    REQUIRE(held.calls == 0);
    REQUIRE(held.searches == 0);
    check_observations();
    if (close) {
      script_.end_cancelled_streams();
      REQUIRE(script_.open_streams() == 0);
      REQUIRE(script_.session().closed());
      REQUIRE(held.timers == 0);
      for (const Readiness& ready : ready_) REQUIRE_FALSE(ready.pending());
    } else {
      // Timers of watches, and of those who wait for readiness.
      std::size_t others = 0;
      for (const Readiness& ready : ready_) others += ready.pending() ? 1 : 0;
      REQUIRE(held.timers <= node_count + others);
    }
  }

 private:
  static constexpr std::size_t node_count = 3;

  static ClientOptions options() {
    ClientOptions made = watched_nodes(node_count);
    made.total_shards = 4;
    made.writes.queued_per_shard = 4;
    made.observer = std::make_shared<Observer>();
    return made;
  }

  /// Every start has its end, and nothing is counted at any node that is not there.
  void check_observations() {
    Story story;
    for (const core::Observation& each : script_.observations) std::visit(story, each);
    REQUIRE(story.open() == 0);
    REQUIRE(story.ended() >= script_.submitted().size());
    for (const auto& node : script_.session().node_counters()) {
      REQUIRE(node->in_flight.value() == 0);
      REQUIRE(node->ghosts.value() == 0);
      REQUIRE(node->queued.value() == 0);
      REQUIRE(node->failures.value() <= node->attempts.value());
    }
  }

  Duration some_time() { return Duration{static_cast<std::int64_t>(random_.below(300'000'000))}; }
  std::uint32_t some_shard() { return static_cast<std::uint32_t>(random_.below(4)); }
  Duration some_timeout() { return random_.below(20) == 0 ? Duration{0} : 10 * some_time(); }

  void act() {
    switch (random_.below(16)) {
      case 0:
      case 1:
        script_.put(some_shard(), {.timeout = some_timeout(), .idempotent = random_.below(3) == 0});
        return;
      case 2:
        script_.remove(some_shard(), {.timeout = some_timeout(), .users_idempotency = random_.below(3) == 0});
        return;
      case 3:
      case 4:
        submit_read();
        return;
      case 5:
      case 6:
      case 7:
      case 8:
        answer_some();
        return;
      case 9:
        show_some();
        return;
      case 10: {
        const std::size_t node = random_.below(node_count);
        if (script_.streaming(node)) script_.end_stream(node, random_.below(3) == 0 ? 12 : 14);
        return;
      }
      case 11:
        if (!script_.submitted().empty()) {
          script_.cancel(script_.submitted()[random_.below(script_.submitted().size())]);
        }
        return;
      case 12:
        random_.below(8) == 0 ? script_.oversleep(10 * some_time()) : script_.wait(some_time());
        return;
      case 13:
        script_.wait(some_time() / 10);
        return;
      case 14:
        drained_.push_back(script_.drain());
        return;
      default:
        ready_.push_back(script_.wait_ready(random_.below(2) == 0 ? Need::any_node : Need::all_nodes, some_time()));
        if (random_.below(200) == 0) script_.close(some_time());
    }
  }

  void submit_read() {
    Read read{.timeout = some_timeout(), .consistency = static_cast<Consistency>(random_.below(4))};
    if (random_.below(10) == 0) read.text = "quorum";
    script_.get(some_shard(), read);
  }

  void answer_some() {
    const std::vector<OnWire> requests = script_.unanswered();
    if (requests.empty()) return;
    const OnWire& request = requests[random_.below(requests.size())];
    if (request.cancelled && random_.below(2) == 0) return script_.answer(request, called_off());
    script_.answer(request, some_answer(request.method));
  }

  Answer some_answer(wire::Method method) {
    switch (random_.below(14)) {
      case 0:
        return not_leader();
      case 1:
        return not_leader(address_of(random_.below(node_count + 1)));
      case 2:
        return not_sent();
      case 3:
        return lost();
      case 4:
        return timed_out();
      case 5:
        return garbage();
      case 6:
        return no_message();
      case 7:
        return status(3, "Unknown consistency level: what");
      case 8:
        return status(static_cast<int>(random_.below(18)), "whatever");
      default:
        if (method == a_put) return written(random_.below(20));
        if (method == a_remove) return removed(random_.below(20));
        return random_.below(2) == 0 ? missing() : found("value");
    }
  }

  void show_some() {
    const std::size_t node = random_.below(node_count);
    if (!script_.streaming(node)) return;
    std::vector<std::uint32_t> leads;
    std::vector<std::uint32_t> follows;
    for (std::uint32_t shard = 0; shard < 5; ++shard) {
      if (random_.below(2) == 0) (random_.below(2) == 0 ? leads : follows).push_back(shard);
    }
    script_.claims(node, leads, follows);
  }

  util::Random random_;
  Script script_;
  std::vector<Called> drained_;
  std::vector<Readiness> ready_;
};

}  // namespace

TEST_CASE("Two thousand random lives of a client keep every promise") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    INFO("seed " << seed);
    Monkey monkey{seed};
    monkey.play(200);
    monkey.end();
  }
}
