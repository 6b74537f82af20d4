#include <array>
#include <functional>
#include <limits>

#include "client/guest.hpp"

// The Vector service through the public API, against a cluster that has it, has not, or only half.
using namespace norikv;
using namespace norikv::test;
using testing::VectorService;

namespace {

using Created = Result<IndexCreated>;
using Inserted = Result<VectorInserted>;
using Found = Result<VectorMatches>;
using Read = Result<std::optional<std::vector<float>>>;

constexpr std::array<float, 2> origin{0, 0};

/// A client's vectors, one call at a time.
class VectorGuest : public Guest {
 public:
  using Guest::Guest;

  Created create(std::string_view name, VectorIndex index = {.dimensions = 2}, VectorWriteOptions options = {}) {
    return run<IndexCreated>([&](auto callback) { return vectors.create_index(name, index, options, callback); });
  }
  Result<IndexDropped> drop(std::string_view name, VectorWriteOptions options = {}) {
    return run<IndexDropped>([&](auto callback) { return vectors.drop_index(name, options, callback); });
  }
  Inserted insert(std::string_view name, std::string_view id, std::span<const float> vector,
                  VectorWriteOptions options = {}) {
    return run<VectorInserted>([&](auto callback) { return vectors.insert(name, id, vector, options, callback); });
  }
  Result<VectorRemoved> remove(std::string_view name, std::string_view id, VectorWriteOptions options = {}) {
    return run<VectorRemoved>([&](auto callback) { return vectors.remove(name, id, options, callback); });
  }
  Found search(std::string_view name, std::span<const float> query, std::uint32_t k, VectorSearchOptions options = {}) {
    return run<VectorMatches>([&](auto callback) { return vectors.search(name, query, k, options, callback); });
  }
  Read get(std::string_view name, std::string_view id, VectorGetOptions options = {}) {
    return run<std::optional<std::vector<float>>>(
        [&](auto callback) { return vectors.get(name, id, options, callback); });
  }

  Vectors vectors = client().vectors();

 private:
  template <class T, class Call>
  Result<T> run(Call call) {
    const Outcome<T> outcome;
    call(outcome.callback());
    REQUIRE(wait(outcome, 60s));
    return outcome.result();
  }
};

std::vector<std::string> ids(const Found& found) {
  if (!found) UNSCOPED_INFO(found.error().describe());
  std::vector<std::string> ids;
  for (const VectorMatch& match : found.value_or(VectorMatches{}).matches) ids.push_back(match.id);
  return ids;
}

Cluster with_vectors(Profile profile = Profile::norikv) {
  return start({.nodes = profile == Profile::replicated ? 3u : 1u,
                .profile = profile,
                .election = 5ms,
                .vectors = VectorService::working});
}

/// Only what nodes answer tells who leads.
ClientOptions without_streams(const Cluster& cluster) {
  ClientOptions options = cluster.client_options();
  options.connection.watch_topology = false;
  return options;
}

using Strings = std::vector<std::string>;
using Numbers = std::vector<float>;

}  // namespace

TEST_CASE("A vector is inserted, found, read and removed") {
  const Profile profile = GENERATE(Profile::norikv, Profile::replicated);
  INFO(testing::to_string(profile));
  const Cluster cluster = with_vectors(profile);
  VectorGuest guest{cluster};
  const Created created = guest.create("ns");
  REQUIRE(ended(created) == "ok");
  CHECK(created->created);
  const Inserted inserted = guest.insert("ns", "near", Numbers{3, 4});
  REQUIRE(ended(inserted) == "ok");
  CHECK(inserted->inserted);
  CHECK(inserted->version.index > 0);
  REQUIRE(ended(guest.insert("ns", "far", Numbers{30, 40})) == "ok");

  const Found found = guest.search("ns", origin, 1);
  REQUIRE(ids(found) == Strings{"near"});
  CHECK(found->matches[0].distance == 5.0f);
  CHECK(found->matches[0].vector.empty());
  CHECK(ids(guest.search("ns", origin, 5)) == Strings{"near", "far"});
  CHECK(guest.get("ns", "near").value() == Numbers{3, 4});

  const auto removed = guest.remove("ns", "near");
  REQUIRE(ended(removed) == "ok");
  CHECK(removed->removed);
  CHECK(ids(guest.search("ns", origin, 5)) == Strings{"far"});
  const auto dropped = guest.drop("ns");
  REQUIRE(ended(dropped) == "ok");
  CHECK(dropped->dropped);
}

