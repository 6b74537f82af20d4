#include "client/guest.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"

// Nodes that can't be reached, are silent, or talk nonsense.
using namespace norikv;
using namespace norikv::test;

namespace {

/// A client of one server that answers everything in the same way. Its streams are off: what is tested is the call.
class Answered {
 public:
  explicit Answered(Answer answer) : server_(always(std::move(answer))), guest_(options()) {}
  Guest* operator->() { return &guest_; }
  [[nodiscard]] std::size_t calls() const { return server_.calls(); }

 private:
  ClientOptions options() {
    ClientOptions options{.nodes = {server_.address()}, .total_shards = 4, .timeout = 300ms};
    options.connection.watch_topology = false;
    return options;
  }
  ScriptedServer server_;
  Guest guest_;
};

/// What a put, a remove and a get make of it, after a moment.
void check_answer(const Answer& answer, const std::string& code) {
  Answered client{answer};
  const auto written = client->put(key_of(1), "value");
  const auto removed = client->remove(key_of(2));  // of another shard: the lane of the first one settles
  const auto found = client->get("key");
  CHECK(ended(written) == code);
  CHECK(written.error().maybe_applied);
  CHECK(ended(removed) == code);
  CHECK(removed.error().maybe_applied);
  CHECK(ended(found) == code);
  CHECK_FALSE(found.error().maybe_applied);
}

}  // namespace

TEST_CASE("With all nodes unreachable an operation ends within its time and lists the attempts") {
  const RawPeer one{Form::ipv4}, two{Form::ipv4};  // ports on which nobody listens
  Guest guest{{.nodes = {one.address(), two.address()}, .total_shards = 4, .timeout = 400ms}};
  const auto begin = std::chrono::steady_clock::now();
  const auto written = guest.put("key", "value");
  const auto found = guest.get("key");
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  for (const Error& error : {written.error(), found.error()}) {
    INFO(error.describe());
    CHECK((error.code == ErrorCode::unavailable || error.code == ErrorCode::deadline_exceeded));
    REQUIRE_FALSE(error.attempts.empty());
    CHECK(error.attempts.size() <= 16);
    CHECK(error.attempts_made >= error.attempts.size());
    CHECK_FALSE(error.maybe_applied);  // nothing was sent
    CHECK(error.advice() == Advice::retry_later);
    for (const RawPeer* peer : {&one, &two}) CHECK(error.describe().find(peer->address()) != std::string::npos);
  }
}

TEST_CASE("One dead node of three is no obstacle") {
  Cluster cluster = start({.nodes = 3, .profile = Profile::replicated, .election = 20ms});
  cluster.stop(1);
  Guest guest{cluster};
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    CHECK(ended(guest.put(key_of(shard), "value")) == "ok");
    CHECK(value_of(guest.get(key_of(shard))) == "value");
  }
}

TEST_CASE("When a leader dies, writing goes on with its successor") {
  Cluster cluster = start({.nodes = 3, .profile = Profile::replicated, .election = 50ms});
  Guest guest{cluster};
  for (std::uint32_t shard = 0; shard < 4; ++shard) REQUIRE(ended(guest.put(key_of(shard), "one")) == "ok");
  cluster.stop(cluster.leader(0).value());
  // With a key: the client may send before it has noticed that the connection is gone, and then it can't know.
  for (std::uint32_t shard = 0; shard < 4; ++shard) {
    CHECK(ended(guest.put(key_of(shard), "two", {.idempotency_key = automatic})) == "ok");
    CHECK(value_of(guest.get(key_of(shard))) == "two");
  }
}

TEST_CASE("The deadline covers a node that takes requests and stays silent") {
  // Real time: the deadline is what is tested.
  Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put(key_of(0), "value")) == "ok");
  cluster.freeze(0);
  const auto begin = std::chrono::steady_clock::now();
  const PutOutcome write, behind;
  const GetOutcome read;
  guest->put(key_of(0), "two", {.timeout = 300ms}, write.callback());
  guest->put(key_of(0), "three", {.timeout = 300ms}, behind.callback());
  guest->get(key_of(0), {.timeout = 300ms}, read.callback());
  REQUIRE(guest.wait(write));
  REQUIRE(guest.wait(behind));
  REQUIRE(guest.wait(read));
  CHECK(std::chrono::steady_clock::now() - begin >= 300ms);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(ended(write) == "deadline_exceeded");
  CHECK(write.error().maybe_applied);
  CHECK(write.error().phase == Phase::sent);
  CHECK(ended(behind) == "deadline_exceeded");
  CHECK_FALSE(behind.error().maybe_applied);  // it never left the lane
  CHECK(ended(read) == "deadline_exceeded");
  CHECK_FALSE(read.error().maybe_applied);
  cluster.thaw(0);
  CHECK(ended(guest.put(key_of(0), "four")) == "ok");
}

