#include <norikv/error.hpp>

#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace norikv;
using namespace std::chrono_literals;

namespace {

constexpr int last_code = static_cast<int>(ErrorCode::unknown);

Error make(ErrorCode code, std::string message = {}) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  return error;
}

}  // namespace

TEST_CASE("Error codes keep their numbers and names") {
  const std::vector<std::string> names = {"invalid_argument",  "closed",          "cancelled",    "deadline_exceeded",
                                          "overloaded",        "unavailable",     "not_leader",   "precondition_failed",
                                          "protocol",          "not_supported",   "server_error", "throttled",
                                          "permission_denied", "unauthenticated", "not_found",    "already_exists",
                                          "out_of_range",      "aborted",         "data_loss",    "unknown"};
  REQUIRE(names.size() == last_code);
  for (int code = 1; code <= last_code; ++code) {
    CHECK(to_string(static_cast<ErrorCode>(code)) == names[static_cast<std::size_t>(code - 1)]);
  }
}

TEST_CASE("Every error code has a meaning of its own") {
  std::set<std::string> meanings;
  for (int code = 1; code <= last_code; ++code) meanings.insert(error_category().message(code));
  CHECK(meanings.size() == last_code);
}

TEST_CASE("A number that is no error code is named so and never crashes") {
  for (const int code : {0, -1, last_code + 1, 1'000'000}) {
    CHECK(to_string(static_cast<ErrorCode>(code)) == "invalid_code");
    CHECK(error_category().message(code) == "not an error code of norikv");
    CHECK(make(static_cast<ErrorCode>(code)).advice() == Advice::do_not_retry);
  }
}

TEST_CASE("An error code is a std::error_code of the category norikv") {
  const std::error_code code = ErrorCode::not_leader;
  CHECK(std::string(code.category().name()) == "norikv");
  CHECK(code.value() == 7);
  CHECK(code == ErrorCode::not_leader);
  CHECK(code != ErrorCode::closed);
  CHECK(code.message() == "no node said that it leads the shard");
}

TEST_CASE("An error code equals the standard condition of the same meaning") {
  CHECK(make_error_code(ErrorCode::deadline_exceeded) == std::errc::timed_out);
  CHECK(make_error_code(ErrorCode::cancelled) == std::errc::operation_canceled);
  CHECK(make_error_code(ErrorCode::invalid_argument) == std::errc::invalid_argument);
  CHECK(make_error_code(ErrorCode::permission_denied) == std::errc::permission_denied);
  CHECK(make_error_code(ErrorCode::not_supported) == std::errc::not_supported);
  CHECK(make_error_code(ErrorCode::protocol) == std::errc::protocol_error);
  CHECK(make_error_code(ErrorCode::unavailable) != std::errc::timed_out);
}

TEST_CASE("Only what can succeed later is advised to be tried later") {
  const std::set<ErrorCode> later = {ErrorCode::deadline_exceeded, ErrorCode::overloaded, ErrorCode::unavailable,
                                     ErrorCode::not_leader,        ErrorCode::throttled,  ErrorCode::server_error,
                                     ErrorCode::aborted,           ErrorCode::unknown};
  for (int number = 1; number <= last_code; ++number) {
    const auto code = static_cast<ErrorCode>(number);
    if (code == ErrorCode::precondition_failed) continue;
    INFO(to_string(code));
    CHECK(make(code).advice() == (later.count(code) != 0 ? Advice::retry_later : Advice::do_not_retry));
  }
}

TEST_CASE("A failed precondition may be tried again at once, unless the write may have been applied") {
  Error error = make(ErrorCode::precondition_failed);
  CHECK(error.advice() == Advice::retry_now);
  error.maybe_applied = true;
  CHECK(error.advice() == Advice::retry_later);
}

TEST_CASE("A plain error is described by its code and message") {
  CHECK(make(ErrorCode::overloaded, "4096 operations are in flight, the limit").describe() ==
        "overloaded: 4096 operations are in flight, the limit");
}

TEST_CASE("An error without a message is described by its code's meaning") {
  CHECK(make(ErrorCode::throttled).describe() == "throttled: the server is out of some resource");
}

TEST_CASE("A failed write is described with place, outcome and attempts") {
  Error error = make(ErrorCode::deadline_exceeded, "no answer within 5 s");
  error.node = "127.0.0.1:7448";
  error.shard = 3;
  error.maybe_applied = true;
  error.phase = Phase::sent;
  error.attempts = {{"127.0.0.1:7447", ErrorCode::not_leader, "NOT_LEADER", 1200us},
                    {"127.0.0.1:7448", ErrorCode::deadline_exceeded, "", 4990ms}};
  error.attempts_made = 2;
  CHECK(error.describe() ==
        "deadline_exceeded: no answer within 5 s; while an attempt was on the wire; node 127.0.0.1:7448; shard 3; "
        "the write may have been applied; 2 attempts: 127.0.0.1:7447 not_leader \"NOT_LEADER\" in 1.2 ms, "
        "127.0.0.1:7448 deadline_exceeded in 4.99 s");
}

TEST_CASE("Equal attempts in a row are described once") {
  Error error = make(ErrorCode::not_leader, "no node leads the shard");
  for (int attempt = 0; attempt < 16; ++attempt) {
    error.attempts.push_back({"n:1", ErrorCode::not_leader, "NOT_LEADER", 250us});
  }
  error.attempts_made = 40;
  CHECK(error.describe() ==
        "not_leader: no node leads the shard; 40 attempts (16 of them listed): n:1 not_leader \"NOT_LEADER\" 16 times "
        "in 4 ms");
}

TEST_CASE("A version mismatch is described with both versions") {
  Error error = make(ErrorCode::precondition_failed, "the key has another version");
  error.mismatch = VersionMismatch{{7, 9}, Version{0, 3}};
  CHECK(error.describe() == "precondition_failed: the key has another version; expected version 7:9, found 0:3");
  error.mismatch = VersionMismatch{{7, 9}, std::nullopt};
  CHECK(error.describe() ==
        "precondition_failed: the key has another version; expected version 7:9, the key is not there");
}

TEST_CASE("Where an operation stood when its time ran out is described") {
  Error error = make(ErrorCode::deadline_exceeded, "out of time");
  error.phase = Phase::queued;
  CHECK(error.describe() == "deadline_exceeded: out of time; while it was queued");
  error.phase = Phase::awaiting_leader;
  CHECK(error.describe() == "deadline_exceeded: out of time; while its shard had no known leader");
  error.phase = Phase::backing_off;
  CHECK(error.describe() == "deadline_exceeded: out of time; between two attempts");
}

TEST_CASE("A description is one line whatever the server said") {
  Error error = make(ErrorCode::server_error, "first\nsecond\r\n");
  error.node = "no\nde";
  error.attempts = {{"a\nb", ErrorCode::server_error, "x\ny", 1ms}};
  error.attempts_made = 1;
  const std::string line = error.describe();
  CHECK(line.find_first_of("\r\n") == std::string::npos);
  CHECK(line == "server_error: first second  ; node no de; 1 attempt: a b server_error \"x y\" in 1 ms");
}

TEST_CASE("Phases and advices have names") {
  CHECK(to_string(Phase::queued) == "queued");
  CHECK(to_string(Phase::awaiting_leader) == "awaiting_leader");
  CHECK(to_string(Phase::backing_off) == "backing_off");
  CHECK(to_string(Phase::sent) == "sent");
  CHECK(to_string(Advice::do_not_retry) == "do_not_retry");
  CHECK(to_string(Advice::retry_now) == "retry_now");
  CHECK(to_string(Advice::retry_later) == "retry_later");
}
