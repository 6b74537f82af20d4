#include "cli/failure.hpp"

#include <cerrno>
#include <string>
#include <utility>

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::cli;
using namespace std::chrono_literals;

namespace {

const Target target{{"127.0.0.1:7447"}, "the default", 1024, 5s};

Error error_of(ErrorCode code, std::vector<Attempt> attempts = {}) {
  Error error;
  error.code = code;
  error.message = "the client's own words";
  error.attempts_made = static_cast<std::uint32_t>(attempts.size());
  error.attempts = std::move(attempts);
  return error;
}

Failure failure_of(ErrorCode code, std::vector<Attempt> attempts = {}) {
  return client_failure(error_of(code, std::move(attempts)), target);
}

const Attempt refused{"127.0.0.1:7447", ErrorCode::unavailable, "connect: Connection refused", 1ms};
const Attempt unreachable{"127.0.0.1:7447", ErrorCode::unavailable, "No route to host", 1ms};
const Attempt not_leader{"127.0.0.1:7447", ErrorCode::not_leader, "NOT_LEADER", 1ms};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("every error code has its exit code") {
  CHECK(failure_of(ErrorCode::precondition_failed).exit_code == ExitCode::refused);
  CHECK(failure_of(ErrorCode::not_found).exit_code == ExitCode::refused);
  CHECK(failure_of(ErrorCode::invalid_argument).exit_code == ExitCode::usage);
  CHECK(failure_of(ErrorCode::unavailable).exit_code == ExitCode::unreachable);
  CHECK(failure_of(ErrorCode::deadline_exceeded).exit_code == ExitCode::unreachable);
  CHECK(failure_of(ErrorCode::not_leader).exit_code == ExitCode::unreachable);
  for (const ErrorCode code : {ErrorCode::closed, ErrorCode::overloaded, ErrorCode::protocol, ErrorCode::not_supported,
                               ErrorCode::server_error, ErrorCode::throttled, ErrorCode::permission_denied,
                               ErrorCode::data_loss, ErrorCode::unknown}) {
    CAPTURE(to_string(code));
    CHECK(failure_of(code).exit_code == ExitCode::other);
  }
}

TEST_CASE("when every connection was refused the user is told to start a server") {
  CHECK(
      to_line(failure_of(ErrorCode::deadline_exceeded, {refused, refused})) ==
      "norikv: nothing listens at 127.0.0.1:7447: start a server with `norikv serve`, or name its nodes with --nodes");
}

TEST_CASE("what TLS met is told in the names of the command's options") {
  const Attempt closed{
      "127.0.0.1:7447", ErrorCode::unavailable,
      "the server may want TLS, and ClientOptions::tls is not set; or TlsOptions::certificate has none", 1ms};
  const std::string line = to_line(failure_of(ErrorCode::unavailable, {closed}));
  CHECK(contains(line, "--tls is not set"));
  CHECK(contains(line, "--tls-cert has none"));
}

TEST_CASE("an attempt that was under way at the end does not hide why the others came to nothing") {
  const Attempt tls{"127.0.0.1:7447", ErrorCode::unavailable,
                    "the server's certificate was not signed by TlsOptions::ca", 1ms};
  const Attempt unanswered{"127.0.0.1:7447", ErrorCode::deadline_exceeded, "no answer yet", 1ms};
  const std::string line = to_line(failure_of(ErrorCode::deadline_exceeded, {tls, tls, unanswered}));
  CHECK(contains(line, "can't reach 127.0.0.1:7447 (the server's certificate was not signed by --tls-ca)"));
  CHECK(contains(to_line(failure_of(ErrorCode::deadline_exceeded, {refused, unanswered})), "nothing listens"));
  CHECK(contains(to_line(failure_of(ErrorCode::deadline_exceeded, {unanswered})), "no answer from"));
  CHECK(contains(to_line(failure_of(ErrorCode::deadline_exceeded, {tls, not_leader, unanswered})), "no answer from"));
}

TEST_CASE("when no connection could be made the user gets the system's words") {
  const std::string line = to_line(failure_of(ErrorCode::unavailable, {refused, unreachable}));
  CHECK(contains(line, "can't reach 127.0.0.1:7447 (No route to host)"));
}

TEST_CASE("a time-out names the time and who was silent") {
  Error error = error_of(ErrorCode::deadline_exceeded, {{"127.0.0.1:7447", ErrorCode::deadline_exceeded, "", 5s}});
  error.node = "127.0.0.1:7447";
  CHECK(contains(client_failure(error, target).message, "no answer from 127.0.0.1:7447 within 5s"));
}

TEST_CASE("a write that may have been applied says so") {
  Error error = error_of(ErrorCode::deadline_exceeded);
  error.maybe_applied = true;
  CHECK(contains(client_failure(error, target).message, "may have been applied"));
  CHECK_FALSE(contains(failure_of(ErrorCode::deadline_exceeded).message, "may have been applied"));
}

TEST_CASE("a shard without a leader points to --nodes and --shards") {
  Error error = error_of(ErrorCode::deadline_exceeded, {not_leader, not_leader});
  error.shard = 7;
  const std::string message = client_failure(error, target).message;
  CHECK(contains(message, "no node leads shard 7"));
  CHECK(contains(message, "1024 shards"));
}

TEST_CASE("a mismatch names both versions") {
  Error error = error_of(ErrorCode::precondition_failed);
  error.mismatch = VersionMismatch{{0, 5}, Version{0, 7}};
  CHECK(contains(client_failure(error, target).message, "the key has version 0:7, not 0:5"));
  error.mismatch->actual.reset();
  CHECK(contains(client_failure(error, target).message, "the key is not there"));
}

TEST_CASE("a mismatch without versions passes the server's words on") {
  CHECK(contains(failure_of(ErrorCode::precondition_failed).message,
                 "--if-version does not hold: the client's own words"));
}

TEST_CASE("a failure is one line, whatever the server said") {
  const Failure failure{ExitCode::other, "server_error", "one\ntwo\x1b[0m"};
  CHECK(to_line(failure) == "norikv: one two\\x1b[0m");
}

TEST_CASE("a failure in JSON has its name, message and exit code") {
  CHECK(to_json(usage_failure("no \"key\"")) == R"({"error":"usage","message":"no \"key\"","exit_code":2})");
}

TEST_CASE("the client's error in JSON has what machines decide by") {
  Error error = error_of(ErrorCode::precondition_failed, {not_leader});
  error.node = "127.0.0.1:7447";
  error.shard = 3;
  error.mismatch = VersionMismatch{{0, 5}, std::nullopt};
  const std::string json = to_json(client_failure(error, target));
  CHECK(contains(json, R"("error":"precondition_failed")"));
  CHECK(contains(json, R"("exit_code":1,"node":"127.0.0.1:7447","shard":3,"attempts":1,"maybe_applied":false)"));
  CHECK(contains(json, R"("expected":"0:5","actual":null})"));
}

TEST_CASE("a failed system call says what and why") {
  CHECK(system_failure("can't write to stdout", ENOSPC).message == "can't write to stdout: No space left on device");
}
