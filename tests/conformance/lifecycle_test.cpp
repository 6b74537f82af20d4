#include "conformance/endpoint.hpp"

// Clients that come, use their connections and go: the contract's list, 5 to 7 and 32.
using namespace norikv;
using namespace norikv::test;

TEST_CASE("(5) A client without nodes is refused") {
  const auto refused = Client::create(ClientOptions{});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::invalid_argument);
  CHECK(refused.error().message.find("nodes") != std::string::npos);
}

TEST_CASE("(5) A client that is told its nodes and the number of shards alone works") {
  Guest guest{{.nodes = endpoint().nodes(), .total_shards = endpoint().total_shards()}};
  CHECK(ended(guest.ready()) == "ok");
  CHECK(ended(guest.get(fresh_key())) == "ok");
  CHECK(ClientOptions{}.total_shards == 1024);
  CHECK(ClientOptions{}.timeout == 5s);
}

TEST_CASE("(6) A client closes once, however often it is told, and then refuses what comes") {
  Guest guest{endpoint().options()};
  REQUIRE(ended(guest.get(fresh_key())) == "ok");
  int closed = 0;
  guest->close([&] { ++closed; });
  guest->close([&] { ++closed; });
  REQUIRE(guest.loop().run_until([&] { return closed == 2; }));
  REQUIRE(guest.loop().run_until_idle());
  CHECK(closed == 2);
  CHECK(ended(guest.put(fresh_key(), "late")) == "closed");
  CHECK(ended(guest.get(fresh_key())) == "closed");
}

TEST_CASE("(6) A client that goes out of scope gives everything back, on a loop of its own and on ours") {
  {
    const Client own = made(create(endpoint().options()));
    const GetOutcome found;
    made(create(endpoint().options())).get(fresh_key(), found.callback());
    CHECK(found.calls() == 1);  // destroying it waited for the callback
  }
  LoopFixture loop;
  {
    Client ours = made(create(loop.loop(), endpoint().options()));
    ours.get(fresh_key(), [](Result<std::optional<Entry>>) {});
  }
  CHECK(loop.run_until_idle());
  CHECK(loop.close().empty());
}

TEST_CASE("(6) Several clients live side by side") {
  Guest first{endpoint().options()};
  Guest second{endpoint().options()};
  Client third = made(create(endpoint().options()));
  const std::string key = fresh_key();
  REQUIRE(ended(first.put(key, "from the first")) == "ok");
  CHECK(value_of(second.get(key)) == "from the first");
  REQUIRE(first.close());
  const GetOutcome found;
  third.get(key, found.callback());
  REQUIRE(found.wait(60s));
  CHECK(value_of(found.result()) == "from the first");
  CHECK(value_of(second.get(key)) == "from the first");
}

TEST_CASE("(7) When no node can be reached an operation ends within its time and names them") {
  const DeadPeer one{DeadPeer::Kind::refusing};
  const DeadPeer two{DeadPeer::Kind::refusing};
  Guest guest{{.nodes = {one.address(), two.address()}}};
  const auto found = guest.get("key", {.timeout = 500ms});
  REQUIRE_FALSE(found.has_value());
  INFO(found.error().describe());
  CHECK((found.error().code == ErrorCode::unavailable || found.error().code == ErrorCode::deadline_exceeded));
  CHECK(found.error().attempts_made >= 2);
  CHECK_FALSE(guest.put("key", "value", {.timeout = 500ms}).has_value());
}

TEST_CASE("(7) A node that is not there among those that are is tolerated") {
  const DeadPeer bad{DeadPeer::Kind::refusing};
  ClientOptions options = endpoint().options();
  options.nodes.insert(options.nodes.begin(), bad.address());
  Guest guest{options};
  for (const std::uint32_t shard : endpoint().shards()) {
    const std::string key = endpoint().key("tolerated", shard);
    CHECK(ended(guest.put(key, "value")) == "ok");
    CHECK(value_of(guest.get(key)) == "value");
  }
}

TEST_CASE("(32) A connection is used again, and several per node work") {
  for (const std::uint32_t connections : {1u, 4u}) {
    ClientOptions options = endpoint().options();
    options.connection.per_node = connections;
    Guest guest{options};
    const std::string key = fresh_key();
    REQUIRE(ended(guest.put(key, "value")) == "ok");
    std::vector<GetOutcome> gets(200);
    for (const GetOutcome& outcome : gets) guest->get(key, outcome.callback());
    REQUIRE(guest.wait(gets, 60s));
    for (const GetOutcome& outcome : gets) CHECK(value_of(outcome.result()) == "value");
    CHECK(guest->stats().stream_reconnects == 0);
  }
}

TEST_CASE("(32) Gets and removes at the same time get an answer each") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  REQUIRE(ended(guest.put(key, "value")) == "ok");
  std::vector<GetOutcome> gets(50);
  std::vector<RemoveOutcome> removes(3);
  for (std::size_t i = 0; i < gets.size(); ++i) {
    guest->get(key, gets[i].callback());
    if (i < removes.size()) guest->remove(key, removes[i].callback());
  }
  REQUIRE(guest.wait(gets, 60s));
  REQUIRE(guest.wait(removes, 60s));
  for (const RemoveOutcome& outcome : removes) CHECK(ended(outcome) == "ok");
  for (const GetOutcome& outcome : gets) {
    REQUIRE(ended(outcome) == "ok");
    CHECK(value_of(outcome.result()).value_or("value") == "value");  // the value or nothing, never something else
  }
  CHECK(guest.get(key).value() == std::nullopt);
}

TEST_CASE("(32) A client that closes with operations on their way and streams open calls each back once") {
  std::vector<PutOutcome> puts(8);
  std::vector<GetOutcome> gets(32);
  {
    Guest guest{endpoint().options()};
    REQUIRE(ended(guest.ready()) == "ok");
    int ends = 0;
    const auto watching = guest->topology().subscribe([](const TopologyEvent&) {}, [&] { ++ends; });
    const std::string key = fresh_key();
    for (const PutOutcome& outcome : puts) guest->put(key, "value", outcome.callback());
    for (const GetOutcome& outcome : gets) guest->get(key, outcome.callback());
    guest.loop().run_for(1ms);
    REQUIRE(guest.close());
    CHECK(ends == 1);
  }
  for (const PutOutcome& outcome : puts) CHECK((ended(outcome) == "ok" || ended(outcome) == "closed"));
  for (const GetOutcome& outcome : gets) CHECK((ended(outcome) == "ok" || ended(outcome) == "closed"));
  // The write that was on the wire may still arrive: the next case's must not meet it.
  LoopFixture{}.run_for(500ms);
}
