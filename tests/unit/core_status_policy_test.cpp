#include "core/status_policy.hpp"

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;
using namespace std::chrono_literals;

namespace {

Reply reply(int status, std::string message, Sent sent = Sent::unknown) {
  Reply made;
  made.status = status;
  made.message = std::move(message);
  made.sent = sent;
  return made;
}

struct Row {
  const char* from;  ///< Where the text comes from.
  int status;
  const char* text;
  Failure failure;
  ErrorCode code;
  bool unknown;   ///< For a write.
  bool answered;  ///< The server itself spoke.
};

// Every text of the server, and every shape of other servers that a client has to survive.
const Row rows[] = {
    {"put, get, delete: no leader here", 14, "NOT_LEADER", Failure::not_leader, ErrorCode::not_leader, false, true},
    {"compare-and-swap", 14, "NOT_LEADER: CAS requires leader", Failure::not_leader, ErrorCode::not_leader, false,
     true},
    {"strong read", 14, "NOT_LEADER: strong consistency requires leader", Failure::not_leader, ErrorCode::not_leader,
     false, true},
    {"vector service", 9, "Not leader", Failure::not_leader, ErrorCode::not_leader, false, true},
    {"other servers", 9, "NOT_LEADER node1", Failure::not_leader, ErrorCode::not_leader, false, true},
    {"put, sizes", 3, "Key size 1025 exceeds limit 1024", Failure::permanent, ErrorCode::invalid_argument, false, true},
    {"put, sizes", 3, "Value size 1048577 exceeds limit 1048576", Failure::permanent, ErrorCode::invalid_argument,
     false, true},
    {"message limit", 11, "Error, message length too large: found 5242890 bytes, the limit is: 4194304 bytes",
     Failure::permanent, ErrorCode::out_of_range, false, true},
    {"get, level", 3, "Unknown consistency level: lease", Failure::unknown_level, ErrorCode::invalid_argument, false,
     true},
    {"compare-and-swap", 9, "Version mismatch: expected term=7 index=9, got term=0 index=3", Failure::permanent,
     ErrorCode::precondition_failed, false, true},
    {"compare-and-swap", 9, "CAS failed: key does not exist", Failure::permanent, ErrorCode::precondition_failed, false,
     true},
    {"admin", 9, "Shard 3 is not leader on this node. Leader: None", Failure::permanent, ErrorCode::precondition_failed,
     false, true},
    {"compare-and-swap", 13, "Failed to check current version: Timeout", Failure::unavailable, ErrorCode::server_error,
     false, true},
    {"put", 13, "Put failed: CommitTimeout { elapsed_ms: 5003 }", Failure::ambiguous, ErrorCode::server_error, true,
     true},
    {"put", 13, "Put failed: Io(\"disk\")", Failure::ambiguous, ErrorCode::server_error, true, true},
    {"delete", 13, "Delete failed: CommitTimeout { elapsed_ms: 5003 }", Failure::ambiguous, ErrorCode::server_error,
     true, true},
    {"get", 13, "Get failed: Internal { reason: \"Timeout waiting for state machine to apply\" }", Failure::ambiguous,
     ErrorCode::server_error, true, true},
    {"server's timer", 1, "Timeout expired", Failure::ambiguous, ErrorCode::deadline_exceeded, true, false},
    {"cancelled by a proxy", 1, "CANCELLED", Failure::ambiguous, ErrorCode::unavailable, true, false},
    {"our timer", 4, "Deadline Exceeded", Failure::ambiguous, ErrorCode::deadline_exceeded, true, false},
    {"connection", 14, "Socket closed", Failure::ambiguous, ErrorCode::unavailable, true, false},
    {"connection", 14, "", Failure::ambiguous, ErrorCode::unavailable, true, false},
    {"a text with the word inside", 14, "proxy says NOT_LEADER", Failure::ambiguous, ErrorCode::unavailable, true,
     false},
    {"unimplemented", 12, "", Failure::permanent, ErrorCode::not_supported, false, true},
    {"compression", 12, "Content is compressed with `gzip` which isn't supported", Failure::permanent,
     ErrorCode::not_supported, false, true},
    {"other servers", 8, "too many requests", Failure::throttled, ErrorCode::throttled, true, true},
    {"other servers", 7, "no", Failure::permanent, ErrorCode::permission_denied, false, true},
    {"other servers", 16, "who", Failure::permanent, ErrorCode::unauthenticated, false, true},
    {"other servers", 6, "there", Failure::permanent, ErrorCode::already_exists, true, true},
    {"other servers", 10, "aborted", Failure::permanent, ErrorCode::aborted, true, true},
    {"other servers", 15, "lost", Failure::permanent, ErrorCode::data_loss, true, true},
    {"other servers", 2, "what", Failure::permanent, ErrorCode::unknown, true, true},
    {"a number that is no status", 77, "", Failure::permanent, ErrorCode::unknown, true, true},
    {"a number that is no status", -1, "", Failure::permanent, ErrorCode::unknown, true, true},
};

}  // namespace

