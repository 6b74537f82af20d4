// The messages of the Vector and Admin services.
#include <array>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "norikv.pb.h"
#include "support/bytes.hpp"
#include "support/catch.hpp"
#include "wire/vectors.hpp"
#include "wire/wire.hpp"

using namespace norikv;
using namespace std::chrono_literals;
using norikv::tests::from_hex;
using norikv::tests::to_hex;

namespace pb = norikv::v1;

namespace {

constexpr std::array one_and_minus_two{1.0f, -2.0f};

/// The error text of what must not decode; empty if it does.
template <class T>
std::string error_of(const wire::Decoded<T>& decoded) {
  return decoded ? "" : decoded.error();
}

}  // namespace

TEST_CASE("Each method of Vector and Admin has its path") {
  CHECK(wire::path(wire::Method::vector_create_index) == "/norikv.v1.Vector/CreateIndex");
  CHECK(wire::path(wire::Method::vector_drop_index) == "/norikv.v1.Vector/DropIndex");
  CHECK(wire::path(wire::Method::vector_insert) == "/norikv.v1.Vector/Insert");
  CHECK(wire::path(wire::Method::vector_remove) == "/norikv.v1.Vector/Delete");
  CHECK(wire::path(wire::Method::vector_search) == "/norikv.v1.Vector/Search");
  CHECK(wire::path(wire::Method::vector_get) == "/norikv.v1.Vector/Get");
  CHECK(wire::path(wire::Method::snapshot_shard) == "/norikv.v1.Admin/SnapshotShard");
  CHECK(wire::path(wire::Method::transfer_shard) == "/norikv.v1.Admin/TransferShard");
}

TEST_CASE("A method knows its service") {
  for (std::size_t number = 0; number < wire::method_count; ++number) {
    const auto method = static_cast<wire::Method>(number);
    INFO(wire::path(method));
    CHECK(wire::is_vector(method) == wire::path(method).starts_with("/norikv.v1.Vector/"));
    CHECK(wire::is_admin(method) == wire::path(method).starts_with("/norikv.v1.Admin/"));
  }
}

TEST_CASE("A create index is encoded field by field") {
  const VectorIndex index{.dimensions = 300, .distance = Distance::inner_product, .type = IndexType::hnsw};
  CHECK(to_hex(wire::encode(wire::CreateIndexRequest{"ns", index, "id"})) ==
        to_hex(from_hex("0a 02 6e73  10 ac02  18 03  20 02  2a 02 6964")));
}

TEST_CASE("Each distance and index type has the protocol's number, which is one more than ours") {
  const auto encoded = [](Distance distance, IndexType type) {
    pb::CreateVectorIndexRequest message;
    REQUIRE(message.ParseFromString(wire::encode(wire::CreateIndexRequest{"ns", {1, distance, type}, {}})));
    return std::pair(message.distance(), message.index_type());
  };
  CHECK(encoded(Distance::euclidean, IndexType::brute_force) ==
        std::pair(pb::DISTANCE_FUNCTION_EUCLIDEAN, pb::VECTOR_INDEX_TYPE_BRUTE_FORCE));
  CHECK(encoded(Distance::cosine, IndexType::hnsw) ==
        std::pair(pb::DISTANCE_FUNCTION_COSINE, pb::VECTOR_INDEX_TYPE_HNSW));
  CHECK(encoded(Distance::inner_product, IndexType::hnsw).first == pb::DISTANCE_FUNCTION_INNER_PRODUCT);
}

TEST_CASE("A drop index is encoded field by field") {
  CHECK(to_hex(wire::encode(wire::DropIndexRequest{"ns", "id"})) == to_hex(from_hex("0a 02 6e73  12 02 6964")));
  CHECK(to_hex(wire::encode(wire::DropIndexRequest{"ns", {}})) == to_hex(from_hex("0a 02 6e73")));
}

TEST_CASE("An insert is encoded field by field, its vector packed") {
  CHECK(to_hex(wire::encode(wire::InsertRequest{"ns", "i", one_and_minus_two, "id"})) ==
        to_hex(from_hex("0a 02 6e73  12 01 69  1a 08 0000803f 000000c0  22 02 6964")));
}

TEST_CASE("A remove of a vector is encoded field by field") {
  CHECK(to_hex(wire::encode(wire::RemoveVectorRequest{"ns", "i", "id"})) ==
        to_hex(from_hex("0a 02 6e73  12 01 69  1a 02 6964")));
}

TEST_CASE("A search followed by its consistency is encoded field by field") {
  const wire::SearchRequest search{"ns", std::span(one_and_minus_two).first(1), 5, true};
  CHECK(to_hex(wire::encode(search) + wire::encode_consistency("s", wire::Method::vector_search)) ==
        to_hex(from_hex("0a 02 6e73  12 04 0000803f  18 05  20 01  2a 01 73")));
}

