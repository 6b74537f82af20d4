#include "support/session_script.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

/// A script over so many nodes in which node 0 leads shard 0, as a view said.
struct Led : Script {
  explicit Led(std::size_t count, ClientOptions options) : Script(std::move(options)) {
    for (std::size_t node = 0; node < count; ++node) claims(node, node == 0 ? shards : none);
  }
  explicit Led(std::size_t count = 1) : Led(count, watched_nodes(count)) {}
  std::vector<std::uint32_t> shards{0};
  std::vector<std::uint32_t> none{};
};

}  // namespace

TEST_CASE("A read is repeated after an unknown outcome") {
  Led script;
  const auto read = script.get(0);
  script.answer(script.expect(a_get), status(13, "Get failed: Internal"));
  CHECK(script.quiet());
  script.wait(25ms);
  script.answer(script.expect(a_get), found("value"));
  CHECK(read.succeeded());
  CHECK(script.counters().retries.value() == 1);
}

TEST_CASE("A read is repeated after its connection was lost") {
  Led script{2};
  const auto read = script.get(0);
  script.answer(script.expect(a_get, 0), lost());
  CHECK(script.leader(0) == -1);
  script.wait(25ms);
  script.answer(script.expect(a_get), found("value"));
  CHECK(read.succeeded());
}

TEST_CASE("A write that surely was not sent is repeated") {
  for (const Sent sent : {Sent::not_sent, Sent::refused_unprocessed}) {
    Led script;
    const auto write = script.put(0);
    Answer answer = not_sent();
    answer.sent = sent;
    script.answer(script.expect(a_put), answer);
    script.wait(20ms);
    script.answer(script.expect(a_get), missing());  // the leader is in doubt
    script.answer(script.expect(a_put), written(1));
    CHECK(write.succeeded());
  }
}

TEST_CASE("A write without idempotency key is not repeated after an unknown outcome") {
  for (const Answer& answer : {lost(), timed_out(), status(13, "Put failed: CommitTimeout { elapsed_ms: 5000 }"),
                               status(2, "what"), status(8, "busy"), garbage(), no_message(), status(77)}) {
    INFO(answer.status << " " << answer.message);
    Led script;
    const auto write = script.put(0);
    script.answer(script.expect(a_put), answer);
    REQUIRE_FALSE(write.pending());
    CHECK(write.error().maybe_applied);
    CHECK(write.error().phase == Phase::sent);
    CHECK(write.error().attempts_made == 1);
    script.wait(10s);
    CHECK(script.quiet());
    CHECK(script.counters().maybe_applied.value() == 1);
  }
}

TEST_CASE("A write that the server definitely refused surely was not applied") {
  for (const Answer& answer :
       {status(3, "Key size 1025 exceeds limit 1024"), status(9, "CAS failed: key does not exist"),
        status(11, "Error, message length too large: found 5242890 bytes, the limit is: 4194304 bytes"), status(12),
        status(7), status(16)}) {
    INFO(answer.status);
    Led script;
    const auto write = script.put(0);
    script.answer(script.expect(a_put), answer);
    CHECK_FALSE(write.error().maybe_applied);
  }
}

TEST_CASE("A write with idempotency key is repeated after its lane has settled, to the node that may know the key") {
  Led script{2};
  const auto write = script.put(0, {.idempotent = true});
  script.answer(script.expect(a_put, 0), lost());
  script.wait(499ms);
  script.claims(1, {0});  // another leader meanwhile
  CHECK(script.quiet());
  script.wait(1ms);
  script.answer(script.expect(a_put, 0), written(1));
  CHECK(write.succeeded());
}

TEST_CASE("The second repetition of a write goes to the leader") {
  Led script{2};
  const auto write = script.put(0, {.idempotent = true});
  script.answer(script.expect(a_put, 0), lost());
  script.wait(500ms);
  script.claims(1, {0});
  const auto repeated = script.expect(a_put, 0);
  script.answer(repeated, lost());
  script.wait(600ms);
  static_cast<void>(script.expect(a_put, 1));
}

TEST_CASE("A mismatch after an ambiguous attempt may be the write's own doing") {
  Led script;
  const auto write = script.put(0, {.idempotent = true});
  script.answer(script.expect(a_put), lost());
  script.wait(600ms);
  script.answer(script.expect(a_put), status(9, "Version mismatch: expected term=0 index=3, got term=0 index=4"));
  CHECK(write.failed_with(ErrorCode::precondition_failed));
  CHECK(write.error().maybe_applied);
  REQUIRE(write.error().mismatch);
  CHECK(write.error().mismatch->expected == Version{0, 3});
  CHECK(write.error().mismatch->actual == Version{0, 4});
}

TEST_CASE("A mismatch at the first attempt is not the write's own doing") {
  Led script;
  const auto write = script.put(0, {.idempotent = true});
  script.answer(script.expect(a_put), status(9, "Version mismatch: expected term=0 index=3, got term=0 index=4"));
  CHECK_FALSE(write.error().maybe_applied);
}

TEST_CASE("A write that met an unknown outcome stays ambiguous whatever comes later") {
  Led script;
  const auto write = script.put(0, {.timeout = 2s, .idempotent = true});
  script.answer(script.expect(a_put), lost());
  script.wait(600ms);
  script.answer(script.expect(a_put), not_leader());
  script.wait(2s);
  CHECK(write.failed_with(ErrorCode::deadline_exceeded));
  CHECK(write.error().maybe_applied);
}

