// The ephemeral cluster's Vector service without a network: texts, order of checks, leadership, distances.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "testing/model_world.hpp"
#include "testing/vector_model.hpp"
#include "testing/vector_store.hpp"

using namespace model_tests;

namespace {

ClusterConfig with_vectors(VectorService service, Profile profile = Profile::norikv, std::uint32_t nodes = 1) {
  ClusterConfig config;
  config.nodes = nodes;
  config.profile = profile;
  config.vectors = service;
  return config;
}

/// The service, asked at one node while another one (or none) leads shard 0.
struct Service {
  explicit Service(ClusterConfig with = with_vectors(VectorService::working)) : model(with, now) {}

  template <class Request>
  auto ask(const Request& request) {
    return model.handle({node, leader, now}, request);
  }

  Answer<v1::CreateVectorIndexResponse> create(const std::string& name, std::uint32_t dimensions,
                                               v1::DistanceFunction distance = v1::DISTANCE_FUNCTION_EUCLIDEAN,
                                               const std::string& key = {}) {
    v1::CreateVectorIndexRequest request;
    request.set_namespace_(name);
    request.set_dimensions(dimensions);
    request.set_distance(distance);
    request.set_idempotency_key(key);
    return ask(request);
  }
  Answer<v1::DropVectorIndexResponse> drop(const std::string& name) {
    v1::DropVectorIndexRequest request;
    request.set_namespace_(name);
    return ask(request);
  }
  Answer<v1::VectorInsertResponse> insert(const std::string& name, const std::string& id,
                                          const std::vector<float>& vector, const std::string& key = {}) {
    v1::VectorInsertRequest request;
    request.set_namespace_(name);
    request.set_id(id);
    request.mutable_vector()->Assign(vector.begin(), vector.end());
    request.set_idempotency_key(key);
    return ask(request);
  }
  Answer<v1::VectorDeleteResponse> remove(const std::string& name, const std::string& id) {
    v1::VectorDeleteRequest request;
    request.set_namespace_(name);
    request.set_id(id);
    return ask(request);
  }
  Answer<v1::VectorSearchResponse> search(const std::string& name, const std::vector<float>& query, std::uint32_t k,
                                          const std::string& consistency = {}) {
    v1::VectorSearchRequest request;
    request.set_namespace_(name);
    request.mutable_query()->Assign(query.begin(), query.end());
    request.set_k(k);
    request.set_consistency(consistency);
    return ask(request);
  }
  Answer<v1::VectorGetResponse> get(const std::string& name, const std::string& id,
                                    const std::string& consistency = {}) {
    v1::VectorGetRequest request;
    request.set_namespace_(name);
    request.set_id(id);
    request.set_consistency(consistency);
    return ask(request);
  }

