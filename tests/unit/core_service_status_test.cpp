#include "core/status_policy.hpp"
#include "support/catch.hpp"

// What the services of vectors and administration say in ways of their own.
using namespace norikv;
using namespace norikv::core;
using wire::Method;

namespace {

Reply reply(int status, std::string text, Sent sent = Sent::unknown) {
  Reply answer;
  answer.status = status;
  answer.message = std::move(text);
  answer.sent = sent;
  return answer;
}

}  // namespace

TEST_CASE("Searches and gets read; everything else of the services counts as a write") {
  for (std::size_t number = 0; number < wire::method_count; ++number) {
    const auto method = static_cast<Method>(number);
    const bool reads = method == Method::get || method == Method::vector_search || method == Method::vector_get;
    INFO(wire::path(method));
    CHECK((effect_of(method) == Effect::read) == reads);
  }
}

TEST_CASE("A missing service is named, unless the server has words of its own") {
  CHECK(classify(reply(12, ""), Method::vector_get).detail == "the Vector service is not available on this server");
  CHECK(classify(reply(12, ""), Method::snapshot_shard).detail == "the Admin service is not available on this server");
  CHECK(classify(reply(12, ""), Method::put).detail.empty());
  CHECK(classify(reply(12, "not here"), Method::vector_get).detail == "not here");
  CHECK(classify(reply(12, ""), Method::vector_insert).code == ErrorCode::not_supported);
  CHECK_FALSE(classify(reply(12, ""), Method::vector_insert).applied_unknown);
}

TEST_CASE("What the storage of vectors does not take is the same the next time") {
  const Verdict read =
      classify(reply(13, "Failed to search: Internal error: Namespace not found"), Method::vector_search);
  CHECK(read.failure == Failure::permanent);
  CHECK(read.code == ErrorCode::server_error);
  const Verdict write = classify(reply(13, "Failed to insert vector: Internal error: whatever"), Method::vector_insert);
  CHECK(write.failure == Failure::permanent);
  CHECK(write.applied_unknown);
}

TEST_CASE("Time-outs of vectors are ambiguous, as those of keys are") {
  for (const char* text : {"Failed to insert vector: CommitTimeout { elapsed_ms: 5000 }",
                           "Failed to insert vector: Internal { reason: \"Timeout waiting\" }"}) {
    CHECK(classify(reply(13, text), Method::vector_insert).failure == Failure::ambiguous);
  }
  CHECK(classify(reply(13, "boom"), Method::vector_search).failure == Failure::ambiguous);
}

TEST_CASE("Reads of vectors that are not yet implemented are not supported") {
  const char* text = "Failed to get vector: Internal error: Vector get not yet implemented - requires LsmStateMachine";
  CHECK(classify(reply(13, text), Method::vector_get).code == ErrorCode::not_supported);
  CHECK(classify(reply(13, text), Method::vector_get).failure == Failure::permanent);
}

TEST_CASE("NOT_FOUND is a missing vector for a get alone") {
  CHECK(classify(reply(5, ""), Method::vector_get).failure == Failure::missing);
  CHECK(classify(reply(5, ""), Method::vector_search).failure == Failure::permanent);
  CHECK(classify(reply(5, ""), Method::vector_search).code == ErrorCode::not_found);
}

TEST_CASE("\"Not leader\" of vectors is not-leader, whatever its status") {
  CHECK(classify(reply(9, "Not leader"), Method::vector_insert).failure == Failure::not_leader);
  CHECK_FALSE(classify(reply(9, "Not leader"), Method::vector_insert).applied_unknown);
  CHECK(classify(reply(14, "NOT_LEADER: strong consistency requires leader"), Method::vector_get).failure ==
        Failure::not_leader);
}

TEST_CASE("A shard that is led elsewhere names its leader in the text") {
  const auto leader = [](const std::string& rest) {
    const Verdict verdict =
        classify(reply(9, "Shard 3 is not leader on this node. Leader: " + rest), Method::snapshot_shard);
    CHECK(verdict.failure == Failure::not_leader);
    CHECK(verdict.code == ErrorCode::not_leader);
    CHECK_FALSE(verdict.applied_unknown);
    return verdict.leader;
  };
  CHECK(leader("Some(NodeId(\"node1-shard3\"))") == "node1-shard3");
  CHECK(leader("None").empty());
  CHECK(leader("Some(NodeId(\"").empty());
  CHECK(leader("Some(NodeId(\"node1").substr(0, 5) == "node1");
  CHECK(leader("").empty());
}

TEST_CASE("A node that does not have the shard does not lead it") {
  const Verdict verdict = classify(reply(5, "Shard 3 not found: NotFound(3)"), Method::snapshot_shard);
  CHECK(verdict.failure == Failure::not_leader);
  CHECK(verdict.code == ErrorCode::not_found);
  CHECK_FALSE(verdict.applied_unknown);
}

TEST_CASE("A snapshot that failed may have been taken, and is not taken again") {
  const Verdict verdict = classify(reply(13, "Failed to create snapshot: disk full"), Method::snapshot_shard);
  CHECK(verdict.code == ErrorCode::server_error);
  CHECK(verdict.applied_unknown);
}

TEST_CASE("What was not sent is read the same for every service") {
  for (const Method method : {Method::put, Method::vector_insert, Method::snapshot_shard}) {
    const Verdict verdict = classify(reply(5, "Shard 3 not found", Sent::not_sent), method);
    CHECK(verdict.failure == Failure::unavailable);
    CHECK_FALSE(verdict.applied_unknown);
  }
}
