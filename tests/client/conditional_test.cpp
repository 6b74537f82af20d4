#include "client/guest.hpp"

using namespace norikv;
using namespace norikv::test;
using norikv::testing::Profile;

namespace {

using UpdateOutcome = Outcome<Updated>;

Change count_up(const std::optional<Entry>& entry) {
  return Change::store(std::to_string(entry ? std::stoi(entry->value) + 1 : 1));
}

}  // namespace

TEST_CASE("absent writes a missing key and leaves one that is there") {
  for (const Profile profile : {Profile::norikv, Profile::replicated}) {
    const Cluster cluster = start({.profile = profile});
    Guest guest{cluster};
    CHECK(ended(guest.put("key", "first", {.precondition = absent})) == "ok");
    const auto second = guest.put("key", "second", {.precondition = absent});
    REQUIRE(ended(second) == "precondition_failed");
    CHECK_FALSE(second.error().maybe_applied);
    CHECK(second.error().mismatch->actual.has_value());
    CHECK(cluster.stored("key") == "first");
  }
}

TEST_CASE("A remove on condition needs to be told that the server does not enforce it") {
  const Cluster cluster = start({});
  Guest guest{cluster};
  REQUIRE(guest.put("key", "value"));
  const Version version = (*guest.get("key").value()).version;
  CHECK(ended(guest.remove("key", {.precondition = at(version)})) == "not_supported");
  CHECK(ended(guest.remove("key", {.precondition = at({9, 9}), .unenforced = true})) == "precondition_failed");
  CHECK(cluster.stored("key") == "value");
  CHECK(ended(guest.remove("key", {.precondition = at(version), .unenforced = true})) == "ok");
  CHECK_FALSE(cluster.stored("key"));
  CHECK(ended(guest.remove("key", {.precondition = absent, .unenforced = true})) == "invalid_argument");
}

TEST_CASE("Two clients count with update and lose nothing on a server that compares in one step") {
  const Cluster cluster = start({.nodes = 3, .profile = Profile::replicated});
  Guest one{cluster};
  Guest two{cluster};
  // A missing key would be written unconditionally, by both clients.
  REQUIRE(ended(one.put("counter", "0")) == "ok");
  std::vector<UpdateOutcome> outcomes(40);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    (i % 2 == 0 ? one : two)->update("counter", {.timeout = 30s, .max_rounds = 1000}, count_up, outcomes[i].callback());
  }
  for (int turn = 0; turn < 10'000 && !all_came(outcomes); ++turn) {
    one.loop().run_for(1ms);
    two.loop().run_for(1ms);
  }
  for (const UpdateOutcome& outcome : outcomes) CHECK(ended(outcome) == "ok");
  CHECK(cluster.stored("counter") == "40");
}

TEST_CASE("What an update function wants to store is checked like any value") {
  const Cluster cluster = start({});
  Guest guest{cluster};
  UpdateOutcome large, ttl, empty, text;
  guest->update(
      "key", [](const auto&) { return Change::store(std::string(max_value_size + 1, 'v')); }, large.callback());
  guest->update(
      "key", [](const auto&) { return Change::store("v", Duration{-1}); }, ttl.callback());
  guest->update("key", UpdateFunction{}, empty.callback());
  guest->update("key", {.idempotency_key = "text"}, count_up, text.callback());
  for (const UpdateOutcome* outcome : {&large, &ttl, &empty, &text}) {
    REQUIRE(guest.loop().run_until([&] { return outcome->came(); }));
    CHECK(ended(*outcome) == "invalid_argument");
  }
  CHECK_FALSE(cluster.stored("key"));
}

TEST_CASE("An update function may cancel its own update, and close the client") {
  const Cluster cluster = start({});
  {
    Guest guest{cluster};
    UpdateOutcome outcome;
    Operation operation;
    operation = guest->update(
        "key", [&](const auto&) { return operation.cancel(), Change::store("v"); }, outcome.callback());
    REQUIRE(guest.wait(outcome));
    CHECK(ended(outcome) == "cancelled");
  }
  Guest guest{cluster};
  UpdateOutcome outcome;
  guest->update(
      "key", [&](const auto&) { return guest->close(), Change::store("v"); }, outcome.callback());
  REQUIRE(guest.wait(outcome));
  CHECK(ended(outcome) == "closed");
  CHECK_FALSE(cluster.stored("key"));
}

TEST_CASE("Nodes can be replaced while operations go on") {
  const Cluster first = start({});
  const Cluster second = start({});
  Guest guest{first};
  REQUIRE(guest.put("key", "in the first"));
  REQUIRE(guest->set_nodes(second.addresses()));
  REQUIRE(guest.put("key", "in the second"));
  CHECK(first.stored("key") == "in the first");
  CHECK(second.stored("key") == "in the second");
  CHECK_FALSE(guest->set_nodes({}));
  const auto wrong = guest->set_nodes({"no port"});
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("ClientOptions::nodes[0]") != std::string::npos);
}

TEST_CASE("A client that gives every write an idempotency key repeats writes after a lost connection") {
  Cluster cluster = start({});
  ClientOptions options = cluster.client_options();
  options.writes.automatic_idempotency_keys = true;
  Guest guest{options};
  REQUIRE(guest.put("key", "0"));
  const auto fault = cluster.drop_connection(norikv::testing::Moment::after_applied, {.times = 1});
  CHECK(ended(guest.put("key", "1")) == "ok");
  CHECK(cluster.stored("key") == "1");
  CHECK(guest->stats().retries >= 1);
}
