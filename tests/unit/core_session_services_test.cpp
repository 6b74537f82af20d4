#include "support/session_script.hpp"

// The Vector and Admin services in the session: their lanes, their way to the leader, and what their answers mean.
using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

namespace {

/// One node that leads the shards 0 and 1.
struct Led : Script {
  explicit Led(ClientOptions options = watched_nodes(1)) : Script(std::move(options)) { claims(0, {0, 1}); }
};

ClientOptions with_writes(WriteOptions writes) {
  ClientOptions options = watched_nodes(1);
  options.writes = writes;
  return options;
}

Answer vectors_led_elsewhere(std::string hint) {
  Answer answer = status(9, "Not leader");
  answer.metadata.emplace_back("x-norikv-leader", std::move(hint));
  return answer;
}

Answer shard_led_elsewhere(const std::string& leader) {
  return status(9, "Shard 3 is not leader on this node. Leader: " + leader);
}

Answer shard_unknown() { return status(5, "Shard 3 not found: NotFound(3)"); }

}  // namespace

// -- vectors ---------------------------------------------------------------------------------------------------------

TEST_CASE("Writes of vectors go one by one in the order of submission, beside those of shard 0's keys") {
  Led script;
  const auto first = script.insert_vector();
  const auto second = script.insert_vector();
  const auto key = script.put(0);
  const auto on_wire = script.expect(an_insert);
  CHECK(on_wire.is_about(first));
  CHECK(script.expect(a_put).is_about(key));
  CHECK(script.quiet());
  script.answer(on_wire, inserted(1));
  CHECK(script.expect(an_insert).is_about(second));
}

TEST_CASE("Searches and gets of vectors wait for no write") {
  Led script;
  static_cast<void>(script.insert_vector());
  static_cast<void>(script.expect(an_insert));
  const auto search = script.search_vectors();
  const auto get = script.get_vector();
  script.answer(script.expect(a_search), no_matches());
  script.answer(script.expect(a_vector_get), ok(""));
  CHECK(search.succeeded());
  CHECK(get.succeeded());
}

