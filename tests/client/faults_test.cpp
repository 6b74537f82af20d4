// Each fault of the ephemeral cluster, as the client meets it.
#include <norikv/testing/cluster.hpp>
#include <norikv/testing/proxy.hpp>

#include "client/outcome.hpp"
#include "support/transport.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace norikv::testing;

namespace {

/// A cluster as it should be, and a client with a loop of its own.
struct World {
  explicit World(ClusterConfig config = {.nodes = 3, .profile = Profile::replicated})
      : cluster(Cluster::start(config).value()), client(create(cluster.client_options()).value()) {}

  Outcome<Written> put(const std::string& key, PutOptions options = {}) {
    Outcome<Written> written;
    client.put(key, "value", options, written.callback());
    REQUIRE(written.wait(20s));
    return written;
  }
  Outcome<std::optional<Entry>> get(const std::string& key, GetOptions options = {}) {
    Outcome<std::optional<Entry>> found;
    client.get(key, options, found.callback());
    REQUIRE(found.wait(20s));
    return found;
  }
  bool reads(const std::string& key) {
    const auto found = get(key).result();
    return found && *found && (*found)->value == "value";
  }

  Cluster cluster;
  Client client;
};

bool eventually(const std::function<bool()>& condition) {
  for (const auto end = std::chrono::steady_clock::now() + 10s; std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

}  // namespace

TEST_CASE("A write whose reply is missing or no protobuf is a protocol error that may be applied") {
  World on;
  const Fault fault = on.cluster.reply_with(GENERATE(replies::without_message(), replies::unparsable()),
                                            {.method = Method::put, .times = 1});
  const Error error = on.put("key").error();
  CHECK(error.code == ErrorCode::protocol);
  CHECK(error.maybe_applied);
  CHECK(on.cluster.stored("key") == "value");
}

TEST_CASE("Compressed replies are read like others") {
  World on;
  const Fault fault = on.cluster.compress_replies();
  CHECK(on.put("key").result());
  CHECK(on.reads("key"));
  CHECK(fault.hits() >= 2);
}

TEST_CASE("A write whose connection breaks behind it may be applied, and a read is repeated") {
  World on;
  const Fault write = on.cluster.drop_connection(Moment::after_applied, {.method = Method::put, .times = 1});
  const Error error = on.put("key").error();
  CHECK(error.code == ErrorCode::unavailable);
  CHECK(error.maybe_applied);
  CHECK(on.cluster.stored("key") == "value");
  const Fault read = on.cluster.drop_connection(Moment::after_applied, {.method = Method::get, .times = 1});
  CHECK(on.reads("key"));
  CHECK(read.hits() == 1);
}

TEST_CASE("A write whose connection breaks behind it is repeated with its idempotency key, and applied once") {
  World on;
  const Fault fault = on.cluster.drop_connection(Moment::after_applied, {.method = Method::put, .times = 1});
  CHECK(on.put("key", {.idempotency_key = "token"}).result());
  CHECK(on.cluster.counters().applied_writes == 1);
  CHECK(fault.hits() == 1);
}

TEST_CASE("A commit that times out may be applied") {
  World on;
  const Fault fault = on.cluster.reply_with(replies::commit_timeout(), {.method = Method::put, .times = 1});
  const Error error = on.put("key").error();
  CHECK(error.code == ErrorCode::server_error);
  CHECK(error.maybe_applied);
}

TEST_CASE("NOT_LEADER with a hint to nowhere and a server that asks for patience cost time and no error") {
  World on;
  const Fault hint = on.cluster.reply_with(replies::not_leader(GENERATE("", "127.0.0.1:1", "node9-shard1", "%%")),
                                           {.method = Method::put, .times = 3});
  const Fault busy = on.cluster.reply_with(replies::throttled(10ms), {.method = Method::put, .times = 1});
  CHECK(on.put("key", {.idempotency_key = "token"}).result());  // Without it a throttled write may be applied.
  CHECK(hint.hits() == 3);
  CHECK(busy.hits() == 1);
}

TEST_CASE("Operations go on over GOAWAY, streams that end, epochs that go back and ids that are claimed") {
  World on;
  REQUIRE(on.put("key").result());
  const Fault epoch = on.cluster.set_epoch_back(0, 1000);
  const Fault id = on.cluster.claim_id(1, 2);
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t node = 0; node < 3; ++node) {
      on.cluster.go_away(node);
      on.cluster.end_streams(node);
    }
    for (std::uint32_t shard = 0; shard < 4; ++shard) {
      REQUIRE(on.cluster.move_leader(shard, static_cast<std::uint32_t>(round)));
    }
    CHECK(on.reads("key"));
    CHECK(on.put("key").result());
  }
}

TEST_CASE("A stream that ended with OK is opened again") {
  World on;
  REQUIRE(eventually([&] { return on.cluster.counters().watches == 3; }));
  for (std::uint32_t node = 0; node < 3; ++node) on.cluster.end_streams(node);
  CHECK(eventually([&] { return on.cluster.counters().watches == 6; }));
}

TEST_CASE("The leader's isolation costs its shard's operations their time, and they work again after it") {
  World on;
  REQUIRE(on.put("key").result());
  const std::uint32_t leader = on.cluster.leader(shard_of("key", 4)).value();
  {
    const Fault fault = on.cluster.isolate(leader, GENERATE(Isolation::silent, Isolation::refused));
    CHECK_FALSE(on.get("key", {.timeout = 300ms}).result());
  }
  CHECK(eventually([&] { return on.reads("key"); }));
}

TEST_CASE("Servers of other shapes are understood") {
  ClusterConfig config{.nodes = 3, .profile = Profile::replicated};
  config.shapes.missing = AnswerShapes::MissingKey::not_found;
  config.shapes.consistency_names = AnswerShapes::ConsistencyNames::sdk;
  config.shapes.not_leader = AnswerShapes::NotLeader::failed_precondition;
  config.shapes.hint_block = GENERATE(AnswerShapes::HintBlock::initial, AnswerShapes::HintBlock::trailing);
  config.shapes.hint_form = AnswerShapes::HintForm::replica_id;
  World on(config);
  REQUIRE(on.put("key").result());
  const auto missing = on.get("missing").result();
  REQUIRE(missing);
  CHECK_FALSE(missing->has_value());
  for (const Consistency level : {Consistency::lease, Consistency::linearizable, Consistency::stale}) {
    CHECK(on.get("key", {.consistency = level}).result());
  }
  for (std::uint32_t shard = 0; shard < 4; ++shard) REQUIRE(on.cluster.move_leader(shard, 2));
  CHECK(on.reads("key"));
}

TEST_CASE("A line that is silent ends an operation at its time, and works again") {
  Cluster cluster = Cluster::start({.profile = Profile::replicated}).value();
  Proxy proxy = Proxy::start(cluster.addresses()[0]).value();
  ClientOptions options = cluster.client_options();
  options.nodes = {proxy.address()};
  Client client = create(options).value();
  const auto get = [&](Duration timeout) {
    Outcome<std::optional<Entry>> found;
    client.get("key", {.timeout = timeout}, found.callback());
    REQUIRE(found.wait(20s));
    return found.result();
  };
  REQUIRE(get(5s));
  {
    const Fault held = proxy.hold();
    const auto ended = get(200ms);
    REQUIRE_FALSE(ended);
    CHECK(ended.error().code == ErrorCode::deadline_exceeded);
  }
  CHECK(get(5s));
  proxy.cut();
  CHECK(get(5s));
}
