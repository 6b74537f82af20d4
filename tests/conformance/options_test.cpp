#include "conformance/endpoint.hpp"

// What operations can be told: the contract's list, 14 to 18.
using namespace norikv;
using namespace norikv::test;

namespace {

/// Whether a key disappears soon after a time. Real time, because times to live are.
bool disappears(Guest& guest, const std::string& key, Duration within) {
  const auto end = std::chrono::steady_clock::now() + within;
  while (std::chrono::steady_clock::now() < end) {
    const auto found = guest.get(key);
    REQUIRE(ended(found) == "ok");
    if (!found->has_value()) return true;
    guest.loop().run_for(20ms);
  }
  return false;
}

Entry stored(Guest& guest, const std::string& key) {
  const auto found = guest.get(key);
  REQUIRE(ended(found) == "ok");
  REQUIRE(found->has_value());
  return **found;
}

}  // namespace

TEST_CASE("(14) A value with a time to live is there, and disappears") {
  // The server forgets times to live when it flushes a shard to disk, which it may do at every hundredth write. So a
  // value that stayed has two more tries.
  Guest guest{endpoint().options()};
  constexpr Duration ttl = 200ms;
  bool gone = false;
  for (int tries = 0; tries < 3 && !gone; ++tries) {
    const std::string key = fresh_key();
    const auto sent = std::chrono::steady_clock::now();
    REQUIRE(ended(guest.put(key, "value", {.ttl = ttl})) == "ok");
    const auto found = guest.get(key);
    // On a busy machine the time may be over already.
    if (std::chrono::steady_clock::now() < sent + ttl) CHECK(value_of(found) == "value");
    gone = disappears(guest, key, 2s);
  }
  CHECK(gone);
}

TEST_CASE("(14) A put without a time to live, or with a long one, lifts the one that was there") {
  Guest guest{endpoint().options()};
  const std::string for_ever = fresh_key();
  const std::string for_long = fresh_key();
  for (const std::string& key : {for_ever, for_long}) {
    REQUIRE(ended(guest.put(key, "short", {.ttl = 300ms})) == "ok");
  }
  REQUIRE(ended(guest.put(for_ever, "long")) == "ok");
  REQUIRE(ended(guest.put(for_long, "long", {.ttl = 1h})) == "ok");
  guest.loop().run_for(500ms);  // real time: the first time to live has to end
  for (const std::string& key : {for_ever, for_long}) CHECK(value_of(guest.get(key)) == "long");
}

TEST_CASE("(14) A time to live of ten years is one, and none of zero is taken") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "value", {.ttl = max_duration})) == "ok");
  CHECK(value_of(guest.get(key)) == "value");
  for (const Duration none : {Duration{0}, Duration{-1s}}) {
    CHECK(ended(guest.put(key, "other", {.ttl = none})) == "invalid_argument");
  }
  CHECK(value_of(guest.get(key)) == "value");
}

TEST_CASE("(15) A put on the version that a get told succeeds") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "0")) == "ok");
  for (const char* value : {"1", "2", "3"}) {
    REQUIRE(ended(guest.put(key, value, {.precondition = at(stored(guest, key).version)})) == "ok");
    CHECK(stored(guest, key).value == value);
  }
}

TEST_CASE("(15) A put on another version fails, tells both and writes nothing") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "value")) == "ok");
  const Entry before = stored(guest, key);
  const Version wrong{before.version.term + 7, before.version.index + 9};
  const auto refused = guest.put(key, "other", {.precondition = at(wrong)});
  REQUIRE(ended(refused) == "precondition_failed");
  CHECK_FALSE(refused.error().maybe_applied);
  REQUIRE(refused.error().mismatch.has_value());
  CHECK(refused.error().mismatch->expected == wrong);
  CHECK(refused.error().mismatch->actual == before.version);
  CHECK(stored(guest, key).value == "value");
  CHECK(stored(guest, key).version == before.version);
}

TEST_CASE("(15) A put on a version of a missing key fails and writes nothing") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  for (const Version version : {Version{}, Version{1, 1}}) {
    const auto refused = guest.put(key, "value", {.precondition = at(version)});
    REQUIRE(ended(refused) == "precondition_failed");
    REQUIRE(refused.error().mismatch.has_value());
    CHECK(refused.error().mismatch->expected == version);
    CHECK(refused.error().mismatch->actual == std::nullopt);
  }
  CHECK(guest.get(key).value() == std::nullopt);
}

TEST_CASE("(15) A put on condition that the key is absent writes once") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "first", {.precondition = absent})) == "ok");
  const auto refused = guest.put(key, "second", {.precondition = absent});
  CHECK(ended(refused) == "precondition_failed");
  CHECK(value_of(guest.get(key)) == "first");
  REQUIRE(ended(guest.remove(key)) == "ok");
  REQUIRE(ended(guest.put(key, "third", {.precondition = absent})) == "ok");
  CHECK(value_of(guest.get(key)) == "third");
}