TEST_CASE("An id that is not there is a success without a vector") {
  const Cluster cluster = with_vectors();
  VectorGuest guest{cluster};
  REQUIRE(guest.create("ns"));
  const Read read = guest.get("ns", "missing");
  REQUIRE(ended(read) == "ok");
  CHECK(*read == std::nullopt);
  const auto removed = guest.remove("ns", "missing");
  REQUIRE(ended(removed) == "ok");
  CHECK_FALSE(removed->removed);
}

TEST_CASE("A search brings the vectors along if it is asked to") {
  const Cluster cluster = with_vectors();
  VectorGuest guest{cluster};
  REQUIRE(guest.create("ns", {.dimensions = 3, .distance = Distance::cosine, .type = IndexType::brute_force}));
  REQUIRE(guest.insert("ns", "a", Numbers{1, 2, 3}));
  const Found found = guest.search("ns", Numbers{1, 0, 0}, 1, {.include_vectors = true});
  REQUIRE(ids(found) == Strings{"a"});
  CHECK(found->matches[0].vector == Numbers{1, 2, 3});
}

TEST_CASE("The largest vector passes unchanged") {
  const Cluster cluster = with_vectors();
  VectorGuest guest{cluster};
  Numbers vector(max_dimensions);
  for (std::size_t i = 0; i < vector.size(); ++i) vector[i] = static_cast<float>(i) / 3;
  const std::string name(max_namespace_size, 'n');
  const std::string id(max_vector_id_size, 'i');
  REQUIRE(guest.create(name, {.dimensions = max_dimensions}));
  REQUIRE(ended(guest.insert(name, id, vector)) == "ok");
  CHECK(guest.get(name, id).value() == vector);
}

TEST_CASE("Every level of consistency is understood") {
  const Profile profile = GENERATE(Profile::norikv, Profile::replicated);
  const Cluster cluster = with_vectors(profile);
  VectorGuest guest{cluster};
  REQUIRE(guest.create("ns"));
  REQUIRE(guest.insert("ns", "a", origin));
  for (const Consistency level :
       {Consistency::lease, Consistency::linearizable, Consistency::stale, Consistency::bounded}) {
    INFO(to_string(level));
    CHECK(ids(guest.search("ns", origin, 1, {.consistency = level})) == Strings{"a"});
    CHECK(guest.get("ns", "a", {.consistency = level}).value() == Numbers{0, 0});
  }
  const Found refused = guest.search("ns", origin, 1, {.consistency_text = "psychic"});
  CHECK(ended(refused) == "invalid_argument");
  CHECK(refused.error().message.find("Unknown consistency level: psychic") != std::string::npos);
}

TEST_CASE("What can't be right about a vector is refused with its reason, and not sent") {
  const Cluster cluster = with_vectors();
  VectorGuest guest{cluster};
  const auto refused = [&](const auto& result, const std::string& why) {
    INFO(why);
    CHECK(ended(result) == "invalid_argument");
    if (!result) CHECK(result.error().message.find(why) != std::string::npos);
  };
  const std::string bad = "\xff";
  const std::string long_name(257, 'n');
  const std::string long_id(513, 'i');
  refused(guest.create(""), "the namespace is empty");
  refused(guest.create(long_name), "the namespace has 257 bytes; the server takes at most 256");
  refused(guest.create(bad), "the namespace is not UTF-8");
  refused(guest.create("ns", {.dimensions = 0}), "the index has 0 dimensions; the server takes 1 to 4096");
  refused(guest.create("ns", {.dimensions = 4097}), "the index has 4097 dimensions");
  refused(guest.create("ns", {.dimensions = 1, .distance = static_cast<Distance>(3)}), "VectorIndex::distance");
  refused(guest.create("ns", {.dimensions = 1, .type = static_cast<IndexType>(2)}), "VectorIndex::type");
  refused(guest.create("ns", {.dimensions = 1}, {.timeout = 0s}), "timeout");
  refused(guest.create("ns", {.dimensions = 1}, {.idempotency_key = bad}), "VectorWriteOptions::idempotency_key");
  refused(guest.drop(""), "the namespace is empty");
  refused(guest.insert("", "a", origin), "the namespace is empty");
  refused(guest.insert("ns", "", origin), "the vector's id is empty");
  refused(guest.insert("ns", long_id, origin), "the vector's id has 513 bytes; the server takes at most 512");
  refused(guest.insert("ns", bad, origin), "the vector's id is not UTF-8");
  refused(guest.insert("ns", "a", Numbers{}), "the vector has 0 dimensions; the server takes 1 to 4096");
  refused(guest.insert("ns", "a", Numbers(4097)), "the vector has 4097 dimensions");
  refused(guest.insert("ns", "a", Numbers{0, std::numeric_limits<float>::quiet_NaN()}), "not finite");
  refused(guest.insert("ns", "a", Numbers{std::numeric_limits<float>::infinity()}), "not finite");
  refused(guest.remove("ns", ""), "the vector's id is empty");
  refused(guest.search("", origin, 1), "the namespace is empty");
  refused(guest.search("ns", Numbers{}, 1), "the query has 0 dimensions");
  refused(guest.search("ns", Numbers{std::numeric_limits<float>::quiet_NaN()}, 1), "the query has a number");
  refused(guest.search("ns", origin, 0), "k is 0");
  refused(guest.search("ns", origin, 1, {.consistency_text = bad}), "consistency_text is not UTF-8");
  refused(guest.get("ns", ""), "the vector's id is empty");
  CHECK(cluster.counters().vectors == 0);
}