TEST_CASE("A get of a vector followed by its consistency is encoded field by field") {
  CHECK(to_hex(wire::encode(wire::GetVectorRequest{"ns", "i"}) +
               wire::encode_consistency("s", wire::Method::vector_get)) ==
        to_hex(from_hex("0a 02 6e73  12 01 69  1a 01 73")));
}

TEST_CASE("A request about a shard names the node that is to lead it, if there is one") {
  CHECK(to_hex(wire::encode(wire::ShardRequest{.id = 3, .leader = "n"})) ==
        to_hex(from_hex("08 03  12 05 0a 01 6e 10 01")));
  CHECK(to_hex(wire::encode(wire::ShardRequest{.id = 3})) == "08 03");
  CHECK(wire::encode(wire::ShardRequest{.id = 0}).empty());
}

TEST_CASE("Every encoding of a vector is byte for byte protobuf's own") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  std::normal_distribution<float> number;
  const std::size_t sizes[] = {1, 31, 32, 127, 128, max_dimensions};
  for (int round = 0; round < 200; ++round) {
    std::vector<float> vector(sizes[random() % std::size(sizes)]);
    for (float& each : vector) each = number(random);
    vector.front() = std::numeric_limits<float>::denorm_min();
    const std::string name(1 + random() % max_namespace_size, 'n');
    const std::string id(1 + random() % max_vector_id_size, 'i');

    pb::VectorInsertRequest insert;
    insert.set_namespace_(name);
    insert.set_id(id);
    insert.mutable_vector()->Assign(vector.begin(), vector.end());
    insert.set_idempotency_key("key");
    REQUIRE(wire::encode(wire::InsertRequest{name, id, vector, "key"}) == insert.SerializeAsString());

    pb::VectorSearchRequest search;
    search.set_namespace_(name);
    search.mutable_query()->Assign(vector.begin(), vector.end());
    search.set_k(static_cast<std::uint32_t>(random()));
    search.set_include_vectors(random() % 2 == 0);
    search.set_consistency("strong");
    REQUIRE(wire::encode(wire::SearchRequest{name, vector, search.k(), search.include_vectors()}) +
                wire::encode_consistency("strong", wire::Method::vector_search) ==
            search.SerializeAsString());
  }
}

TEST_CASE("The replies to creating, dropping and removing give their flag") {
  const std::string yes = from_hex("08 01");
  CHECK(wire::decode_index_created(yes).value().created);
  CHECK(wire::decode_index_dropped(yes).value().dropped);
  CHECK(wire::decode_vector_removed(yes).value().removed);
  CHECK_FALSE(wire::decode_index_created("").value().created);
  CHECK_FALSE(wire::decode_index_dropped("").value().dropped);
  CHECK_FALSE(wire::decode_vector_removed("").value().removed);
  CHECK_FALSE(wire::decode_vector_removed(from_hex("08 00")).value().removed);
}

TEST_CASE("A reply to creating an index may have a meta map") {
  CHECK(wire::decode_index_created(from_hex("08 01  12 06 0a 01 61 12 01 62")).value().created);
  CHECK_FALSE(wire::decode_index_created(from_hex("12 06 0a 01 61 12 01 62")).value().created);
}

TEST_CASE("A reply of another kind is an error, not a no") {
  const std::string other = from_hex("0a 02 10 07");
  CHECK(error_of(wire::decode_index_created(other)) == "CreateVectorIndexResponse holds neither a yes nor a no");
  CHECK(error_of(wire::decode_index_dropped(other)) == "DropVectorIndexResponse holds neither a yes nor a no");
  CHECK(error_of(wire::decode_vector_removed(other)) == "VectorDeleteResponse holds neither a yes nor a no");
}

TEST_CASE("The reply to an insert gives its flag and version") {
  const auto inserted = wire::decode_inserted(from_hex("08 01  12 05 08 01 10 9601"));
  REQUIRE(inserted);
  CHECK(inserted->inserted);
  CHECK(inserted->version == Version{1, 150});
}

TEST_CASE("A reply to an insert without version is an error") {
  CHECK(error_of(wire::decode_inserted("")) == "VectorInsertResponse lacks its version");
  CHECK(error_of(wire::decode_inserted(from_hex("08 01"))) == "VectorInsertResponse lacks its version");
}

