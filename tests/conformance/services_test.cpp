#include <algorithm>
#include <array>
#include <functional>

#include "conformance/endpoint.hpp"

// The Vector and Admin services: the contract's list, 35 and 36. NoriKV 0.1.0 has no Vector service.
using namespace norikv;
using namespace norikv::test;

namespace {

using Vector = std::vector<float>;

/// One operation, and the loop turned until it has ended.
template <class T, class Start>
Result<T> run(Guest& guest, Start start) {
  const Outcome<T> outcome;
  start(outcome.callback());
  REQUIRE(guest.wait(outcome, 60s));
  return outcome.result();
}

Result<IndexCreated> create(Guest& guest, const std::string& name, VectorIndex index) {
  return run<IndexCreated>(guest,
                           [&](auto callback) { guest->vectors().create_index(name, index, std::move(callback)); });
}
Result<IndexDropped> drop(Guest& guest, const std::string& name) {
  return run<IndexDropped>(guest, [&](auto callback) { guest->vectors().drop_index(name, std::move(callback)); });
}
Result<VectorInserted> insert(Guest& guest, const std::string& name, const std::string& id, const Vector& vector) {
  return run<VectorInserted>(guest,
                             [&](auto callback) { guest->vectors().insert(name, id, vector, std::move(callback)); });
}
Result<VectorRemoved> remove(Guest& guest, const std::string& name, const std::string& id) {
  return run<VectorRemoved>(guest, [&](auto callback) { guest->vectors().remove(name, id, std::move(callback)); });
}
Result<VectorMatches> search(Guest& guest, const std::string& name, const Vector& query, std::uint32_t k,
                             VectorSearchOptions options = {}) {
  return run<VectorMatches>(
      guest, [&](auto callback) { guest->vectors().search(name, query, k, options, std::move(callback)); });
}
Result<std::optional<Vector>> get(Guest& guest, const std::string& name, const std::string& id) {
  return run<std::optional<Vector>>(guest, [&](auto callback) { guest->vectors().get(name, id, std::move(callback)); });
}
Result<ShardInfo> snapshot(Guest& guest, std::uint32_t shard) {
  return run<ShardInfo>(guest, [&](auto callback) { guest->admin().snapshot_shard(shard, std::move(callback)); });
}

/// Whether the server says that it has no such service, or not all of it.
template <class T>
bool unsupported(const Result<T>& result) {
  return !result && result.error().code == ErrorCode::not_supported;
}

}  // namespace

TEST_CASE("(35) What no server takes as a vector is refused before it is sent") {
  Guest guest{endpoint().options()};
  const auto attempts = guest->stats().attempts;
  const Vector vector{1, 2};
  CHECK(ended(create(guest, "", {.dimensions = 2})) == "invalid_argument");
  CHECK(ended(create(guest, std::string(max_namespace_size + 1, 'n'), {.dimensions = 2})) == "invalid_argument");
  CHECK(ended(create(guest, "n", {.dimensions = 0})) == "invalid_argument");
  CHECK(ended(create(guest, "n", {.dimensions = max_dimensions + 1})) == "invalid_argument");
  CHECK(ended(drop(guest, "")) == "invalid_argument");
  CHECK(ended(insert(guest, "n", "", vector)) == "invalid_argument");
  CHECK(ended(insert(guest, "n", std::string(max_vector_id_size + 1, 'i'), vector)) == "invalid_argument");
  CHECK(ended(insert(guest, "n", "id", {})) == "invalid_argument");
  CHECK(ended(insert(guest, "n", "id", Vector(max_dimensions + 1))) == "invalid_argument");
  CHECK(ended(search(guest, "n", vector, 0)) == "invalid_argument");
  CHECK(ended(search(guest, "n", {}, 1)) == "invalid_argument");
  CHECK(ended(get(guest, "n", "")) == "invalid_argument");
  CHECK(guest->stats().attempts == attempts);
}

TEST_CASE("(35) A server without vectors says so, to each call and once") {
  Guest guest{endpoint().options()};
  const std::string name = "conformance/" + unique_text();
  const auto created = create(guest, name, {.dimensions = 2});
  if (!unsupported(created)) {
    static_cast<void>(drop(guest, name));
    NORIKV_SKIP("this server has vectors");
  }
  CHECK(created.error().attempts_made == 1);
  CHECK_FALSE(created.error().maybe_applied);
  CHECK_FALSE(created.error().message.empty());
  CHECK(unsupported(insert(guest, name, "id", {1, 2})));
  CHECK(unsupported(remove(guest, name, "id")));
  CHECK(unsupported(search(guest, name, {1, 2}, 1)));
  CHECK(unsupported(get(guest, name, "id")));
  CHECK(unsupported(drop(guest, name)));
}

