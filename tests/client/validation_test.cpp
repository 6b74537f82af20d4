#include <functional>
#include <limits>

#include "client/guest.hpp"

// What can't be right, and what the message says about it.
using namespace norikv;
using namespace norikv::test;

namespace {

struct BadOptions {
  std::function<void(ClientOptions&)> change;
  std::vector<std::string> words;  // what the message has to name: the field, and the text that is wrong
};

BadOptions bad_node(const std::string& text, const std::string& why) {
  return {[text](ClientOptions& options) { options.nodes.push_back(text); },
          {"ClientOptions::nodes[1]", "\"" + text + "\"", why}};
}

const std::vector<BadOptions>& bad_options() {
  static const std::vector<BadOptions> table = {
      {[](ClientOptions& o) { o.nodes.clear(); }, {"ClientOptions::nodes", "empty"}},
      bad_node("localhost", "no port"),
      bad_node("127.0.0.1:0", "the port"),
      bad_node("127.0.0.1:65536", "the port"),
      bad_node("127.0.0.1:-1", "the port"),
      bad_node("127.0.0.1:", "the port"),
      bad_node("127.0.0.1:http", "the port"),
      bad_node(":7447", "no host"),
      bad_node("127.0.0.1:7447", "named twice"),
      bad_node("[::1]", "no port"),
      bad_node("[::1", "]"),
      bad_node("[nonsense]:7447", "IPv6"),
      bad_node("::1:7447", "brackets"),
      bad_node("unix:", "path"),
      bad_node("unix:relative", "path"),
      bad_node("http://host:7447", "host"),
      bad_node("", "no port"),
      {[](ClientOptions& o) { o.total_shards = 0; }, {"ClientOptions::total_shards", "0"}},
      {[](ClientOptions& o) { o.total_shards = 0xffffffff; }, {"ClientOptions::total_shards", "4294967295"}},
      {[](ClientOptions& o) { o.timeout = 0s; }, {"ClientOptions::timeout", "0 s"}},
      {[](ClientOptions& o) { o.timeout = -1s; }, {"ClientOptions::timeout", "-1 s"}},
      {[](ClientOptions& o) { o.timeout = Duration::max(); }, {"ClientOptions::timeout", "ten years"}},
      {[](ClientOptions& o) { o.writes.spacing = -1ms; }, {"WriteOptions::spacing", "-1 ms"}},
      {[](ClientOptions& o) { o.writes.spacing = Duration::max(); }, {"WriteOptions::spacing", "ten years"}},
      {[](ClientOptions& o) { o.writes.queued_per_shard = 0; }, {"WriteOptions::queued_per_shard", "0"}},
      {[](ClientOptions& o) { o.writes.lane_settle = Duration::min(); }, {"WriteOptions::lane_settle"}},
      {[](ClientOptions& o) { o.retry.not_leader.base = 0s; }, {"RetryOptions::not_leader.base", "0 s"}},
      {[](ClientOptions& o) { o.retry.unavailable.cap = 1ms; }, {"RetryOptions::unavailable.cap", "shorter"}},
      {[](ClientOptions& o) { o.retry.ambiguous.cap = Duration::max(); }, {"RetryOptions::ambiguous.cap"}},
      {[](ClientOptions& o) { o.retry.throttled.base = -1s; }, {"RetryOptions::throttled.base", "-1 s"}},
      {[](ClientOptions& o) { o.retry.attempt_timeout = 0s; }, {"RetryOptions::attempt_timeout", "0 s"}},
      {[](ClientOptions& o) { o.limits.operations = 0; }, {"LimitOptions::operations", "0"}},
      {[](ClientOptions& o) { o.limits.bytes = 0; }, {"LimitOptions::bytes", "0"}},
      {[](ClientOptions& o) { o.limits.callbacks_per_turn = 0; }, {"LimitOptions::callbacks_per_turn", "0"}},
      {[](ClientOptions& o) { o.connection.per_node = 0; }, {"ConnectionOptions::per_node", "0"}},
      {[](ClientOptions& o) { o.connection.per_node = 1000; }, {"ConnectionOptions::per_node", "1000"}},
      {[](ClientOptions& o) { o.connection.connect_timeout = 0s; }, {"ConnectionOptions::connect_timeout", "0 s"}},
      {[](ClientOptions& o) { o.connection.reconnect.base = 0s; }, {"ConnectionOptions::reconnect.base", "0 s"}},
      {[](ClientOptions& o) { o.connection.keepalive = -1s; }, {"ConnectionOptions::keepalive", "-1 s"}},
      {[](ClientOptions& o) { o.connection.keepalive_timeout = 0s; }, {"ConnectionOptions::keepalive_timeout"}},
      {[](ClientOptions& o) { o.connection.heartbeat = -1ms; }, {"ConnectionOptions::heartbeat", "-1 ms"}},
      {[](ClientOptions& o) { o.connection.max_reply_size = 0; }, {"ConnectionOptions::max_reply_size", "0"}},
      {[](ClientOptions& o) { o.connection.silence = 0s; }, {"ConnectionOptions::silence", "0 s"}},
      {[](ClientOptions& o) { o.connection.transport = TransportKind{77}; }, {"ConnectionOptions::transport"}},
  };
  return table;
}

std::string outcome_of_put(Guest& guest, PutOptions options, const std::string& field) {
  const auto result = guest.put("key", "value", std::move(options));
  if (result) return "ok";
  CHECK(result.error().message.find(field) != std::string::npos);
  CHECK_FALSE(result.error().maybe_applied);
  return ended(result);
}

}  // namespace

