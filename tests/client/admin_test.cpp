#include "client/guest.hpp"

// The Admin service through the public API.
using namespace norikv;
using namespace norikv::test;

namespace {

using ShardOutcome = Outcome<ShardInfo>;

Result<ShardInfo> snapshot(Guest& guest, std::uint32_t shard, AdminOptions options = {}) {
  const ShardOutcome outcome;
  guest->admin().snapshot_shard(shard, options, outcome.callback());
  REQUIRE(guest.wait(outcome, 60s));
  return outcome.result();
}

Result<ShardInfo> transfer(Guest& guest, std::uint32_t shard, std::string_view node_id) {
  const ShardOutcome outcome;
  guest->admin().transfer_shard(shard, node_id, outcome.callback());
  REQUIRE(guest.wait(outcome, 60s));
  return outcome.result();
}

}  // namespace

TEST_CASE("A snapshot tells the shard and the leader's replica") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const auto info = snapshot(guest, 0);
  REQUIRE(ended(info) == "ok");
  CHECK(info->id == 0);
  REQUIRE(info->replicas.size() == 1);
  CHECK(info->replicas[0].node_id == "node0-shard0");
  CHECK(info->replicas[0].leader);
}

TEST_CASE("A snapshot of a shard that was never used is not_found, and does not bring it about") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const auto info = snapshot(guest, 1);
  CHECK(ended(info) == "not_found");
  CHECK(info.error().attempts_made == 1);
  CHECK(info.error().shard == 1);
  CHECK_FALSE(info.error().maybe_applied);
  CHECK(cluster.leader(1) == std::nullopt);
  CHECK(cluster.counters().gets == 0);
}

TEST_CASE("A snapshot of a shard whose leader is being elected waits for it") {
  const Cluster cluster = start({.election = 150ms});
  Guest guest{cluster};
  const PutOutcome put;
  guest->put(key_of(1), "value", {.timeout = 30s}, put.callback());
  REQUIRE(guest.loop().run_until([&] { return cluster.counters().puts + cluster.counters().gets > 0; }));
  CHECK(ended(snapshot(guest, 1)) == "ok");
  CHECK(ended(put) == "ok");
}

TEST_CASE("A snapshot goes to the shard's leader, with and without streams, and follows it") {
  const bool streams = GENERATE(true, false);
  INFO((streams ? "with streams" : "without streams"));
  Cluster cluster = start({.nodes = 3, .profile = Profile::replicated, .election = 5ms});
  ClientOptions options = cluster.client_options();
  options.connection.watch_topology = streams;
  Guest guest{options};
  for (const std::uint32_t leader : {1u, 2u, 0u, 2u, 1u}) {
    REQUIRE(cluster.move_leader(3, leader));
    const auto info = snapshot(guest, 3);
    REQUIRE(ended(info) == "ok");
    CHECK(info->replicas.at(0).node_id == "node" + std::to_string(leader) + "-shard3");
  }
}

TEST_CASE("A snapshot waits for the writes before it, and the writes after it wait for the snapshot") {
  const Cluster cluster = start({.commit_delay = true, .election = 5ms});
  ClientOptions options = cluster.client_options();
  options.writes.in_flight_per_shard = GENERATE(0u, 1u);
  options.writes.spacing = 25ms;
  Guest guest{options};
  const auto keys = keys_of(0, 4);
  std::string order;
  const auto note = [&](char what) { return [&order, what](const auto& result) { order += result ? what : '!'; }; };
  guest->put(keys[0], "value", note('w'));
  guest->put(keys[1], "value", note('w'));
  guest->admin().snapshot_shard(0, note('S'));
  guest->put(keys[2], "value", note('w'));
  guest->put(keys[3], "value", note('w'));
  REQUIRE(guest.loop().run_until([&] { return order.size() == 5; }));
  CHECK(order == "wwSww");
}

TEST_CASE("A snapshot of a node that stays silent runs out of time once, and may have been taken") {
  Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(snapshot(guest, 0)) == "ok");
  cluster.freeze(0);
  const auto info = snapshot(guest, 0, {.timeout = 100ms});
  CHECK(ended(info) == "deadline_exceeded");
  CHECK(info.error().attempts_made == 1);
  CHECK(info.error().maybe_applied);
}

TEST_CASE("Moving a shard is not_supported by today's server, in its own words") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const auto info = transfer(guest, 0, "node0");
  CHECK(ended(info) == "not_supported");
  CHECK(info.error().message == "TransferShard not yet implemented - requires Raft leadership transfer API");
  CHECK(info.error().attempts_made == 1);
  CHECK_FALSE(info.error().maybe_applied);
}

TEST_CASE("A shard that there is not, and a node without an id, are refused and not sent") {
  const Cluster cluster = start();
  Guest guest{cluster};
  const auto beyond = snapshot(guest, 4);
  CHECK(ended(beyond) == "invalid_argument");
  CHECK(beyond.error().message.find("the shard is 4; there are 4") != std::string::npos);
  CHECK(ended(transfer(guest, 0xffffffff, "node0")) == "invalid_argument");
  CHECK(ended(transfer(guest, 0, "")) == "invalid_argument");
  CHECK(ended(transfer(guest, 0, "\xff")) == "invalid_argument");
  CHECK(ended(snapshot(guest, 0, {.timeout = -1s})) == "invalid_argument");
  CHECK(guest->stats().attempts == 0);
}