TEST_CASE("A server without vectors: not_supported, said clearly and asked once") {
  const Profile profile = GENERATE(Profile::norikv, Profile::replicated);
  const Cluster cluster = start({.profile = profile, .election = 5ms});
  VectorGuest guest{cluster};
  const auto refused = [&](const auto& result) {
    CHECK(ended(result) == "not_supported");
    if (result) return;
    CHECK(result.error().message == "the Vector service is not available on this server");
    CHECK(result.error().attempts_made == 1);
    CHECK_FALSE(result.error().maybe_applied);
    CHECK(result.error().advice() == Advice::do_not_retry);
  };
  refused(guest.create("ns"));
  refused(guest.drop("ns"));
  refused(guest.insert("ns", "a", origin, {.idempotency_key = automatic}));
  refused(guest.remove("ns", "a"));
  refused(guest.search("ns", origin, 1));
  refused(guest.get("ns", "a"));
}

TEST_CASE("A server that only takes vectors in: reads are not_supported, asked once") {
  const Cluster cluster = start({.election = 5ms, .vectors = VectorService::not_implemented_yet});
  VectorGuest guest{cluster};
  CHECK(ended(guest.create("ns")) == "ok");
  CHECK(ended(guest.insert("ns", "a", origin)) == "ok");
  CHECK(ended(guest.remove("ns", "a")) == "ok");
  CHECK(ended(guest.drop("ns")) == "ok");
  const Found found = guest.search("ns", origin, 1);
  CHECK(ended(found) == "not_supported");
  CHECK(found.error().attempts_made == 1);
  CHECK(found.error().message.find("not yet implemented") != std::string::npos);
  CHECK(ended(guest.get("ns", "a")) == "not_supported");
}

TEST_CASE("What the server's storage does not take ends at once, and a write of it may have been applied") {
  const Cluster cluster = with_vectors();
  VectorGuest guest{cluster};
  REQUIRE(guest.create("ns"));
  const Found found = guest.search("other", origin, 1);
  CHECK(ended(found) == "server_error");
  CHECK(found.error().attempts_made == 1);
  CHECK(ended(guest.get("other", "a")) == "server_error");
  const Inserted inserted = guest.insert("ns", "a", Numbers{1, 2, 3}, {.idempotency_key = automatic});
  CHECK(ended(inserted) == "server_error");
  CHECK(inserted.error().attempts_made == 1);
  CHECK(inserted.error().maybe_applied);
}

TEST_CASE("A repeated idempotency key of an insert is answered without inserting") {
  const Cluster cluster = with_vectors(GENERATE(Profile::norikv, Profile::replicated));
  VectorGuest guest{cluster};
  REQUIRE(guest.create("ns"));
  REQUIRE(guest.insert("ns", "a", Numbers{1, 1}, {.idempotency_key = "key"}));
  REQUIRE(ended(guest.insert("ns", "a", Numbers{9, 9}, {.idempotency_key = "key"})) == "ok");
  CHECK(guest.get("ns", "a").value() == Numbers{1, 1});
}

TEST_CASE("Automatic idempotency keys of two inserts differ") {
  const Cluster cluster = with_vectors();
  VectorGuest guest{cluster};
  REQUIRE(guest.create("ns"));
  REQUIRE(guest.insert("ns", "a", Numbers{1, 1}, {.idempotency_key = automatic}));
  REQUIRE(guest.insert("ns", "a", Numbers{9, 9}, {.idempotency_key = automatic}));
  CHECK(guest.get("ns", "a").value() == Numbers{9, 9});
}

