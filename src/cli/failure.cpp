#include "cli/failure.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/json.hpp"
#include "cli/parse.hpp"

namespace norikv::cli {
namespace {

ExitCode exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::precondition_failed:
    case ErrorCode::not_found:
      return ExitCode::refused;
    case ErrorCode::invalid_argument:
      return ExitCode::usage;
    case ErrorCode::unavailable:
    case ErrorCode::not_leader:
    case ErrorCode::deadline_exceeded:
      return ExitCode::unreachable;
    default:
      return ExitCode::other;
  }
}

bool all_attempts(const Error& error, ErrorCode outcome) {
  return !error.attempts.empty() &&
         std::all_of(error.attempts.begin(), error.attempts.end(),
                     [outcome](const Attempt& attempt) { return attempt.outcome == outcome; });
}

bool failed_to_connect(const Attempt& attempt) { return attempt.outcome == ErrorCode::unavailable; }

/// Whether no attempt that ended came further than to a connection that could not be made. What was still under way
/// when the time was over says nothing.
bool never_connected(const Error& error) {
  return !error.maybe_applied && std::any_of(error.attempts.begin(), error.attempts.end(), failed_to_connect) &&
         std::all_of(error.attempts.begin(), error.attempts.end(), [](const Attempt& attempt) {
           return failed_to_connect(attempt) || attempt.outcome == ErrorCode::deadline_exceeded;
         });
}

bool was_refused(const Attempt& attempt) { return attempt.detail.find("refused") != std::string::npos; }

std::string unreachable_message(Error error, const Target& target) {
  std::erase_if(error.attempts, [](const Attempt& attempt) { return !failed_to_connect(attempt); });
  if (std::all_of(error.attempts.begin(), error.attempts.end(), was_refused)) {
    return fmt::format("nothing listens at {}: start a server with `norikv serve`, or name its nodes with --nodes",
                       fmt::join(target.nodes, ", "));
  }
  return fmt::format("can't reach {} ({}): check the addresses ({}) and the network", fmt::join(target.nodes, ", "),
                     error.attempts.back().detail, target.nodes_source);
}

std::string timeout_message(const Error& error, const Target& target) {
  const std::string_view who = error.node.empty() ? std::string_view{"the cluster"} : std::string_view{error.node};
  return fmt::format("no answer from {} within {}: check that it is well, or allow more time with --timeout", who,
                     to_text(target.timeout));
}

std::string no_leader_message(const Error& error, const Target& target) {
  const std::string shard = error.shard ? fmt::format("shard {}", *error.shard) : std::string{"the key's shard"};
  return fmt::format(
      "no node leads {}, after {} attempts in {}: check that --nodes names all nodes and that the server has {} "
      "shards, else pass --shards",
      shard, error.attempts_made, to_text(target.timeout), target.shards);
}

std::string mismatch_message(const Error& error) {
  if (!error.mismatch) return fmt::format("--if-version does not hold: {}; get the key and decide anew", error.message);
  const std::string expected = to_text(error.mismatch->expected);
  if (!error.mismatch->actual) {
    return fmt::format("the key is not there, so it does not have version {}: put it without --if-version", expected);
  }
  return fmt::format("the key has version {}, not {}: get it again (get --json shows the version) and decide anew",
                     to_text(*error.mismatch->actual), expected);
}

std::string message_of(const Error& error, const Target& target) {
  switch (error.code) {
    case ErrorCode::precondition_failed:
      return mismatch_message(error);
    case ErrorCode::unavailable:
    case ErrorCode::deadline_exceeded:
      if (never_connected(error)) return unreachable_message(error, target);
      if (all_attempts(error, ErrorCode::not_leader)) return no_leader_message(error, target);
      if (error.code == ErrorCode::deadline_exceeded) return timeout_message(error, target);
      break;
    case ErrorCode::not_leader:
      return no_leader_message(error, target);
    case ErrorCode::invalid_argument:
      return error.message;
    default:
      break;
  }
  Error without_consequence = error;  // which is told for all errors alike
  without_consequence.maybe_applied = false;
  return without_consequence.describe();
}

/// The names of the client's options are not those of the command.
std::string in_words_of_the_command(std::string message) {
  constexpr std::pair<std::string_view, std::string_view> names[] = {{"TlsOptions::ca", "--tls-ca"},
                                                                     {"TlsOptions::certificate", "--tls-cert"},
                                                                     {"TlsOptions::key", "--tls-key"},
                                                                     {"TlsOptions::server_name", "--tls-server-name"},
                                                                     {"ClientOptions::tls", "--tls"}};
  for (const auto& [ours, theirs] : names) {
    for (std::size_t at = message.find(ours); at != std::string::npos; at = message.find(ours))
      message.replace(at, ours.size(), theirs);
  }
  return message;
}

}  // namespace

Failure usage_failure(std::string message) { return {ExitCode::usage, "usage", std::move(message)}; }

Failure system_failure(std::string_view what, int error_number) {
  return {ExitCode::other, error_number == EPIPE ? "broken_pipe" : "io",
          fmt::format("{}: {}", what, std::generic_category().message(error_number))};
}

Failure missing_key_failure() {
  return {ExitCode::refused, std::string{to_string(ErrorCode::not_found)}, "the key is not there"};
}

Failure client_failure(Error error, const Target& target) {
  Failure failure{exit_code_of(error.code), std::string{to_string(error.code)},
                  in_words_of_the_command(message_of(error, target))};
  if (error.maybe_applied) failure.message += "; the write may have been applied: read the key before you repeat it";
  failure.cause = std::move(error);
  return failure;
}

std::string to_line(const Failure& failure) { return "norikv: " + one_line(failure.message); }

std::string to_json(const Failure& failure) {
  JsonObject json;
  json.text("error", failure.name)
      .text("message", one_line(failure.message))
      .number("exit_code", static_cast<std::uint64_t>(failure.exit_code));
  if (!failure.cause) return json.str();
  const Error& error = *failure.cause;
  if (!error.node.empty()) json.text("node", error.node);
  if (error.shard) json.number("shard", *error.shard);
  json.number("attempts", error.attempts_made).boolean("maybe_applied", error.maybe_applied);
  if (error.mismatch) {
    json.text("expected", to_text(error.mismatch->expected));
    if (error.mismatch->actual) {
      json.text("actual", to_text(*error.mismatch->actual));
    } else {
      json.raw("actual", "null");
    }
  }
  return json.str();
}

}  // namespace norikv::cli
