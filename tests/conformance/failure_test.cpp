#include <algorithm>

#include "conformance/endpoint.hpp"

// Errors, repeats and time: the contract's list, 19 to 25.
using namespace norikv;
using namespace norikv::test;

namespace {

/// A guest whose leaders are known: each shard was read once.
void warm_up(Guest& guest) {
  for (const std::uint32_t shard : endpoint().shards())
    REQUIRE(ended(guest.get(endpoint().key("warm", shard))) == "ok");
}

bool is_node(const std::string& address) {
  return std::count(endpoint().nodes().begin(), endpoint().nodes().end(), address) == 1;
}

}  // namespace

TEST_CASE("(19) Each refusal that a server gives on purpose has its code, and is not an unknown outcome") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  const auto missing = guest.put(key, "value", {.precondition = at(Version{3, 3})});
  CHECK(ended(missing) == "precondition_failed");
  REQUIRE(ended(guest.put(key, "value")) == "ok");
  const auto mismatch = guest.put(key, "other", {.precondition = at(Version{9, 1'000'000'000})});
  CHECK(ended(mismatch) == "precondition_failed");
  const auto level = guest.get(key, {.consistency_text = "nonsense"});
  CHECK(ended(level) == "invalid_argument");
  for (const auto& error : {missing.error(), mismatch.error(), level.error()}) {
    CHECK_FALSE(error.maybe_applied);
    CHECK_FALSE(error.message.empty());
    CHECK(error.describe().find(key) == std::string::npos);
  }
}

TEST_CASE("(20) What would fail again is not tried again") {
  Guest guest{endpoint().options()};
  warm_up(guest);
  const std::string key = fresh_key();
  const auto refused = guest.put(key, "value", {.precondition = at(Version{3, 3})});
  REQUIRE(ended(refused) == "precondition_failed");
  CHECK(refused.error().attempts_made == 1);
  const auto unknown = guest.get(key, {.consistency_text = "nonsense"});
  REQUIRE(ended(unknown) == "invalid_argument");
  CHECK(unknown.error().attempts_made == 1);
  CHECK(guest->stats().retries <= guest->stats().not_leader);
}

TEST_CASE("(21) An error carries its attempts, the last answer, the node and the shard") {
  Guest guest{endpoint().options()};
  warm_up(guest);
  const std::string key = fresh_key();
  const auto refused = guest.get(key, {.consistency_text = "nonsense"});
  REQUIRE_FALSE(refused.has_value());
  const Error& error = refused.error();
  CHECK(error.shard == shard_of(key, endpoint().total_shards()));
  CHECK(is_node(error.node));
  REQUIRE(error.attempts.size() == error.attempts_made);
  const Attempt& last = error.attempts.back();
  CHECK(last.node == error.node);
  CHECK(last.outcome == ErrorCode::invalid_argument);
  CHECK(last.detail.find("nonsense") != std::string::npos);
  CHECK(last.duration > 0ns);
}

TEST_CASE("(22) What succeeds at first is sent once") {
  Guest guest{endpoint().options()};
  warm_up(guest);
  const Stats before = guest->stats();
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "value")) == "ok");
  for (int i = 0; i < 20; ++i) REQUIRE(value_of(guest.get(key)) == "value");
  const Stats after = guest->stats();
  CHECK(after.retries == before.retries);
  CHECK(after.attempts == before.attempts + 21);
}

TEST_CASE("(22) What fails again and again is tried with pauses, not in a tight circle") {
  const DeadPeer nobody{DeadPeer::Kind::refusing};
  Guest guest{{.nodes = {nobody.address()}}};
  const auto found = guest.get("key", {.timeout = 1s});
  REQUIRE_FALSE(found.has_value());
  CHECK(found.error().attempts_made >= 2);
  CHECK(found.error().attempts_made < 200);
}

TEST_CASE("(24) An operation never outlives its time, whoever stays silent") {
  const DeadPeer silent{DeadPeer::Kind::silent};
  for (const Duration time : {50ms, 400ms}) {
    Guest guest{{.nodes = {silent.address()}}};
    const auto start = std::chrono::steady_clock::now();
    const auto written = guest.put("key", "value", {.timeout = time, .idempotency_key = automatic});
    const Duration taken = std::chrono::steady_clock::now() - start;
    CHECK(ended(written) == "deadline_exceeded");
    CHECK(taken >= time - 1ms);
    CHECK(taken < time + 2s);  // a busy machine is late, but no pause or attempt is added
  }
}

TEST_CASE("(24) A cancelled operation ends at once, although nobody answers") {
  const DeadPeer silent{DeadPeer::Kind::silent};
  Guest guest{{.nodes = {silent.address()}, .timeout = 60s}};
  const GetOutcome found;
  const Operation operation = guest->get("key", found.callback());
  guest.loop().run_for(20ms);
  operation.cancel();
  REQUIRE(guest.wait(found));
  CHECK(ended(found) == "cancelled");
}

TEST_CASE(
    "(25) A write without an idempotency key that ran out of time was sent once, and says that it may be applied") {
  Guest guest{endpoint().options()};
  warm_up(guest);
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "before")) == "ok");
  // Shorter than a commit of the real server; a fast one may answer in time.
  const auto written = guest.put(key, "after", {.timeout = 20ms});
  if (written) {
    CHECK(value_of(guest.get(key)) == "after");
    return;
  }
  CHECK(ended(written) == "deadline_exceeded");
  CHECK(written.error().attempts_made <= 1);
  CHECK(written.error().maybe_applied == (written.error().attempts_made == 1));
  // The lane is held until it surely has arrived or never will: the next write comes after it.
  REQUIRE(ended(guest.put(key, "last")) == "ok");
  CHECK(value_of(guest.get(key)) == "last");
}