TEST_CASE("After an unknown outcome the vectors' lane settles, and the lane of shard 0 does not") {
  Led script;
  static_cast<void>(script.insert_vector());
  const auto next = script.insert_vector();
  script.answer(script.expect(an_insert), status(13, "Failed to insert vector: CommitTimeout { elapsed_ms: 5000 }"));
  static_cast<void>(script.put(0));
  static_cast<void>(script.expect(a_put));
  script.wait(499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  CHECK(script.expect(an_insert).is_about(next));
}

TEST_CASE("A vector's request whose leader is unknown lets a get of a key of shard 0 search") {
  const bool reads = GENERATE(false, true);
  Script script{nodes(2)};
  const auto operation = reads ? script.search_vectors() : script.insert_vector();
  const auto probe = script.expect(a_get, 0);
  CHECK(probe.probe);
  script.answer(probe, not_leader());
  script.answer(script.expect(a_get, 1), missing());
  const auto request = script.expect(reads ? a_search : an_insert, 1);
  script.answer(request, reads ? no_matches() : inserted(1));
  CHECK(operation.succeeded());
  CHECK(script.counters().probes.value() == 1);
}

TEST_CASE("A search for shard 0's leader is shared by keys and vectors") {
  Script script{nodes(2)};
  static_cast<void>(script.insert_vector());
  static_cast<void>(script.get(0));
  const auto probe = script.expect(a_get, 0);
  CHECK(script.quiet());
  script.answer(probe, missing());
  static_cast<void>(script.expect(an_insert, 0));
  static_cast<void>(script.expect(a_get, 0));
}

TEST_CASE("\"Not leader\" of a vector's write is followed to the node that it names, by address or by id") {
  const std::string hint = GENERATE(as<std::string>{}, "b:7447", "node1-shard0");
  Script script{watched_nodes(2)};
  script.claims(0, {0});
  script.claims(1, {});
  const auto write = script.insert_vector();
  script.answer(script.expect(an_insert, 0), vectors_led_elsewhere(hint));
  script.answer(script.expect(an_insert, 1), inserted(1));
  CHECK(write.succeeded());
  CHECK(script.leader(0) == 1);
}

TEST_CASE("A read of vectors carries its consistency, and speaks the dialect that the node understands") {
  Led script;
  const auto read = script.search_vectors({.consistency = Consistency::linearizable});
  const auto first = script.expect(a_search);
  CHECK(first.level == "strong");
  script.answer(first, status(3, "Unknown consistency level: strong"));
  const auto second = script.expect(a_search);
  CHECK(second.level == "linearizable");
  script.answer(second, no_matches());
  static_cast<void>(script.get_vector({.consistency = Consistency::stale}));
  CHECK(script.expect(a_vector_get).level == "stale_ok");
}

TEST_CASE("A stale read of vectors needs no leader") {
  Script script{nodes(2)};
  const auto read = script.get_vector({.consistency = Consistency::stale});
  script.answer(script.expect(a_vector_get), ok(""));
  CHECK(read.succeeded());
}

TEST_CASE("A server without vectors is asked once, whatever asks") {
  Led script;
  for (const auto& operation : {script.insert_vector({.idempotent = true}), script.search_vectors()}) {
    script.answer(script.expect(operation.id() == core::OpId{1} ? an_insert : a_search), status(12));
    REQUIRE(operation.failed_with(ErrorCode::not_supported));
    CHECK(operation.error().message == "the Vector service is not available on this server");
    CHECK(operation.error().attempts_made == 1);
    CHECK_FALSE(operation.error().maybe_applied);
  }
  CHECK(script.quiet());
}

TEST_CASE("A vector's write with an idempotency key is repeated after an unknown outcome, and one without is not") {
  Led script;
  const auto keyed = script.insert_vector({.idempotent = true});
  script.answer(script.expect(an_insert), lost());
  script.claims(0, {0});
  script.wait(2s);
  script.answer(script.expect(an_insert), inserted(1));
  CHECK(keyed.succeeded());
  const auto plain = script.insert_vector();
  script.answer(script.expect(an_insert), lost());
  CHECK(plain.failed_with(ErrorCode::unavailable));
  CHECK(plain.error().maybe_applied);
}

TEST_CASE("Inserts with one version are no collision") {
  Led script;
  for (int i = 0; i < 2; ++i) {
    static_cast<void>(script.insert_vector());
    script.answer(script.expect(an_insert), inserted(7));
  }
  CHECK(script.warnings.empty());
  CHECK(script.session().held().remembered_writes == 0);
}

// -- administration --------------------------------------------------------------------------------------------------

TEST_CASE("A snapshot waits for every write of its shard, and none starts beside it") {
  const std::uint32_t places = GENERATE(0u, 1u, 3u);
  INFO(places << " places");
  Led script{with_writes({.in_flight_per_shard = places})};
  static_cast<void>(script.put(1));
  const auto write = script.expect(a_put);
  const auto snapshot = script.snapshot(1);
  const auto next = script.put(1);
  const auto elsewhere = script.put(0);
  CHECK(script.expect(a_put).is_about(elsewhere));
  CHECK(script.quiet());
  script.answer(write, written(1));
  const auto on_wire = script.expect(a_snapshot, 0);
  CHECK(script.quiet());
  script.answer(on_wire, shard_info(1));
  CHECK(snapshot.succeeded());
  CHECK(script.expect(a_put).is_about(next));
}

TEST_CASE("A snapshot waits until a write that may still be carried out has settled") {
  const std::uint32_t places = GENERATE(0u, 1u);
  Led script{with_writes({.in_flight_per_shard = places})};
  static_cast<void>(script.put(1));
  script.answer(script.expect(a_put), status(13, "Put failed: CommitTimeout { elapsed_ms: 5000 }"));
  static_cast<void>(script.snapshot(1));
  script.wait(499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  static_cast<void>(script.expect(a_snapshot));
}

TEST_CASE("A snapshot with an unknown outcome is not repeated, and holds the lane while it settles") {
  Led script;
  const auto snapshot = script.snapshot(1);
  const auto next = script.put(1);
  script.answer(script.expect(a_snapshot), status(13, "Failed to create snapshot: disk full"));
  CHECK(snapshot.failed_with(ErrorCode::server_error));
  CHECK(snapshot.error().maybe_applied);
  script.wait(499ms);
  CHECK(script.quiet());
  script.wait(1ms);
  CHECK(script.expect(a_put).is_about(next));
}

TEST_CASE("A cancelled snapshot that waits lets the writes behind it go on") {
  Led script;
  static_cast<void>(script.put(1));
  const auto write = script.expect(a_put);
  const auto snapshot = script.snapshot(1);
  const auto next = script.put(1);
  script.cancel(snapshot);
  CHECK(snapshot.failed_with(ErrorCode::cancelled));
  CHECK_FALSE(snapshot.error().maybe_applied);
  script.answer(write, written(1));
  CHECK(script.expect(a_put).is_about(next));
}

TEST_CASE("A snapshot asks for itself who leads, for a search would bring the shard about") {
  Script script{nodes(3)};
  const auto snapshot = script.snapshot(3);
  script.answer(script.expect(a_snapshot), shard_unknown());
  script.answer(script.expect(a_snapshot), shard_led_elsewhere("None"));
  const auto third = script.expect(a_snapshot);
  script.answer(third, shard_info(3));
  CHECK(snapshot.succeeded());
  CHECK(script.leader(3) == static_cast<std::int32_t>(third.node));
  CHECK(script.counters().probes.value() == 0);
}

TEST_CASE("A snapshot of a shard that no node has is not_found once all were asked") {
  Script script{nodes(3)};
  const auto snapshot = script.snapshot(3);
  for (int node = 0; node < 3; ++node) script.answer(script.expect(a_snapshot), shard_unknown());
  REQUIRE(snapshot.failed_with(ErrorCode::not_found));
  CHECK_FALSE(snapshot.error().maybe_applied);
  CHECK(snapshot.error().attempts_made == 3);
}

TEST_CASE("A leader that lost the shard does not end a snapshot, as long as other nodes may have it") {
  Script script{watched_nodes(2)};
  script.claims(0, {3});
  const auto snapshot = script.snapshot(3);
  script.answer(script.expect(a_snapshot, 0), shard_unknown());
  script.answer(script.expect(a_snapshot, 1), shard_info(3));
  CHECK(snapshot.succeeded());
}

TEST_CASE("A snapshot waits for a leader as long as some node has the shard") {
  Script script{nodes(2)};
  const auto snapshot = script.snapshot(3, 1s);
  script.answer(script.expect(a_snapshot), shard_led_elsewhere("None"));
  script.answer(script.expect(a_snapshot), shard_unknown());
  CHECK(snapshot.pending());
  script.wait(250ms);
  script.answer(script.expect(a_snapshot), shard_info(3));
  CHECK(snapshot.succeeded());
}

TEST_CASE("A snapshot follows the leader that the refusal's text names") {
  Script script{watched_nodes(3)};
  for (std::size_t node = 0; node < 3; ++node) script.claims(node, {});
  const auto snapshot = script.snapshot(3);
  const auto asked = script.expect(a_snapshot);
  const std::size_t leader = (asked.node + 2) % 3;
  script.answer(asked, shard_led_elsewhere("Some(NodeId(\"node" + std::to_string(leader) + "-shard3\"))"));
  script.answer(script.expect(a_snapshot, leader), shard_info(3));
  CHECK(snapshot.succeeded());
}

TEST_CASE("A snapshot that tells another shard is an error of the protocol") {
  Led script;
  const auto snapshot = script.snapshot(1);
  script.answer(script.expect(a_snapshot), shard_info(0));
  CHECK(snapshot.failed_with(ErrorCode::protocol));
}

TEST_CASE("A transfer that the server can't do is asked once, and its words are told") {
  Led script;
  const auto transfer = script.transfer(1);
  script.answer(script.expect(a_transfer),
                status(12, "TransferShard not yet implemented - requires Raft leadership transfer API"));
  REQUIRE(transfer.failed_with(ErrorCode::not_supported));
  CHECK(transfer.error().message == "TransferShard not yet implemented - requires Raft leadership transfer API");
  CHECK(script.quiet());
}