TEST_CASE("(15) An update reads again when somebody else wrote in between") {
  Guest guest{endpoint().options()};
  Client other = made(create(endpoint().options()));
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "1")) == "ok");
  int rounds = 0;
  const Outcome<Updated> updated;
  guest->update(
      key,
      [&](const std::optional<Entry>& entry) {
        CHECK(entry.has_value());
        if (!entry) return Change::keep();
        if (++rounds == 1) {
          const PutOutcome written;
          other.put(key, "10", written.callback());
          CHECK(written.wait(60s));
        }
        return Change::store(std::to_string(std::stoi(entry->value) + 1));
      },
      updated.callback());
  REQUIRE(guest.wait(updated, 60s));
  REQUIRE(ended(updated) == "ok");
  CHECK(rounds == 2);
  CHECK(updated.result()->rounds == 2);
  CHECK(updated.result()->stored);
  CHECK(value_of(guest.get(key)) == "11");
}

TEST_CASE("(15) An update writes a missing key, and nothing if it keeps what is there") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  for (const bool missing : {true, false}) {
    const Outcome<Updated> updated;
    guest->update(
        key,
        [&](const std::optional<Entry>& entry) {
          CHECK(entry.has_value() != missing);
          return missing ? Change::store("value") : Change::keep();
        },
        updated.callback());
    REQUIRE(guest.wait(updated, 60s));
    REQUIRE(ended(updated) == "ok");
    CHECK(updated.result()->stored == missing);
    CHECK(value_of(guest.get(key)) == "value");
  }
}

TEST_CASE("(16) A remove on condition needs a word that the server does not enforce it") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "value")) == "ok");
  const auto attempts = guest->stats().attempts;
  CHECK(ended(guest.remove(key, {.precondition = at(Version{})})) == "not_supported");
  CHECK(guest->stats().attempts == attempts);
  CHECK(value_of(guest.get(key)) == "value");
}

TEST_CASE("(16) An unenforced remove on condition compares, and removes only what matches") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "value")) == "ok");
  const Version version = stored(guest, key).version;
  const Version wrong{version.term, version.index + 1000};
  const auto refused = guest.remove(key, {.precondition = at(wrong), .unenforced = true});
  REQUIRE(ended(refused) == "precondition_failed");
  CHECK(value_of(guest.get(key)) == "value");
  REQUIRE(ended(guest.remove(key, {.precondition = at(version), .unenforced = true})) == "ok");
  CHECK(guest.get(key).value() == std::nullopt);
}

TEST_CASE("(17) A repeated idempotency key brings the first version and writes nothing") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  const std::string token = unique_text();
  const auto first = guest.put(key, "first", {.idempotency_key = token});
  REQUIRE(ended(first) == "ok");
  const auto again = guest.put(key, "second", {.idempotency_key = token});
  REQUIRE(ended(again) == "ok");
  CHECK(again->version == first->version);
  CHECK(value_of(guest.get(key)) == "first");
}

TEST_CASE("(17) Different idempotency keys are different writes, and so are automatic ones") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  std::vector<Version> versions;
  for (const IdempotencyKey& token : {IdempotencyKey{unique_text()}, IdempotencyKey{unique_text()},
                                      IdempotencyKey{automatic}, IdempotencyKey{automatic}}) {
    const std::string value = std::to_string(versions.size());
    const auto written = guest.put(key, value, {.idempotency_key = token});
    REQUIRE(ended(written) == "ok");
    for (const Version version : versions) CHECK(written->version != version);
    versions.push_back(written->version);
    CHECK(value_of(guest.get(key)) == value);
  }
}

TEST_CASE("(17) A remove with the idempotency key of a put of the same key removes nothing") {
  // A hazard of the server, which keeps one list for all methods: a test that it is known, not that it is wanted.
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  const std::string token = unique_text();
  REQUIRE(ended(guest.put(key, "value", {.idempotency_key = token})) == "ok");
  REQUIRE(ended(guest.remove(key, {.idempotency_key = token})) == "ok");
  if (!guest.get(key).value()) NORIKV_SKIP("this server keeps idempotency keys per method");
  CHECK(value_of(guest.get(key)) == "value");
}

TEST_CASE("(18) Every consistency level reads what was written") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "value")) == "ok");
  for (const Consistency level :
       {Consistency::lease, Consistency::linearizable, Consistency::stale, Consistency::bounded}) {
    INFO(to_string(level));
    const auto found = guest.get(key, {.consistency = level});
    REQUIRE(ended(found) == "ok");
    // Another replica than the leader may lag behind.
    const bool may_lag = level == Consistency::stale || level == Consistency::bounded;
    if (!may_lag || found->has_value()) CHECK(value_of(found) == "value");
  }
}

TEST_CASE("(18) A level that the server does not know is an invalid argument in its own words") {
  Guest guest{endpoint().options()};
  const auto found = guest.get(fresh_key(), {.consistency_text = "as you like it"});
  REQUIRE(ended(found) == "invalid_argument");
  CHECK(found.error().message.find("as you like it") != std::string::npos);
}