TEST_CASE("A leader of the vectors that moved is followed by writes and reads, with and without streams") {
  const bool streams = GENERATE(true, false);
  INFO((streams ? "with streams" : "without streams"));
  Cluster cluster = with_vectors(Profile::replicated);
  VectorGuest guest{streams ? cluster.client_options() : without_streams(cluster)};
  REQUIRE(ended(guest.create("ns")) == "ok");
  for (std::uint32_t move = 1; move <= 6; ++move) {
    REQUIRE(cluster.move_leader(0, move % 3));
    const std::string id = std::to_string(move);
    if (move % 2 == 0) REQUIRE(ended(guest.insert("ns", id, Numbers{1, 1})) == "ok");
    CHECK(ended(guest.search("ns", origin, 1)) == "ok");
    REQUIRE(ended(guest.insert("ns", id, Numbers{2, 2})) == "ok");
    CHECK(guest.get("ns", id).value() == Numbers{2, 2});
  }
}

TEST_CASE("Without a known leader a vector's way is found, whatever comes first") {
  const Cluster cluster = with_vectors(Profile::replicated);
  REQUIRE(VectorGuest{cluster}.create("ns"));
  VectorGuest by_write{without_streams(cluster)};
  CHECK(ended(by_write.insert("ns", "a", origin)) == "ok");
  VectorGuest by_read{without_streams(cluster)};
  CHECK(by_read.get("ns", "a").value() == Numbers{0, 0});
}

TEST_CASE("Vectors are written one after the other, and not behind the writes of keys") {
  // Real time: a write takes the server up to 150 ms to commit.
  const Cluster cluster = start({.commit_delay = true, .election = 5ms, .vectors = VectorService::working});
  VectorGuest guest{cluster};
  REQUIRE(guest.create("ns"));
  std::vector<Outcome<VectorInserted>> inserts(4);
  for (std::size_t i = 0; i < inserts.size(); ++i)
    guest.vectors.insert("ns", std::to_string(i), origin, inserts[i].callback());
  const PutOutcome put;
  guest->put(key_of(0), "value", put.callback());
  REQUIRE(guest.wait(put));
  CHECK(ended(put) == "ok");
  CHECK_FALSE(inserts.back().came());
  REQUIRE(guest.wait(inserts));
  for (const auto& insert : inserts) CHECK(ended(insert) == "ok");
  CHECK(cluster.max_overlapping_vector_writes() == 1);
}

TEST_CASE("A vector's operation can be cancelled, and has a time") {
  Cluster cluster = with_vectors();
  VectorGuest guest{cluster};
  REQUIRE(guest.create("ns"));
  cluster.freeze(0);
  const Outcome<VectorInserted> on_wire, waiting;
  const Operation operation = guest.vectors.insert("ns", "a", origin, on_wire.callback());
  guest.vectors.insert("ns", "b", origin, {.timeout = 50ms}, waiting.callback());
  REQUIRE(guest.wait(waiting));
  CHECK(ended(waiting) == "deadline_exceeded");
  CHECK_FALSE(waiting.error().maybe_applied);
  CHECK(waiting.error().phase == Phase::queued);
  operation.cancel();
  REQUIRE(guest.wait(on_wire));
  CHECK(ended(on_wire) == "cancelled");
  CHECK(on_wire.error().maybe_applied);
}

TEST_CASE("Vectors outlive their client, and say that it is closed") {
  const Cluster cluster = with_vectors();
  LoopFixture loop;
  std::optional<Client> client = made(create(loop.loop(), cluster.client_options()));
  const Vectors vectors = client->vectors();
  const Admin admin = client->admin();
  const Outcome<IndexCreated> during, after;
  const Outcome<ShardInfo> snapshot;
  client.reset();
  vectors.create_index("ns", {.dimensions = 2}, during.callback());
  REQUIRE(loop.run_until_idle());
  CHECK(ended(during) == "closed");
  vectors.create_index("ns", {.dimensions = 2}, after.callback());
  CHECK(ended(after) == "closed");
  admin.snapshot_shard(0, snapshot.callback());
  CHECK(ended(snapshot) == "closed");
}

TEST_CASE("The services of a client that was moved from are closed") {
  const Cluster cluster = with_vectors();
  Guest guest{cluster};
  Client moved = std::move(guest.client());
  const Outcome<VectorMatches> found;
  const Outcome<ShardInfo> transferred;
  guest->vectors().search("ns", origin, 1, found.callback());
  guest->admin().transfer_shard(0, "node1", transferred.callback());
  CHECK(ended(found) == "closed");
  CHECK(ended(transferred) == "closed");
  guest.client() = std::move(moved);
}