  TimePoint now{std::chrono::hours{1}};
  NodeIndex node = 0;
  std::optional<NodeIndex> leader = 0;
  VectorModel model;
};

std::vector<std::string> ids(const v1::VectorSearchResponse& response) {
  std::vector<std::string> ids;
  for (const v1::VectorMatch& match : response.matches()) ids.push_back(match.id());
  return ids;
}

template <class T>
std::string text(const Answer<T>& answer) {
  return answer ? "OK" : answer.error().text;
}

Refusal invalid(std::string text) { return {StatusCode::invalid_argument, std::move(text)}; }

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("The distances are exact") {
  const std::vector<float> a{1, 2, 3};
  const std::vector<float> b{4, 6, 3};
  CHECK(distance_of(Distance::euclidean, a, b) == 5.0f);
  CHECK(distance_of(Distance::inner_product, a, b) == -25.0f);
  CHECK(distance_of(Distance::cosine, {1, 0}, {0, 3}) == 1.0f);
  CHECK(distance_of(Distance::cosine, {2, 0}, {5, 0}) == 0.0f);
  CHECK(distance_of(Distance::cosine, {2, 0}, {-1, 0}) == 2.0f);
}

TEST_CASE("A vector without a direction has the cosine distance of a right angle") {
  CHECK(distance_of(Distance::cosine, {0, 0}, {1, 0}) == 1.0f);
}

TEST_CASE("A search gives the k nearest, nearest first, and those of one distance by id") {
  Service service;
  REQUIRE(service.create("ns", 2));
  REQUIRE(service.insert("ns", "far", {9, 0}));
  REQUIRE(service.insert("ns", "b", {1, 0}));
  REQUIRE(service.insert("ns", "a", {0, 1}));
  REQUIRE(service.insert("ns", "here", {0, 0}));
  CHECK(ids(service.search("ns", {0, 0}, 3).value()) == Strings{"here", "a", "b"});
  CHECK(ids(service.search("ns", {0, 0}, 100).value()) == Strings{"here", "a", "b", "far"});
}

TEST_CASE("Each index measures by its own distance") {
  Service service;
  REQUIRE(service.create("length", 1, v1::DISTANCE_FUNCTION_EUCLIDEAN));
  REQUIRE(service.create("product", 1, v1::DISTANCE_FUNCTION_INNER_PRODUCT));
  for (const char* name : {"length", "product"}) {
    REQUIRE(service.insert(name, "small", {1}));
    REQUIRE(service.insert(name, "large", {100}));
  }
  CHECK(ids(service.search("length", {2}, 1).value()) == Strings{"small"});
  CHECK(ids(service.search("product", {2}, 1).value()) == Strings{"large"});
}

TEST_CASE("What is not a number is the farthest") {
  Service service;
  REQUIRE(service.create("ns", 1));
  REQUIRE(service.insert("ns", "a", {std::nanf("")}));
  REQUIRE(service.insert("ns", "b", {5}));
  REQUIRE(service.insert("ns", "c", {std::nanf("")}));
  CHECK(ids(service.search("ns", {0}, 3).value()) == Strings{"b", "a", "c"});
}

TEST_CASE("Vectors come along only if they are asked for") {
  Service service;
  REQUIRE(service.create("ns", 2));
  REQUIRE(service.insert("ns", "a", {1, 2}));
  CHECK(service.search("ns", {0, 0}, 1)->matches(0).vector_size() == 0);
  v1::VectorSearchRequest request;
  request.set_namespace_("ns");
  request.add_query(0);
  request.add_query(0);
  request.set_k(1);
  request.set_include_vectors(true);
  const auto found = service.ask(request);
  REQUIRE(found->matches(0).vector_size() == 2);
  CHECK(found->matches(0).vector(1) == 2.0f);
}

TEST_CASE("A vector is inserted, read, replaced and removed") {
  Service service;
  REQUIRE(service.create("ns", 1));
  CHECK_FALSE(service.get("ns", "a")->found());
  REQUIRE(service.insert("ns", "a", {1}));
  CHECK(service.get("ns", "a")->vector(0) == 1.0f);
  REQUIRE(service.insert("ns", "a", {2}));
  CHECK(service.get("ns", "a")->vector(0) == 2.0f);
  CHECK(service.remove("ns", "a")->deleted());
  CHECK_FALSE(service.get("ns", "a")->found());
  CHECK_FALSE(service.remove("ns", "a")->deleted());
}

TEST_CASE("A dropped index is gone with its vectors") {
  Service service;
  REQUIRE(service.create("ns", 1));
  REQUIRE(service.insert("ns", "a", {1}));
  CHECK(service.drop("ns")->dropped());
  REQUIRE(service.create("ns", 1));
  CHECK_FALSE(service.get("ns", "a")->found());
}

TEST_CASE("Versions of inserts count the writes of the service") {
  Service service;
  REQUIRE(service.create("ns", 1));
  CHECK(service.insert("ns", "a", {1})->version().index() == 2);
  CHECK(service.insert("ns", "b", {1})->version().index() == 3);
  CHECK(service.insert("ns", "b", {1})->version().term() == 0);
}

TEST_CASE("What the storage does not take is an internal error") {
  Service service;
  REQUIRE(service.create("ns", 2));
  const auto internal = [](std::string text) { return Refusal{StatusCode::internal, std::move(text)}; };
  CHECK(service.create("ns", 2).error() ==
        internal("Failed to create index: Internal error: Namespace already exists"));
  CHECK(service.drop("other").error() == internal("Failed to drop index: Internal error: Namespace not found"));
  CHECK(service.insert("other", "a", {1, 2}).error() ==
        internal("Failed to insert vector: Internal error: Namespace not found"));
  CHECK(service.insert("ns", "a", {1}).error() ==
        internal("Failed to insert vector: Internal error: Dimension mismatch: expected 2, got 1"));
  CHECK(service.remove("other", "a").error() ==
        internal("Failed to delete vector: Internal error: Namespace not found"));
  CHECK(service.search("ns", {1}, 1).error() ==
        internal("Failed to search: Internal error: Dimension mismatch: expected 2, got 1"));
  CHECK(service.get("other", "a").error() == internal("Failed to get vector: Internal error: Namespace not found"));
}

TEST_CASE("Namespaces have 1 to 256 bytes") {
  Service service;
  const std::string long_name(257, 'n');
  CHECK(service.create("", 1).error() == invalid("Namespace cannot be empty"));
  CHECK(service.create(long_name, 1).error() == invalid("Namespace size 257 exceeds limit 256"));
  CHECK(service.create(long_name.substr(1), 1));
  CHECK(text(service.drop("")) == "Namespace cannot be empty");
  CHECK(text(service.insert("", "a", {1})) == "Namespace cannot be empty");
  CHECK(text(service.remove("", "a")) == "Namespace cannot be empty");
  CHECK(text(service.search("", {1}, 1)) == "Namespace cannot be empty");
  CHECK(text(service.get("", "a")) == "Namespace cannot be empty");
}

TEST_CASE("Ids have 1 to 512 bytes") {
  Service service;
  REQUIRE(service.create("ns", 1));
  const std::string long_id(513, 'i');
  CHECK(service.insert("ns", "", {1}).error() == invalid("Vector ID cannot be empty"));
  CHECK(service.insert("ns", long_id, {1}).error() == invalid("Vector ID size 513 exceeds limit 512"));
  CHECK(service.insert("ns", long_id.substr(1), {1}));
  CHECK(text(service.remove("ns", "")) == "Vector ID cannot be empty");
  CHECK(text(service.get("ns", "")) == "Vector ID cannot be empty");
}

TEST_CASE("Vectors have 1 to 4096 dimensions") {
  Service service;
  CHECK(service.create("ns", 0).error() == invalid("Dimensions must be between 1 and 4096"));
  CHECK(service.create("ns", 4097).error() == invalid("Dimensions must be between 1 and 4096"));
  REQUIRE(service.create("ns", 4096));
  CHECK(service.insert("ns", "a", {}).error() == invalid("Vector cannot be empty"));
  CHECK(service.insert("ns", "a", std::vector<float>(4097)).error() ==
        invalid("Vector dimensions 4097 exceeds limit 4096"));
  CHECK(service.insert("ns", "a", std::vector<float>(4096)));
  CHECK(text(service.search("ns", {}, 1)) == "Vector cannot be empty");
}

TEST_CASE("A search asks for at least one match") {
  Service service;
  CHECK(service.search("ns", {1}, 0).error() == invalid("k must be greater than 0"));
}

TEST_CASE("A level of consistency that the server does not know is refused by name") {
  Service service;
  CHECK(service.search("ns", {1}, 1, "lease").error() == invalid("Unknown consistency level: lease"));
  CHECK(service.get("ns", "a", "STRONG").error() == invalid("Unknown consistency level: STRONG"));
}

TEST_CASE(
    "The namespace is checked before the id, the id before the vector, the vector before k, k before consistency") {
  Service service;
  CHECK(text(service.insert("", "", {})) == "Namespace cannot be empty");
  CHECK(text(service.insert("ns", "", {})) == "Vector ID cannot be empty");
  CHECK(text(service.search("", {}, 0, "lease")) == "Namespace cannot be empty");
  CHECK(text(service.search("ns", {}, 0, "lease")) == "Vector cannot be empty");
  CHECK(text(service.search("ns", {1}, 0, "lease")) == "k must be greater than 0");
}

TEST_CASE("A distance has to be named, which is looked at after the idempotency key and the leader") {
  Service service;
  const auto unspecified = v1::DISTANCE_FUNCTION_UNSPECIFIED;
  CHECK(service.create("ns", 1, unspecified).error() == invalid("Distance function must be specified"));
  CHECK(service.create("ns", 1, static_cast<v1::DistanceFunction>(4)).error() ==
        invalid("Distance function must be specified"));
  REQUIRE(service.create("ns", 1, v1::DISTANCE_FUNCTION_COSINE, "key"));
  CHECK(service.create("ns", 1, unspecified, "key"));
  service.leader = std::nullopt;
  CHECK(text(service.create("ns", 1, unspecified)) == "Not leader");
}

TEST_CASE("An index type that is missing or unknown means hnsw") {
  Service service;
  v1::CreateVectorIndexRequest request;
  request.set_namespace_("ns");
  request.set_dimensions(1);
  request.set_distance(v1::DISTANCE_FUNCTION_COSINE);
  request.set_index_type(static_cast<v1::VectorIndexType>(7));
  CHECK(service.ask(request));
}

TEST_CASE("A repeated idempotency key is answered from memory, an insert with the version the log has now") {
  Service service;
  REQUIRE(service.create("ns", 1));
  REQUIRE(service.insert("ns", "a", {1}, "key")->version().index() == 2);
  REQUIRE(service.insert("ns", "b", {1})->version().index() == 3);
  const auto repeated = service.insert("ns", "a", {9}, "key");
  CHECK(repeated->inserted());
  CHECK(repeated->version().index() == 3);
  CHECK(service.get("ns", "a")->vector(0) == 1.0f);
}

TEST_CASE("Only what was carried out is remembered under its idempotency key") {
  Service service;
  REQUIRE_FALSE(service.insert("ns", "a", {1}, "key"));
  REQUIRE(service.create("ns", 1));
  REQUIRE(service.insert("ns", "a", {1}, "key"));
  CHECK(service.get("ns", "a")->found());
}

TEST_CASE("A node that does not lead shard 0 refuses writes and strong reads in two ways, each naming the leader") {
  Service service(with_vectors(VectorService::working, Profile::replicated, 3));
  service.leader = 1;
  const Refusal write{StatusCode::failed_precondition, "Not leader", "node1-shard0", "x-norikv-leader"};
  const Refusal read{StatusCode::unavailable, "NOT_LEADER: strong consistency requires leader", "node1-shard0",
                     "x-norikv-leader"};
  CHECK(service.create("ns", 1).error() == write);
  CHECK(service.drop("ns").error() == write);
  CHECK(service.insert("ns", "a", {1}).error() == write);
  CHECK(service.remove("ns", "a").error() == write);
  CHECK(service.search("ns", {1}, 1).error() == read);
  CHECK(service.get("ns", "a", "strong").error() == read);
  service.leader = std::nullopt;
  CHECK(service.insert("ns", "a", {1}).error() ==
        Refusal{StatusCode::failed_precondition, "Not leader", "", "x-norikv-leader"});
}

TEST_CASE("A follower answers reads that allow it, with what the leader stored") {
  Service service(with_vectors(VectorService::working, Profile::replicated, 3));
  REQUIRE(service.create("ns", 1));
  REQUIRE(service.insert("ns", "a", {1}));
  service.node = 2;
  CHECK(service.get("ns", "a", "eventual")->found());
  CHECK(service.search("ns", {1}, 1, "bounded_staleness")->matches_size() == 1);
}

TEST_CASE("A repeated idempotency key is answered by any node of a replicated cluster, leader or not") {
  Service service(with_vectors(VectorService::working, Profile::replicated, 3));
  REQUIRE(service.create("ns", 1, v1::DISTANCE_FUNCTION_COSINE, "key"));
  service.node = 1;
  CHECK(service.create("ns", 1, v1::DISTANCE_FUNCTION_COSINE, "key"));
}

TEST_CASE("A restarted server of profile norikv has its vectors, and no idempotency keys") {
  Service service;
  REQUIRE(service.create("ns", 1));
  REQUIRE(service.insert("ns", "a", {1}, "key"));
  service.model.restart(0);
  CHECK(service.get("ns", "a")->found());
  CHECK(service.insert("ns", "a", {2}, "key")->version().index() == 1);
  CHECK(service.get("ns", "a")->vector(0) == 2.0f);
}

TEST_CASE("A restarted node of a replicated cluster forgets nothing") {
  Service service(with_vectors(VectorService::working, Profile::replicated, 3));
  REQUIRE(service.create("ns", 1, v1::DISTANCE_FUNCTION_COSINE, "key"));
  service.model.restart(0);
  CHECK(service.create("ns", 1, v1::DISTANCE_FUNCTION_COSINE, "key"));
}

TEST_CASE("Not implemented yet: writes are acknowledged whatever they say, reads fail") {
  Service service(with_vectors(VectorService::not_implemented_yet));
  CHECK(service.insert("unknown", "a", {1})->inserted());
  CHECK(service.create("ns", 1)->created());
  CHECK(service.create("ns", 1)->created());
  CHECK(service.drop("unknown")->dropped());
  CHECK(service.remove("unknown", "a")->deleted());
  CHECK(service.search("ns", {1}, 1).error() ==
        Refusal{StatusCode::internal,
                "Failed to search: Internal error: Vector search not yet implemented - requires LsmStateMachine "
                "integration"});
  CHECK(service.get("ns", "a").error() ==
        Refusal{StatusCode::internal,
                "Failed to get vector: Internal error: Vector get not yet implemented - requires LsmStateMachine "
                "integration"});
}

TEST_CASE("Not implemented yet: requests are checked all the same") {
  Service service(with_vectors(VectorService::not_implemented_yet));
  CHECK(text(service.search("ns", {1}, 0)) == "k must be greater than 0");
  service.leader = std::nullopt;
  CHECK(text(service.insert("ns", "a", {1})) == "Not leader");
}

TEST_CASE("A write is answered when it commits, everything else at once") {
  ClusterConfig config = with_vectors(VectorService::working);
  config.overlap_window = 5ms;
  Service service(config);
  REQUIRE(service.create("ns", 1));
  CHECK(service.model.answer_due() == service.now + 5ms);
  REQUIRE(service.search("ns", {1}, 1));
  CHECK(service.model.answer_due() == service.now);
  REQUIRE_FALSE(service.insert("ns", "", {1}));
  CHECK(service.model.answer_due() == service.now);
}

TEST_CASE("Writes that were under way at one moment are counted") {
  Service service;
  REQUIRE(service.create("ns", 1));
  CHECK(service.model.max_overlapping_writes() == 1);
  service.now = service.model.answer_due();
  REQUIRE(service.insert("ns", "a", {1}));
  CHECK(service.model.max_overlapping_writes() == 1);
  REQUIRE(service.insert("ns", "b", {1}));
  CHECK(service.model.max_overlapping_writes() == 2);
}
