#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>

#include "client/guest.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"

// One scenario with everything in it that can be pending, ended after each of its events.
using namespace norikv;
using namespace norikv::test;

namespace {

// Replies as the wire has them.
constexpr const char* a_view = "\x08\x01";
constexpr const char* an_entry = "\x0a\x01v\x12\x02\x10\x05";
constexpr const char* a_version = "\x0a\x02\x10\x07";

/// A server whose every shard is cold for two requests, that loses sight of one write, and refuses another for a while.
class Server {
 public:
  [[nodiscard]] const std::string& address() const { return server_.address(); }
  /// As it was at the start. [between two runs]
  void reset() {
    cold_ = 2;
    busy_ = 1;
  }

 private:
  void answer(ServerCall& call) {
    const auto says = [&](std::string_view word) { return call.request().find(word) != std::string::npos; };
    if (call.method().ends_with("WatchCluster")) return call.send(a_view);
    if (call.method().ends_with("Get")) {
      if (says("cold") && cold_-- > 0) return call.answer({.status = 14, .message = "NOT_LEADER", .body = {}});
      return call.answer({.body = an_entry});
    }
    if (says("ambiguous")) return call.answer({.status = 13, .message = "Put failed: CommitTimeout", .body = {}});
    if (says("busy") && busy_-- > 0) return call.answer({.status = 8, .message = "busy", .body = {}});
    call.answer({.body = a_version});
  }

  std::atomic<int> cold_{2};
  std::atomic<int> busy_{1};
  ScriptedServer server_{[this](ServerCall& call) { answer(call); }};
};

std::string key_with(const std::string& word, std::uint32_t shard) {
  for (int i = 0;; ++i) {
    std::string key = word + std::to_string(i);
    if (shard_of(key, 4) == shard) return key;
  }
}

/// One run of the scenario: how often each callback came.
class Run {
 public:
  Run(const Server& server, const RawPeer& half_open) : client_(std::make_unique<Client>(create(server, half_open))) {
    client_->topology().subscribe([](const TopologyEvent&) {}, once("topology ended")).detach();
    client_->connections().subscribe([](const ConnectionEvent&) {}, once("connections ended")).detach();
    client_->wait_ready({.timeout = 40ms, .need = Need::all_nodes}, once("ready"));  // one node never answers
    client_->get(key_with("cold", 2), once("cold shard"));
    client_->put(key_with("cold", 2), "v", once("write that waits for a leader"));
    client_->put(key_with("ambiguous", 0), "v", once("ambiguous write"));
    client_->put(key_with("next", 0), "v", once("write behind it in the lane"));
    client_->put(key_with("busy", 3), "v", {.idempotency_key = automatic}, once("write that backs off"));
    client_->get(key_with("any", 1), once("read that meets the half-open node"));
    client_->get(key_with("cold", 2), once("cancelled read")).cancel();
    client_->put(std::string(2000, 'k'), "v", once("refused write"));
    client_->when_room(1, once("room"));
    client_->drain(once("drain"));
    client_->post(once("task"));
  }

  /// Turns the loop so often, or until everything has come.
  [[nodiscard]] int turn(int limit) {
    int turns = 0;
    // The two ends of subscriptions come with the end of the client.
    for (; turns < limit && came() + 2 < calls_.size(); ++turns) uv_run(loop_.loop(), UV_RUN_ONCE);
    return turns;
  }
  void close(CloseOptions options = {}) { client_->close(options, once("close")); }
  void destroy() { client_.reset(); }

  /// What did not come exactly once; empty = all is well.
  [[nodiscard]] std::string wrong() {
    if (!loop_.run_until_idle()) return "the loop does not end";
    for (const auto& [name, count] : calls_) {
      if (*count != 1) return name + " came " + std::to_string(*count) + " times";
    }
    client_.reset();
    for (const auto& handle : loop_.close()) return "left on the loop: " + handle;
    return "";
  }

 private:
  Client create(const Server& server, const RawPeer& half_open) {
    ClientOptions options{.nodes = {server.address(), half_open.address()}, .total_shards = 4, .timeout = 1s};
    options.writes.lane_settle = 10ms;
    options.retry.attempt_timeout = 15ms;
    for (Backoff* backoff :
         {&options.retry.not_leader, &options.retry.unavailable, &options.retry.ambiguous, &options.retry.throttled}) {
      *backoff = {2ms, 5ms};
    }
    return made(norikv::test::create(loop_.loop(), options));
  }
  std::function<void()> counter(const std::string& name) {
    calls_.emplace_back(name, std::make_shared<int>(0));
    return [count = calls_.back().second] { ++*count; };
  }
  /// A callback of any kind.
  struct Once {
    std::function<void()> count;
    template <class... Results>
    void operator()(Results&&...) {
      count();
    }
  };
  Once once(const std::string& name) { return {counter(name)}; }
  [[nodiscard]] std::size_t came() const {
    return static_cast<std::size_t>(
        std::count_if(calls_.begin(), calls_.end(), [](const auto& call) { return *call.second > 0; }));
  }

  LoopFixture loop_;
  std::vector<std::pair<std::string, std::shared_ptr<int>>> calls_;
  std::unique_ptr<Client> client_;
};

/// Runs the scenario again and again, and ends it one event later each time, until it ends by itself.
void end_after_every_event(const std::function<void(Run&)>& end) {
  Server server;
  const RawPeer half_open{Form::ipv4, [](RawConnection& connection) { connection.read_to_end(); }};
  int event = 0;
  for (bool whole = false; !whole; ++event) {
    server.reset();
    Run run{server, half_open};
    whole = run.turn(event) < event;
    end(run);
    INFO("ended after event " << event);
    REQUIRE(run.wrong() == "");
  }
  CHECK(event > 10);  // else it is no scenario; how much one turn of the loop brings is up to the machine
}

}  // namespace

TEST_CASE("Closed after any event, every callback comes exactly once") {
  end_after_every_event([](Run& run) { run.close(); });
}

TEST_CASE("Destroyed after any event, every callback comes exactly once") {
  end_after_every_event([](Run& run) { run.destroy(); });
}

TEST_CASE("Closed with a short grace after any event, every callback comes exactly once") {
  end_after_every_event([](Run& run) { run.close({.grace = 3ms}); });
}