TEST_CASE("Every text of the server means what the table says, for a write") {
  for (const Row& row : rows) {
    INFO(row.from << ": " << row.status << " " << row.text);
    const Verdict verdict = classify(reply(row.status, row.text), Effect::write);
    CHECK(verdict.failure == row.failure);
    CHECK(verdict.code == row.code);
    CHECK(verdict.applied_unknown == row.unknown);
    CHECK(verdict.node_answered == row.answered);
    CHECK(verdict.detail == row.text);
  }
}

TEST_CASE("The same texts mean the same for a read, which leaves nothing behind") {
  for (const Row& row : rows) {
    INFO(row.from << ": " << row.status << " " << row.text);
    const Verdict verdict = classify(reply(row.status, row.text), Effect::read);
    CHECK(verdict.failure == row.failure);
    CHECK(verdict.code == row.code);
    CHECK_FALSE(verdict.applied_unknown);
  }
}

TEST_CASE("NOT_FOUND is a missing key for a read, and an unknown outcome for a write") {
  const Verdict read = classify(reply(5, "no such key"), Effect::read);
  CHECK(read.failure == Failure::missing);
  CHECK(read.node_answered);
  const Verdict write = classify(reply(5, "no such key"), Effect::write);
  CHECK(write.failure == Failure::permanent);
  CHECK(write.code == ErrorCode::not_found);
  CHECK(write.applied_unknown);
}

TEST_CASE("What was not processed can be tried again, whatever the status says") {
  for (const Sent sent : {Sent::not_sent, Sent::refused_unprocessed}) {
    for (const int status : {1, 2, 4, 8, 13, 14}) {
      INFO(status);
      const Verdict verdict = classify(reply(status, "NOT_LEADER", sent), Effect::write);
      CHECK(verdict.failure == Failure::unavailable);
      CHECK(verdict.code == (status == 4 ? ErrorCode::deadline_exceeded : ErrorCode::unavailable));
      CHECK_FALSE(verdict.applied_unknown);
      CHECK_FALSE(verdict.node_answered);
    }
  }
}

TEST_CASE("A pause that the server asks for is read from the metadata, within bounds") {
  const auto pause = [](std::string value) {
    Reply busy = reply(8, "busy");
    busy.metadata = {{"leader-hint", "a:1"}, {"grpc-retry-pushback-ms", std::move(value)}};
    return classify(busy, Effect::read).pause;
  };
  CHECK(pause("0") == 0ms);
  CHECK(pause("1500") == 1500ms);
  CHECK(pause("9223372036854775807") == max_pushback);
  CHECK(pause("-1") == max_pushback);
  for (const char* garbage : {"", "x", "12x", "9223372036854775808", " 5"}) CHECK(pause(garbage) == 0ms);
  CHECK(classify(reply(8, "busy"), Effect::read).pause == 0ms);
}

TEST_CASE("A malformed reply is the protocol's error, and a write may have been applied") {
  CHECK(malformed("garbage", Effect::read).code == ErrorCode::protocol);
  CHECK_FALSE(malformed("garbage", Effect::read).applied_unknown);
  CHECK(malformed("garbage", Effect::write).applied_unknown);
  CHECK(malformed("garbage", Effect::write).failure == Failure::permanent);
}

TEST_CASE("A mismatch gives both versions") {
  const auto mismatch = parse_version_mismatch("Version mismatch: expected term=7 index=9, got term=1 index=3");
  REQUIRE(mismatch);
  CHECK(mismatch->expected == Version{7, 9});
  CHECK(mismatch->actual == Version{1, 3});
}

TEST_CASE("A mismatch of the largest versions is read exactly") {
  const auto mismatch = parse_version_mismatch(
      "Version mismatch: expected term=0 index=18446744073709551615, got term=18446744073709551615 index=0");
  REQUIRE(mismatch);
  CHECK(mismatch->expected == Version{0, UINT64_MAX});
  CHECK(mismatch->actual == Version{UINT64_MAX, 0});
}

TEST_CASE("A mismatch that can't be read is a mismatch without versions") {
  for (const char* text :
       {"Version mismatch", "Version mismatch: expected term=1 index=2", "Version mismatch: expected term=-1 index=2",
        "Version mismatch: expected term=1 index=2, got term=3 index=", "Version mismatch: = = = =",
        "Version mismatch: expected term=18446744073709551616 index=0, got term=0 index=0",
        "Version mismatch: expected term=x index=y, got term=z index=w"}) {
    INFO(text);
    CHECK_FALSE(parse_version_mismatch(text));
    const Verdict verdict = classify(reply(9, text), Effect::write);
    CHECK(verdict.code == ErrorCode::precondition_failed);
    CHECK_FALSE(verdict.mismatch);
  }
}

TEST_CASE("The transport passes on the metadata that the session asks about, and nothing else") {
  CHECK(wanted_metadata("leader-hint"));
  CHECK(wanted_metadata("x-norikv-leader"));
  CHECK(wanted_metadata("grpc-retry-pushback-ms"));
  CHECK_FALSE(wanted_metadata("content-length"));
  CHECK_FALSE(wanted_metadata(""));
}