TEST_CASE("Bad options are refused by both forms of create, naming field and text") {
  LoopFixture loop;
  for (const BadOptions& bad : bad_options()) {
    ClientOptions options{.nodes = {"127.0.0.1:7447"}};
    bad.change(options);
    for (const auto& made : {Client::create(loop.loop(), options), Client::create(options)}) {
      INFO(bad.words.front());
      REQUIRE_FALSE(made.has_value());
      CHECK(made.error().code == ErrorCode::invalid_argument);
      CHECK(made.error().advice() == Advice::do_not_retry);
      for (const std::string& word : bad.words) {
        INFO(made.error().message);
        CHECK(made.error().message.find(word) != std::string::npos);
      }
    }
  }
}

TEST_CASE("A build without the h2 transport refuses it, and says why") {
  LoopFixture loop;
  ClientOptions options{.nodes = {"127.0.0.1:7447"}};
  options.connection.transport = TransportKind::h2;
  Result<Client> made = Client::create(loop.loop(), options);
  if (!made) {
    CHECK(made.error().code == ErrorCode::invalid_argument);
    CHECK(made.error().message.find("no h2 transport") != std::string::npos);
    return;
  }
  { const Client gone = std::move(*made); }
  CHECK(loop.run_until_idle());
}

TEST_CASE("A refused create leaves nothing on the loop") {
  LoopFixture loop;
  REQUIRE_FALSE(Client::create(loop.loop(), {}).has_value());
  CHECK(loop.idle());
}

TEST_CASE("A client on a null loop is refused") {
  const auto made = Client::create(nullptr, {.nodes = {"127.0.0.1:7447"}});
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().code == ErrorCode::invalid_argument);
  CHECK(made.error().message.find("loop") != std::string::npos);
}

TEST_CASE("Every form of an address is taken") {
  LoopFixture loop;
  const auto made = Client::create(
      loop.loop(), {.nodes = {"127.0.0.1:1", "localhost:2", "[::1]:3", "unix:/nowhere", "a-b.example:65535"}});
  CHECK(made.has_value());
  if (made) const_cast<Client&>(*made).close();
  CHECK(loop.run_until_idle());
}

TEST_CASE("A bad option of an operation is an invalid argument through the callback, and nothing is sent") {
  const Cluster cluster = start();
  Guest guest{cluster};
  for (const Duration wrong : {Duration{0}, Duration{-1}, Duration::min(), Duration::max(), max_duration + 1ns}) {
    INFO(wrong.count());
    CHECK(outcome_of_put(guest, {.timeout = wrong}, "timeout") == "invalid_argument");
    CHECK(outcome_of_put(guest, {.ttl = wrong}, "PutOptions::ttl") == "invalid_argument");
    CHECK(ended(guest.get("key", {.timeout = wrong})) == "invalid_argument");
    CHECK(ended(guest.remove("key", {.timeout = wrong})) == "invalid_argument");
    CHECK(ended(guest.ready({.timeout = wrong})) == "invalid_argument");
  }
  // What looks like a condition must not become a blind write.
  CHECK(outcome_of_put(guest, {.precondition = Precondition{}}, "PutOptions::precondition") == "invalid_argument");
  CHECK(cluster.counters().puts == 0);
  CHECK(cluster.counters().gets == 0);
  CHECK(cluster.counters().removes == 0);
}

TEST_CASE("The longest duration and the last point in time are taken") {
  const Cluster cluster = start();
  Guest guest{cluster};
  CHECK(ended(guest.put("key", "value", {.timeout = max_duration, .deadline = TimePoint::max()})) == "ok");
  CHECK(ended(guest.get("key", {.deadline = TimePoint::max()})) == "ok");
  CHECK(ended(guest.get("key", {.deadline = TimePoint::min()})) == "deadline_exceeded");
}

TEST_CASE("A refused operation has the token of no operation") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const PutOutcome refused;
  const Operation operation = guest->put(std::string(2000, 'k'), "value", refused.callback());
  CHECK(operation.id() == 0);
  operation.cancel();
  REQUIRE(guest.wait(refused));
  CHECK(ended(refused) == "invalid_argument");
}

TEST_CASE("An error never holds a key or a value") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const std::string secret = "s3cret";
  REQUIRE(ended(guest.put(secret, secret)) == "ok");
  const auto mismatch = guest.put(secret, secret, {.precondition = at(Version{7, 7})});
  const auto too_long = guest.put(secret + std::string(2000, 'k'), secret);
  CHECK(mismatch.error().describe().find(secret) == std::string::npos);
  CHECK(too_long.error().describe().find(secret) == std::string::npos);
}