TEST_CASE("A write that is on the wire when its node dies may have been applied, a read has not") {
  Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put(key_of(0), "value")) == "ok");
  cluster.freeze(0);  // so that both are on the wire
  const auto puts = cluster.counters().puts;
  const PutOutcome write;
  const GetOutcome read;
  guest->get(key_of(0), {.timeout = 500ms}, read.callback());
  guest->put(key_of(0), "two", {.timeout = 500ms}, write.callback());
  REQUIRE(guest.loop().run_until([&] { return cluster.counters().puts > puts; }));
  cluster.stop(0);
  REQUIRE(guest.wait(write));
  REQUIRE(guest.wait(read));
  CHECK(ended(write) == "unavailable");
  CHECK(write.error().maybe_applied);
  CHECK(write.error().advice() == Advice::retry_later);
  CHECK_FALSE(read.result().has_value());
  CHECK_FALSE(read.error().maybe_applied);
}

TEST_CASE("A write with an idempotency key survives a node that dies and comes back") {
  Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.put(key_of(0), "one")) == "ok");
  cluster.freeze(0);
  const auto puts = cluster.counters().puts;
  const PutOutcome write;
  guest->put(key_of(0), "two", {.idempotency_key = automatic}, write.callback());
  REQUIRE(guest.loop().run_until([&] { return cluster.counters().puts > puts; }));
  cluster.stop(0);
  REQUIRE(cluster.restart(0));
  REQUIRE(guest.wait(write));
  CHECK(ended(write) == "ok");
  CHECK(cluster.stored(key_of(0)) == "two");
}

TEST_CASE("An answer that is garbage is a protocol error") {
  check_answer({.body = "\xff\xff\xff garbage"}, "protocol");
}

TEST_CASE("An answer that is cut off is a protocol error") { check_answer({.body = "\x0a\x7f\x01"}, "protocol"); }

TEST_CASE("An answer without a message is a protocol error, not an empty success") {
  check_answer({.body = {}}, "protocol");
}

TEST_CASE("An empty reply to a write is a protocol error, and to a read a missing key") {
  // The empty message is what the server says of a key that is not there; to a write it lacks the version.
  Answered client{{.body = ""}};
  const auto written = client->put(key_of(1), "value");
  CHECK(ended(written) == "protocol");
  CHECK(written.error().maybe_applied);
  CHECK(ended(client->remove(key_of(2))) == "protocol");
  const auto found = client->get("key");
  REQUIRE(ended(found) == "ok");
  CHECK_FALSE(found->has_value());
}

TEST_CASE("A status that does not exist is an unknown error") {
  // 31 is the largest number that fits into gRPC's enum, through which our server has to say it.
  check_answer({.status = 31, .message = "what is this", .body = {}}, "unknown");
}

TEST_CASE("A failure of the server is its error, in its words") {
  Answered client{{.status = 13, .message = "Put failed: disk\x01 full", .body = {}}};
  const auto written = client->put("key", "value");
  CHECK(ended(written) == "server_error");
  CHECK(written.error().message.find("disk  full") != std::string::npos);  // on one line
  CHECK(written.error().maybe_applied);
  CHECK(client.calls() == 2);  // the probe that looked for the leader, and the write: it is not repeated
}

TEST_CASE("A trailer of 64 KiB is never a success of a write that it belongs to, nor a crash") {
  Answered client{{.status = 13,
                   .message = std::string(2000, 'x'),
                   .body = {},
                   .trailing_metadata = {{"leader-hint", std::string(64 * 1024, 'y')}}}};
  const auto written = client->put("key", "value");
  REQUIRE_FALSE(written.has_value());
  INFO(written.error().describe());
  CHECK(written.error().maybe_applied);
  CHECK(written.error().describe().size() < 8 * 1024);
}

TEST_CASE("A peer that speaks another protocol is unavailable") {
  const RawPeer peer{Form::ipv4, [](RawConnection& connection) { connection.write("220 mail.example ESMTP\r\n"); }};
  Guest guest{{.nodes = {peer.address()}, .total_shards = 4, .timeout = 300ms}};
  const auto written = guest.put("key", "value");
  REQUIRE_FALSE(written.has_value());
  CHECK((written.error().code == ErrorCode::unavailable || written.error().code == ErrorCode::deadline_exceeded));
  CHECK_FALSE(written.error().maybe_applied);
}

TEST_CASE("A refusal that is definite is not repeated") {
  for (const int status : {3, 6, 7, 9, 11, 12, 16}) {
    Answered client{{.status = status, .message = "no", .body = {}}};
    const auto found = client->get("key");
    REQUIRE_FALSE(found.has_value());
    INFO(found.error().describe());
    CHECK(client.calls() == 1);
  }
}
