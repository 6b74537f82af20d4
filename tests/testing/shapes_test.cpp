// The shapes of answers in which other servers differ from the real one.
#include "support/catch.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;

namespace {

struct Told {
  int code = 0;
  std::string initial;
  std::string trailing;
};

/// What a node that does not lead the key's shard says, and where it says who does.
Told ask_follower(Fixture& on, const std::string& key, const std::string& hint_key) {
  const std::uint32_t leader = on.cluster.leader(shard_of(key, on.cluster.config().total_shards)).value();
  grpc::ClientContext context;
  v1::GetRequest request;
  request.set_key(key);
  v1::GetResponse response;
  Told told;
  told.code = on.node((leader + 1) % 3).kv->Get(&context, request, &response).error_code();
  const auto found = [&](const std::multimap<grpc::string_ref, grpc::string_ref>& block) {
    const auto hint = block.find(hint_key);
    return hint == block.end() ? std::string() : std::string(hint->second.data(), hint->second.size());
  };
  told.initial = found(context.GetServerInitialMetadata());
  told.trailing = found(context.GetServerTrailingMetadata());
  return told;
}

}  // namespace

TEST_CASE("Leader hints come under either key, in either block") {
  ClusterConfig config = replicated();
  const bool other_key = GENERATE(false, true);
  const bool initial = GENERATE(false, true);
  if (other_key) config.shapes.hint_key = AnswerShapes::HintKey::x_norikv_leader;
  if (initial) config.shapes.hint_block = AnswerShapes::HintBlock::initial;
  Fixture on(config);
  const std::string key = on.key_of(1);
  const Told told = ask_follower(on, key, other_key ? "x-norikv-leader" : "leader-hint");
  CHECK(told.code == grpc::UNAVAILABLE);
  CHECK((initial ? told.initial : told.trailing) == on.cluster.addresses()[1]);
  CHECK((initial ? told.trailing : told.initial).empty());
}

TEST_CASE("Leader hints may name a replica, also after the leader has moved") {
  ClusterConfig config = replicated();
  config.shapes.hint_form = AnswerShapes::HintForm::replica_id;
  Fixture on(config);
  const std::string key = on.key_of(1);
  CHECK(ask_follower(on, key, "leader-hint").trailing == "node1-shard1");
  REQUIRE(on.cluster.move_leader(1, 2));
  CHECK(ask_follower(on, key, "leader-hint").trailing == "node2-shard1");
}

TEST_CASE("NOT_LEADER may be a failed precondition, and is counted all the same") {
  ClusterConfig config;
  config.shapes.not_leader = AnswerShapes::NotLeader::failed_precondition;
  config.election = 1h;
  Fixture on(config);
  const auto reply = on.node().get(on.key_of(1));
  CHECK(reply.code == grpc::FAILED_PRECONDITION);
  CHECK(reply.text == "NOT_LEADER");
  CHECK(on.cluster.counters().not_leader == 1);
}

TEST_CASE("A missing key may be NOT_FOUND, and one that is there is OK") {
  ClusterConfig config = instant();
  config.shapes.missing = AnswerShapes::MissingKey::not_found;
  Fixture on(config);
  CHECK(on.node().get("missing").code == grpc::NOT_FOUND);
  on.cluster.seed("empty", "");
  CHECK(on.node().get("empty").ok());
}

TEST_CASE("The condition of a remove may be enforced in profile norikv, and always is in profile replicated") {
  ClusterConfig config = instant();
  if (GENERATE(false, true)) {
    config.profile = Profile::replicated;
  } else {
    config.shapes.remove_condition = AnswerShapes::RemoveCondition::enforced;
  }
  Fixture on(config);
  const auto put = on.node().put("key", "v");
  v1::DeleteRequest request;
  request.set_key("key");
  *request.mutable_if_match() = put.body.version();
  request.mutable_if_match()->set_index(put.body.version().index() + 1);
  CHECK(on.node().remove(request).code == grpc::FAILED_PRECONDITION);
  CHECK(on.cluster.stored("key") == "v");
  *request.mutable_if_match() = put.body.version();
  CHECK(on.node().remove(request).ok());
  CHECK_FALSE(on.cluster.stored("key"));
  CHECK(on.node().remove(request).text == "CAS failed: key does not exist");
}

TEST_CASE("With the SDKs' consistency names the server's own are refused") {
  ClusterConfig config = instant();
  config.shapes.consistency_names = AnswerShapes::ConsistencyNames::sdk;
  Fixture on(config);
  for (const std::string name : {"", "lease", "linearizable", "stale_ok"}) CHECK(on.node().get("key", name).ok());
  for (const std::string name : {"strong", "eventual", "bounded_staleness"}) {
    const auto reply = on.node().get("key", name);
    CHECK(reply.code == grpc::INVALID_ARGUMENT);
    CHECK(reply.text == "Unknown consistency level: " + name);
  }
}

TEST_CASE("With the SDKs' consistency names a follower answers what may be stale") {
  ClusterConfig config = replicated();
  config.shapes.consistency_names = AnswerShapes::ConsistencyNames::sdk;
  Fixture on(config);
  const std::string key = on.key_of(0);
  CHECK(on.node(1).get(key, "stale_ok").ok());
  CHECK(is_not_leader(on.node(1).get(key, "lease")));
}
