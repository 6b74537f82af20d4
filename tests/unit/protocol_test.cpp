// Checks proto/norikv.proto itself: against a list of the protocol's fields and calls, and by bytes written by hand.
#include <fstream>
#include <set>
#include <string>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include "norikv.pb.h"
#include "support/bytes.hpp"
#include "support/catch.hpp"

using namespace norikv;
using norikv::tests::from_hex;
using norikv::tests::read_data;
using norikv::tests::to_hex;

namespace pb = norikv::v1;
namespace protobuf = google::protobuf;

namespace {

std::string type_of(const protobuf::FieldDescriptor& field) {
  if (field.is_map()) {
    return "map<" + type_of(*field.message_type()->field(0)) + "," + type_of(*field.message_type()->field(1)) + ">";
  }
  std::string type = field.type_name();
  if (field.message_type() != nullptr) type = field.message_type()->name();
  if (field.enum_type() != nullptr) type = field.enum_type()->name();
  return field.is_repeated() ? "repeated " + type : type;
}

/// Everything that proto/norikv.proto defines, as lines like those of tests/data/protocol.txt.
std::set<std::string> defined() {
  std::ifstream input(NORIKV_DESCRIPTORS, std::ios::binary);
  protobuf::FileDescriptorSet files;
  if (!files.ParseFromIstream(&input) || files.file_size() != 1) return {};
  protobuf::DescriptorPool pool;
  const protobuf::FileDescriptor* file = pool.BuildFile(files.file(0));
  if (file == nullptr || file->package() != "norikv.v1") return {};

  std::set<std::string> lines;
  for (int m = 0; m < file->message_type_count(); ++m) {
    const protobuf::Descriptor& message = *file->message_type(m);
    for (int f = 0; f < message.field_count(); ++f) {
      const protobuf::FieldDescriptor& field = *message.field(f);
      lines.insert("field " + message.name() + " " + std::to_string(field.number()) + " " + type_of(field) + " " +
                   field.name());
    }
  }
  for (int e = 0; e < file->enum_type_count(); ++e) {
    const protobuf::EnumDescriptor& type = *file->enum_type(e);
    for (int v = 0; v < type.value_count(); ++v) {
      lines.insert("value " + type.name() + " " + std::to_string(type.value(v)->number()) + " " +
                   type.value(v)->name());
    }
  }
  for (int s = 0; s < file->service_count(); ++s) {
    const protobuf::ServiceDescriptor& service = *file->service(s);
    for (int c = 0; c < service.method_count(); ++c) {
      const protobuf::MethodDescriptor& call = *service.method(c);
      lines.insert("call " + service.name() + " " + call.name() + " " + (call.client_streaming() ? "stream " : "") +
                   call.input_type()->name() + " " + (call.server_streaming() ? "stream " : "") +
                   call.output_type()->name());
    }
  }
  return lines;
}

/// A message must have these bytes, and these bytes must parse to a message that has them again.
template <class Message>
void check_bytes(const Message& message, const char* hex) {
  const std::string bytes = from_hex(hex);
  CHECK(to_hex(message.SerializeAsString()) == to_hex(bytes));
  Message parsed;
  REQUIRE(parsed.ParseFromString(bytes));
  CHECK(to_hex(parsed.SerializeAsString()) == to_hex(bytes));
}

void set(pb::Version* version) {
  version->set_term(1);
  version->set_index(150);
}

}  // namespace

TEST_CASE("The proto defines the protocol's messages, enums and calls, and nothing else") {
  std::set<std::string> wanted;
  for (const auto& words : read_data("protocol.txt")) {
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
    wanted.insert(line);
  }
  REQUIRE(wanted.size() == 83);
  CHECK(defined() == wanted);
}

TEST_CASE("The messages of Kv have the protocol's bytes") {
  pb::PutRequest put;
  put.set_key("k");
  put.set_value("v");
  put.set_ttl_ms(300);
  put.set_idempotency_key("id");
  set(put.mutable_if_match());
  check_bytes(put, "0a 01 6b  12 01 76  18 ac02  22 02 6964  2a 05 08 01 10 9601");

  pb::PutResponse put_reply;
  set(put_reply.mutable_version());
  (*put_reply.mutable_meta())["a"] = "b";
  check_bytes(put_reply, "0a 05 08 01 10 9601  12 06 0a 01 61 12 01 62");

  pb::GetRequest get;
  get.set_key("k");
  get.set_consistency("strong");
  check_bytes(get, "0a 01 6b  12 06 7374726f6e67");

  pb::GetResponse get_reply;
  get_reply.set_value("v");
  set(get_reply.mutable_version());
  (*get_reply.mutable_meta())["a"] = "b";
  check_bytes(get_reply, "0a 01 76  12 05 08 01 10 9601  1a 06 0a 01 61 12 01 62");

  pb::DeleteRequest remove;
  remove.set_key("k");
  remove.set_idempotency_key("id");
  set(remove.mutable_if_match());
  check_bytes(remove, "0a 01 6b  12 02 6964  1a 05 08 01 10 9601");

  pb::DeleteResponse remove_reply;
  remove_reply.set_tombstoned(true);
  set(remove_reply.mutable_version());
  check_bytes(remove_reply, "08 01  12 05 08 01 10 9601");
}

