#include "conformance/endpoint.hpp"

// The first touch of each shard, before anything else was asked: the contract's list, 23. On a server that was used
// before the shards are warm, and it is easy.
using namespace norikv;
using namespace norikv::test;

TEST_CASE("(23) The first operations on every shard succeed, though a new shard has no leader for a while") {
  Guest guest{endpoint().options()};
  std::vector<PutOutcome> puts;
  std::vector<GetOutcome> gets;
  for (const std::uint32_t shard : endpoint().shards()) {
    const std::string key = endpoint().key("cold", shard);
    guest->put(key, "first", puts.emplace_back().callback());
    guest->get(key, gets.emplace_back().callback());
  }
  REQUIRE(guest.wait(puts, 60s));
  REQUIRE(guest.wait(gets, 60s));
  for (const PutOutcome& outcome : puts) CHECK(ended(outcome) == "ok");
  for (const GetOutcome& outcome : gets) CHECK(ended(outcome) == "ok");
}

TEST_CASE("(28) Many operations at once on a shard whose leader is unknown cost one probe at a time") {
  ClientOptions options = endpoint().options();
  options.connection.watch_topology = false;  // so that the leader has to be asked for
  Guest guest{options};
  constexpr std::size_t operations = 50;
  const std::string key = endpoint().key("many", endpoint().shards().back());
  std::vector<GetOutcome> gets(operations);
  for (const GetOutcome& outcome : gets) guest->get(key, outcome.callback());
  REQUIRE(guest.wait(gets, 60s));
  for (const GetOutcome& outcome : gets) CHECK(ended(outcome) == "ok");
  // An election of 0.4 s is worth a dozen probes; each of many operations asking for itself would be hundreds.
  CHECK(guest->stats().attempts <= operations + 40 * endpoint().nodes().size());
}
