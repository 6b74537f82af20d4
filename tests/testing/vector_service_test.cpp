// The ephemeral cluster's Vector service over gRPC, by raw stubs.
#include "support/catch.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;

namespace {

ClusterConfig with_vectors(ClusterConfig config = instant(), VectorService service = VectorService::working) {
  config.vectors = service;
  return config;
}

auto create(Stub& stub, const std::string& name, std::uint32_t dimensions) {
  v1::CreateVectorIndexRequest request;
  request.set_namespace_(name);
  request.set_dimensions(dimensions);
  request.set_distance(v1::DISTANCE_FUNCTION_EUCLIDEAN);
  return Stub::call<v1::CreateVectorIndexResponse>(
      [&](auto* context, auto* response) { return stub.vector->CreateIndex(context, request, response); });
}

auto insert(Stub& stub, const std::string& name, const std::string& id, float number, Duration timeout = 10s) {
  v1::VectorInsertRequest request;
  request.set_namespace_(name);
  request.set_id(id);
  request.add_vector(number);
  return Stub::call<v1::VectorInsertResponse>(
      [&](auto* context, auto* response) { return stub.vector->Insert(context, request, response); }, timeout);
}

auto search(Stub& stub, const std::string& name, float number, const std::string& consistency = "") {
  v1::VectorSearchRequest request;
  request.set_namespace_(name);
  request.add_query(number);
  request.set_k(10);
  request.set_consistency(consistency);
  return Stub::call<v1::VectorSearchResponse>(
      [&](auto* context, auto* response) { return stub.vector->Search(context, request, response); });
}

auto get(Stub& stub, const std::string& name, const std::string& id) {
  v1::VectorGetRequest request;
  request.set_namespace_(name);
  request.set_id(id);
  return Stub::call<v1::VectorGetResponse>(
      [&](auto* context, auto* response) { return stub.vector->Get(context, request, response); });
}

auto remove(Stub& stub, const std::string& name, const std::string& id) {
  v1::VectorDeleteRequest request;
  request.set_namespace_(name);
  request.set_id(id);
  return Stub::call<v1::VectorDeleteResponse>(
      [&](auto* context, auto* response) { return stub.vector->Delete(context, request, response); });
}

auto drop(Stub& stub, const std::string& name) {
  v1::DropVectorIndexRequest request;
  request.set_namespace_(name);
  return Stub::call<v1::DropVectorIndexResponse>(
      [&](auto* context, auto* response) { return stub.vector->DropIndex(context, request, response); });
}

}  // namespace

TEST_CASE("Each call of the Vector service is served") {
  Fixture on(with_vectors());
  CHECK(create(on.node(), "ns", 1).body.created());
  CHECK(insert(on.node(), "ns", "a", 1).body.inserted());
  CHECK(insert(on.node(), "ns", "b", 5).body.version().index() == 3);
  const auto found = search(on.node(), "ns", 4);
  REQUIRE(found.body.matches_size() == 2);
  CHECK(found.body.matches(0).id() == "b");
  CHECK(found.body.matches(0).distance() == 1.0f);
  CHECK(get(on.node(), "ns", "a").body.vector(0) == 1.0f);
  CHECK(remove(on.node(), "ns", "a").body.deleted());
  CHECK_FALSE(get(on.node(), "ns", "a").body.found());
  CHECK(drop(on.node(), "ns").body.dropped());
  CHECK(on.cluster.counters().vectors == 8);
}

TEST_CASE("The Vector service says what is wrong with a request, without metadata") {
  Fixture on(with_vectors());
  const auto refused = create(on.node(), "", 1);
  CHECK(refused.code == grpc::INVALID_ARGUMENT);
  CHECK(refused.text == "Namespace cannot be empty");
  CHECK(refused.vector_hint.empty());
  const auto unknown = search(on.node(), "ns", 1);
  CHECK(unknown.code == grpc::INTERNAL);
  CHECK(unknown.text == "Failed to search: Internal error: Namespace not found");
}

TEST_CASE("Followers refuse vectors and name the leader of shard 0, which moves") {
  Fixture on(with_vectors(replicated()));
  for (const std::uint32_t leader : {0u, 2u}) {
    REQUIRE(on.cluster.move_leader(0, leader));
    const auto write = insert(on.node(1), "ns", "a", 1);
    CHECK(write.code == grpc::FAILED_PRECONDITION);
    CHECK(write.text == "Not leader");
    CHECK(write.vector_hint == "node" + std::to_string(leader) + "-shard0");
    CHECK(write.hint.empty());
    const auto read = search(on.node(1), "ns", 1);
    CHECK(read.code == grpc::UNAVAILABLE);
    CHECK(read.text == "NOT_LEADER: strong consistency requires leader");
    CHECK(read.vector_hint == "node" + std::to_string(leader) + "-shard0");
  }
  CHECK(on.cluster.counters().not_leader == 4);
}

TEST_CASE("Every node of a replicated cluster has the vectors") {
  Fixture on(with_vectors(replicated()));
  REQUIRE(create(on.node(0), "ns", 1).ok());
  REQUIRE(insert(on.node(0), "ns", "a", 1).ok());
  CHECK(search(on.node(2), "ns", 1, "eventual").body.matches_size() == 1);
  on.cluster.stop(0);
  REQUIRE(eventually([&] { return on.cluster.leader(0).has_value(); }));
  CHECK(get(on.node(*on.cluster.leader(0)), "ns", "a").body.found());
}

TEST_CASE("A server that only takes vectors in acknowledges writes and fails reads") {
  Fixture on(with_vectors(instant(), VectorService::not_implemented_yet));
  CHECK(insert(on.node(), "unknown", "a", 1).body.inserted());
  const auto found = search(on.node(), "unknown", 1);
  CHECK(found.code == grpc::INTERNAL);
  CHECK(found.text ==
        "Failed to search: Internal error: Vector search not yet implemented - requires LsmStateMachine integration");
}

TEST_CASE("A vector's write takes its time to commit, and is CANCELLED by the server if it has less") {
  ClusterConfig config = with_vectors();
  config.commit_delay = true;
  Fixture on(config);
  const auto before = Clock::now();
  REQUIRE(create(on.node(), "ns", 1).ok());
  CHECK(Clock::now() - before >= 50ms);
  const auto late = insert(on.node(), "ns", "a", 1, 20ms);
  CHECK((late.code == grpc::CANCELLED || late.code == grpc::DEADLINE_EXCEEDED));
  CHECK(get(on.node(), "ns", "a").body.found());
}

TEST_CASE("A restarted server has its vectors") {
  Fixture on(with_vectors());
  REQUIRE(create(on.node(), "ns", 1).ok());
  REQUIRE(insert(on.node(), "ns", "a", 1).ok());
  on.cluster.stop(0);
  REQUIRE(on.cluster.restart(0));
  REQUIRE(eventually([&] { return get(on.node(), "ns", "a").ok(); }));
  CHECK(get(on.node(), "ns", "a").body.found());
}