TEST_CASE("An attempt that may be repeated is given a second, any other the operation's whole time") {
  Led script;
  static_cast<void>(script.get(0));
  CHECK(script.expect(a_get).deadline == script.now() + 1s);
  static_cast<void>(script.put(0, {.idempotent = true}));
  const auto keyed = script.expect(a_put);
  CHECK(keyed.deadline == script.now() + 1s);
  script.answer(keyed, written(1));
  static_cast<void>(script.put(0));
  CHECK(script.expect(a_put).deadline == script.now() + 5s);
}

TEST_CASE("A read that got no answer is asked once more where it was, then the leader is in doubt") {
  Led script{2};
  static_cast<void>(script.get(0));
  const auto first = script.expect(a_get, 0);
  script.wait(1s);
  script.answer(first, timed_out());
  CHECK(script.leader(0) == 0);
  script.wait(25ms);
  const auto second = script.expect(a_get, 0);
  script.wait(1s);
  script.answer(second, timed_out());
  CHECK(script.leader(0) == -1);
  script.wait(50ms);
  static_cast<void>(script.expect(a_get));
}

TEST_CASE("A retry that the deadline can't fit is not waited for") {
  Led script;
  const auto write = script.put(0, {.timeout = 400ms, .idempotent = true});
  script.wait(1ms);
  script.answer(script.expect(a_put), lost());  // its lane settles for 500 ms
  CHECK(write.failed_with(ErrorCode::unavailable));
  CHECK(write.error().maybe_applied);
}

TEST_CASE("A throttled write with idempotency key is repeated after a pause") {
  Led script;
  const auto write = script.put(0, {.idempotent = true});
  script.answer(script.expect(a_put), status(8, "busy"));
  script.wait(500ms);
  script.answer(script.expect(a_put), written(1));
  CHECK(write.succeeded());
}

TEST_CASE("A pause that a throttling server asks for is kept") {
  Led script;
  static_cast<void>(script.get(0));
  Answer busy = status(8, "busy");
  busy.metadata.emplace_back("grpc-retry-pushback-ms", "1500");
  script.answer(script.expect(a_get), busy);
  script.wait(1499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  static_cast<void>(script.expect(a_get));
}

TEST_CASE("A read that a server does not want again ends at once") {
  Led script;
  const auto read = script.get(0);
  Answer busy = status(8, "busy");
  busy.metadata.emplace_back("grpc-retry-pushback-ms", "-1");
  script.answer(script.expect(a_get), busy);
  CHECK(read.failed_with(ErrorCode::throttled));
}

TEST_CASE("A missing key is a success without entry, told as an error or not") {
  for (const Answer& answer : {missing(), status(5, "no such key")}) {
    Led script;
    const auto read = script.get(0);
    script.answer(script.expect(a_get), answer);
    CHECK(read.succeeded());
    CHECK_FALSE(read.entry());
  }
}

TEST_CASE("An empty value is an entry") {
  Led script;
  const auto read = script.get(0);
  script.answer(script.expect(a_get), found("", 9));
  REQUIRE(read.entry());
  CHECK(read.entry()->value.empty());
  CHECK(read.entry()->version == Version{0, 9});
}

TEST_CASE("Garbage is an error of the protocol, never a success") {
  for (const Answer& answer : {garbage(), no_message()}) {
    Led script;
    const auto read = script.get(0);
    script.answer(script.expect(a_get), answer);
    CHECK(read.failed_with(ErrorCode::protocol));
    CHECK_FALSE(read.error().maybe_applied);
    const auto write = script.put(0);
    script.answer(script.expect(a_put), answer);
    CHECK(write.failed_with(ErrorCode::protocol));
    const auto removal = script.remove(0);
    script.wait(500ms);
    script.answer(script.expect(a_remove), ok(""));  // lacks its version
    CHECK(removal.failed_with(ErrorCode::protocol));
  }
}

TEST_CASE("A read before a compare-and-swap that failed is safe to repeat") {
  Led script;
  const auto write = script.put(0);
  script.answer(script.expect(a_put), status(13, "Failed to check current version: Timeout"));
  script.wait(20ms);
  script.answer(script.expect(a_put), written(1));
  CHECK(write.succeeded());
}

TEST_CASE("An error keeps the first and the last attempts, and counts them all") {
  Led script;
  const auto read = script.get(0, {.timeout = 30s});
  int made = 0;
  for (; read.pending() && made < 40; ++made) {
    while (script.quiet() && read.pending()) script.wait(1ms);
    if (!read.pending()) break;
    script.answer(script.expect(a_get), status(13, "attempt " + std::to_string(made)));
  }
  script.cancel(read);
  REQUIRE(read.error().attempts.size() == 16);
  CHECK(read.error().attempts_made == static_cast<std::uint32_t>(made));
  CHECK(read.error().attempts.front().detail == "attempt 0");
  CHECK(read.error().attempts.back().detail == "attempt " + std::to_string(made - 1));
}

TEST_CASE("A text of the server's is shortened and kept to one line") {
  Led script;
  const auto write = script.put(0);
  script.answer(script.expect(a_put), status(3, "first\nsecond" + std::string(5000, 'x')));
  CHECK(write.error().message.size() < 300);
  CHECK(write.error().describe().find('\n') == std::string::npos);
}