TEST_CASE("(35) A vector that was inserted is found, read and removed") {
  Guest guest{endpoint().options()};
  const std::string name = "conformance/" + unique_text();
  const auto created = create(guest, name, {.dimensions = 2, .type = IndexType::brute_force});
  if (unsupported(created)) NORIKV_SKIP_WITHOUT(Feature::vectors, "this server has no vectors");
  REQUIRE(ended(created) == "ok");
  CHECK(created->created);
  for (const auto& [id, vector] :
       {std::pair{"near", Vector{1, 1}}, {"nearer", Vector{0, 0.5F}}, {"far", Vector{9, 9}}}) {
    const auto inserted = insert(guest, name, id, vector);
    REQUIRE(ended(inserted) == "ok");
    CHECK(inserted->inserted);
  }
  const auto found = search(guest, name, {0, 0}, 2, {.include_vectors = true});
  if (unsupported(found)) NORIKV_SKIP_WITHOUT(Feature::vectors, "this server takes vectors in, and can't find them");
  REQUIRE(ended(found) == "ok");
  REQUIRE(found->matches.size() == 2);
  CHECK(found->matches[0].id == "nearer");
  CHECK(found->matches[0].vector == Vector{0, 0.5F});
  CHECK(found->matches[1].id == "near");
  CHECK(found->matches[0].distance < found->matches[1].distance);
  CHECK(get(guest, name, "far").value() == Vector{9, 9});
  REQUIRE(ended(remove(guest, name, "far")) == "ok");
  const auto gone = get(guest, name, "far");
  REQUIRE(ended(gone) == "ok");
  CHECK_FALSE(gone->has_value());
  CHECK(ended(drop(guest, name)) == "ok");
}

TEST_CASE("(36) A snapshot of a shard names it and the leader's replica") {
  Guest guest{endpoint().options()};
  for (const std::uint32_t shard : endpoint().shards()) {
    REQUIRE(ended(guest.put(endpoint().key("snapshot", shard), "before")) == "ok");
    const auto taken = snapshot(guest, shard);
    REQUIRE(ended(taken) == "ok");
    CHECK(taken->id == shard);
    CHECK(std::count_if(taken->replicas.begin(), taken->replicas.end(), [](const auto& each) { return each.leader; }) ==
          1);
  }
}

TEST_CASE("(36) What was written before a snapshot is there after it, and so is what is written then") {
  Guest guest{endpoint().options()};
  const std::uint32_t shard = endpoint().shards().back();
  const std::string before = endpoint().key("snapshot", shard);
  const std::string after = endpoint().key("snapshot", shard);
  // All at once: the snapshot waits for the write before it, and the write after it for the snapshot.
  const PutOutcome first;
  const Outcome<ShardInfo> taken;
  const PutOutcome second;
  guest->put(before, "before", first.callback());
  guest->admin().snapshot_shard(shard, taken.callback());
  guest->put(after, "after", second.callback());
  REQUIRE(guest.wait(second, 60s));
  CHECK(ended(first) == "ok");
  CHECK(ended(taken) == "ok");
  CHECK(ended(second) == "ok");
  CHECK(value_of(guest.get(before)) == "before");
  CHECK(value_of(guest.get(after)) == "after");
}

TEST_CASE("(36) A snapshot of a shard that was never touched is not_found") {
  const std::uint32_t last = endpoint().total_shards() - 1;
  if (last < 4 || !endpoint().knows_shards() || shard_of("", last + 1) == last)
    NORIKV_SKIP("each shard was touched, or may have been");
  Guest guest{endpoint().options()};
  const auto refused = snapshot(guest, last);
  if (refused) NORIKV_SKIP("this server has the shard");
  CHECK(ended(refused) == "not_found");
  CHECK_FALSE(refused.error().maybe_applied);
}

TEST_CASE("(36) A shard that there is not is refused before it is asked for") {
  Guest guest{endpoint().options()};
  CHECK(ended(snapshot(guest, endpoint().total_shards())) == "invalid_argument");
}

TEST_CASE("(36) Moving a shard is not_supported, in the server's words") {
  Guest guest{endpoint().options()};
  REQUIRE(ended(guest.get(endpoint().key("transfer", 0))) == "ok");
  const auto moved =
      run<ShardInfo>(guest, [&](auto callback) { guest->admin().transfer_shard(0, "nowhere", std::move(callback)); });
  if (moved || moved.error().code == ErrorCode::not_found) NORIKV_SKIP("this server moves shards");
  CHECK(ended(moved) == "not_supported");
  CHECK(moved.error().message.find("not yet implemented") != std::string::npos);
}