TEST_CASE("The reply to a search gives its matches in order") {
  const auto found =
      wire::decode_matches(from_hex("0a 0e 0a 01 69 15 0000003f 1a 04 0000803f  0a 08 0a 01 6a 15 0000803f  10 ac02"));
  REQUIRE(found);
  CHECK(found->search_time == 300us);
  REQUIRE(found->matches.size() == 2);
  CHECK(found->matches[0].id == "i");
  CHECK(found->matches[0].distance == 0.5f);
  CHECK(found->matches[0].vector == std::vector<float>{1.0f});
  CHECK(found->matches[1].id == "j");
  CHECK(found->matches[1].vector.empty());
}

TEST_CASE("A search without matches is a success") {
  CHECK(wire::decode_matches("").value().matches.empty());
  CHECK(wire::decode_matches(from_hex("10 05")).value().search_time == 5us);
}

TEST_CASE("A reply of another kind is an error, not an empty search") {
  CHECK(error_of(wire::decode_matches(from_hex("08 01"))) ==
        "VectorSearchResponse holds neither matches nor an empty result");
}

TEST_CASE("A match without an id is an error") {
  CHECK(error_of(wire::decode_matches(from_hex("0a 05 15 0000003f"))) ==
        "VectorSearchResponse has a match without an id");
}

TEST_CASE("The longest search time does not overflow") {
  CHECK(wire::decode_matches(from_hex("10 ffffffffffffffffff01")).value().search_time == max_duration);
}

TEST_CASE("The reply to a get of a vector gives the vector, packed or not") {
  CHECK(wire::decode_vector(from_hex("0a 08 0000803f 000000c0  10 01")).value() == std::vector{1.0f, -2.0f});
  CHECK(wire::decode_vector(from_hex("0d 0000803f  0d 000000c0  10 01")).value() == std::vector{1.0f, -2.0f});
}

TEST_CASE("A vector that was not found is a success without one") {
  CHECK(wire::decode_vector("").value() == std::nullopt);
  CHECK(wire::decode_vector(from_hex("10 00")).value() == std::nullopt);
}

TEST_CASE("A reply to a get of a vector that contradicts itself is an error") {
  CHECK(error_of(wire::decode_vector(from_hex("10 01"))) == "VectorGetResponse lacks the vector it found");
  CHECK(error_of(wire::decode_vector(from_hex("0a 04 0000803f"))) == "VectorGetResponse has a vector it did not find");
  CHECK(error_of(wire::decode_vector(from_hex("18 01"))) ==
        "VectorGetResponse holds neither a vector nor a missing one");
}

TEST_CASE("The reply of Admin gives the shard and its replicas") {
  const auto shard = wire::decode_shard(from_hex("08 03  12 10 0a 0c 6e6f6465302d736861726433 10 01"));
  REQUIRE(shard);
  CHECK(shard->id == 3);
  REQUIRE(shard->replicas.size() == 1);
  CHECK(shard->replicas[0].node_id == "node0-shard3");
  CHECK(shard->replicas[0].leader);
}

TEST_CASE("A reply of Admin without replicas is an error") {
  CHECK(error_of(wire::decode_shard("")) == "ShardInfo lacks its replicas");
  CHECK(error_of(wire::decode_shard(from_hex("08 03"))) == "ShardInfo lacks its replicas");
}

TEST_CASE("Bytes that are not protobuf are an error that names the message of Vector or Admin") {
  const std::string garbage = "<html>502 Bad Gateway</html>";
  CHECK(error_of(wire::decode_index_created(garbage)) == "CreateVectorIndexResponse does not parse");
  CHECK(error_of(wire::decode_index_dropped(garbage)) == "DropVectorIndexResponse does not parse");
  CHECK(error_of(wire::decode_inserted(garbage)) == "VectorInsertResponse does not parse");
  CHECK(error_of(wire::decode_vector_removed(garbage)) == "VectorDeleteResponse does not parse");
  CHECK(error_of(wire::decode_matches(garbage)) == "VectorSearchResponse does not parse");
  CHECK(error_of(wire::decode_vector(garbage)) == "VectorGetResponse does not parse");
  CHECK(error_of(wire::decode_shard(garbage)) == "ShardInfo does not parse");
}

TEST_CASE("Random bytes never crash a decoder of vectors and never read as a missing one") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 100'000; ++round) {
    std::string bytes(1 + random() % 12, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    INFO("bytes " << to_hex(bytes));
    static_cast<void>(wire::decode_index_created(bytes));
    static_cast<void>(wire::decode_inserted(bytes));
    static_cast<void>(wire::decode_matches(bytes));
    static_cast<void>(wire::decode_shard(bytes));
    const auto found = wire::decode_vector(bytes);
    // An empty packed field, and a flag that says no, are all that may stand there.
    if (found && !*found) REQUIRE((bytes.front() == '\x0a' || bytes.front() == '\x10'));
  }
}