TEST_CASE("The messages of Meta and Admin have the protocol's bytes") {
  pb::ClusterView view;
  view.set_epoch(300);
  pb::ClusterNode& node = *view.add_nodes();
  node.set_id("n");
  node.set_addr("a:1");
  node.set_role("u");
  pb::ShardInfo& shard = *view.add_shards();
  shard.set_id(3);
  pb::ShardReplica& replica = *shard.add_replicas();
  replica.set_node_id("n");
  replica.set_leader(true);
  check_bytes(view, "08 ac02  12 0b 0a 01 6e 12 03 613a31 1a 01 75  1a 09 08 03 12 05 0a 01 6e 10 01");
  check_bytes(shard, "08 03  12 05 0a 01 6e 10 01");
}

TEST_CASE("The messages that make and drop a vector index have the protocol's bytes") {
  pb::CreateVectorIndexRequest create;
  create.set_namespace_("ns");
  create.set_dimensions(300);
  create.set_distance(pb::DISTANCE_FUNCTION_INNER_PRODUCT);
  create.set_index_type(pb::VECTOR_INDEX_TYPE_HNSW);
  create.set_idempotency_key("id");
  check_bytes(create, "0a 02 6e73  10 ac02  18 03  20 02  2a 02 6964");

  pb::CreateVectorIndexResponse created;
  created.set_created(true);
  (*created.mutable_meta())["a"] = "b";
  check_bytes(created, "08 01  12 06 0a 01 61 12 01 62");

  pb::DropVectorIndexRequest drop;
  drop.set_namespace_("ns");
  drop.set_idempotency_key("id");
  check_bytes(drop, "0a 02 6e73  12 02 6964");

  pb::DropVectorIndexResponse dropped;
  dropped.set_dropped(true);
  check_bytes(dropped, "08 01");
}

TEST_CASE("The messages that insert and delete a vector have the protocol's bytes") {
  pb::VectorInsertRequest insert;
  insert.set_namespace_("ns");
  insert.set_id("i");
  insert.add_vector(1.0f);
  insert.add_vector(-2.0f);
  insert.set_idempotency_key("id");
  check_bytes(insert, "0a 02 6e73  12 01 69  1a 08 0000803f 000000c0  22 02 6964");

  pb::VectorInsertResponse inserted;
  inserted.set_inserted(true);
  set(inserted.mutable_version());
  check_bytes(inserted, "08 01  12 05 08 01 10 9601");

  pb::VectorDeleteRequest remove;
  remove.set_namespace_("ns");
  remove.set_id("i");
  remove.set_idempotency_key("id");
  check_bytes(remove, "0a 02 6e73  12 01 69  1a 02 6964");

  pb::VectorDeleteResponse deleted;
  deleted.set_deleted(true);
  check_bytes(deleted, "08 01");
}

TEST_CASE("The messages that find vectors have the protocol's bytes") {
  pb::VectorSearchRequest search;
  search.set_namespace_("ns");
  search.add_query(1.0f);
  search.set_k(5);
  search.set_include_vectors(true);
  search.set_consistency("s");
  check_bytes(search, "0a 02 6e73  12 04 0000803f  18 05  20 01  2a 01 73");

  pb::VectorSearchResponse matches;
  pb::VectorMatch& match = *matches.add_matches();
  match.set_id("i");
  match.set_distance(0.5f);
  match.add_vector(1.0f);
  matches.set_search_time_us(300);
  check_bytes(matches, "0a 0e 0a 01 69 15 0000003f 1a 04 0000803f  10 ac02");

  pb::VectorGetRequest get;
  get.set_namespace_("ns");
  get.set_id("i");
  get.set_consistency("s");
  check_bytes(get, "0a 02 6e73  12 01 69  1a 01 73");

  pb::VectorGetResponse found;
  found.add_vector(1.0f);
  found.set_found(true);
  check_bytes(found, "0a 04 0000803f  10 01");
}
