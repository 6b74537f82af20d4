#include <norikv/error.hpp>

#include <iterator>

#include <fmt/format.h>

#include "util/text.hpp"

namespace norikv {
namespace {

/// All that is said about a code, in one place. `Error::advice` refines the advice.
struct CodeFacts {
  std::string_view name;
  const char* meaning;
  Advice advice;
};

CodeFacts facts(ErrorCode code) noexcept {
  using enum Advice;
  switch (code) {
    case ErrorCode::invalid_argument:
      return {"invalid_argument", "the request is not valid", do_not_retry};
    case ErrorCode::closed:
      return {"closed", "the client is closed", do_not_retry};
    case ErrorCode::cancelled:
      return {"cancelled", "the operation was cancelled", do_not_retry};
    case ErrorCode::deadline_exceeded:
      return {"deadline_exceeded", "the operation's time ran out", retry_later};
    case ErrorCode::overloaded:
      return {"overloaded", "a limit of this client was reached", retry_later};
    case ErrorCode::unavailable:
      return {"unavailable", "no node could be reached", retry_later};
    case ErrorCode::not_leader:
      return {"not_leader", "no node said that it leads the shard", retry_later};
    case ErrorCode::precondition_failed:
      return {"precondition_failed", "the key does not have the expected version", retry_now};
    case ErrorCode::protocol:
      return {"protocol", "the server's answer is missing or does not parse", do_not_retry};
    case ErrorCode::not_supported:
      return {"not_supported", "the server does not support this", do_not_retry};
    case ErrorCode::server_error:
      return {"server_error", "the server failed", retry_later};
    case ErrorCode::throttled:
      return {"throttled", "the server is out of some resource", retry_later};
    case ErrorCode::permission_denied:
      return {"permission_denied", "the caller may not do this", do_not_retry};
    case ErrorCode::unauthenticated:
      return {"unauthenticated", "the caller did not say who it is", do_not_retry};
    case ErrorCode::not_found:
      return {"not_found", "what the request names is not there", do_not_retry};
    case ErrorCode::already_exists:
      return {"already_exists", "what the request creates is there", do_not_retry};
    case ErrorCode::out_of_range:
      return {"out_of_range", "the server refused the message's size", do_not_retry};
    case ErrorCode::aborted:
      return {"aborted", "the server gave the request up", retry_later};
    case ErrorCode::data_loss:
      return {"data_loss", "the server lost data", do_not_retry};
    case ErrorCode::unknown:
      return {"unknown", "the server answered with an unknown status", retry_later};
  }
  return {"invalid_code", "not an error code of norikv", do_not_retry};
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "norikv"; }
  std::string message(int value) const override { return facts(static_cast<ErrorCode>(value)).meaning; }
  /// What the standard library has a name for compares equal to it.
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<ErrorCode>(value)) {
      case ErrorCode::invalid_argument:
        return std::errc::invalid_argument;
      case ErrorCode::cancelled:
        return std::errc::operation_canceled;
      case ErrorCode::deadline_exceeded:
        return std::errc::timed_out;
      case ErrorCode::protocol:
        return std::errc::protocol_error;
      case ErrorCode::not_supported:
        return std::errc::not_supported;
      case ErrorCode::permission_denied:
        return std::errc::permission_denied;
      default:
        return {value, *this};
    }
  }
};

std::string to_text(Version version) { return fmt::format("{}:{}", version.term, version.index); }

/// Whether it is worth telling how far an operation had come when it ended.
bool ended_from_outside(ErrorCode code) noexcept {
  return code == ErrorCode::deadline_exceeded || code == ErrorCode::cancelled || code == ErrorCode::closed;
}

std::string_view while_it(Phase phase) noexcept {
  switch (phase) {
    case Phase::queued:
      return "while it was queued";
    case Phase::awaiting_leader:
      return "while its shard had no known leader";
    case Phase::backing_off:
      return "between two attempts";
    case Phase::sent:
      return "while an attempt was on the wire";
    case Phase::awaiting_token:
      return "while it waited for a token";
  }
  return "at an unknown point";
}

bool same_outcome(const Attempt& one, const Attempt& other) {
  return one.node == other.node && one.outcome == other.outcome && one.detail == other.detail;
}

/// "127.0.0.1:7447 not_leader \"NOT_LEADER\" 15 times in 4.2 ms, ...": equal neighbours are told once.
std::string describe_attempts(const std::vector<Attempt>& attempts) {
  std::string line;
  for (auto first = attempts.begin(); first != attempts.end();) {
    auto last = first;
    Duration time{};
    for (; last != attempts.end() && same_outcome(*first, *last); ++last) time += last->duration;
    if (!line.empty()) line += ", ";
    line += fmt::format("{} {}", util::one_line(first->node), to_string(first->outcome));
    if (!first->detail.empty()) line += fmt::format(" \"{}\"", util::one_line(first->detail));
    if (const auto times = std::distance(first, last); times > 1) line += fmt::format(" {} times", times);
    line += fmt::format(" in {}", util::to_text(time));
    first = last;
  }
  return line;
}

}  // namespace

std::string_view to_string(ErrorCode code) noexcept { return facts(code).name; }

const std::error_category& error_category() noexcept {
  // Leaked on purpose: errors are still compared while the process exits.
  static const auto& category = *new Category;
  return category;
}

std::string_view to_string(Phase phase) noexcept {
  switch (phase) {
    case Phase::queued:
      return "queued";
    case Phase::awaiting_leader:
      return "awaiting_leader";
    case Phase::backing_off:
      return "backing_off";
    case Phase::sent:
      return "sent";
    case Phase::awaiting_token:
      return "awaiting_token";
  }
  return "unknown";
}

std::string_view to_string(Advice advice) noexcept {
  switch (advice) {
    case Advice::do_not_retry:
      return "do_not_retry";
    case Advice::retry_now:
      return "retry_now";
    case Advice::retry_later:
      return "retry_later";
  }
  return "unknown";
}

Advice Error::advice() const noexcept {
  const Advice advice = facts(code).advice;
  // `retry_now` promises that nothing was applied: the other version may be the work of our own earlier attempt.
  return advice == Advice::retry_now && maybe_applied ? Advice::retry_later : advice;
}

std::string Error::describe() const {
  std::string line =
      fmt::format("{}: {}", to_string(code), message.empty() ? facts(code).meaning : util::one_line(message, 1024));
  if (mismatch) {
    line += fmt::format("; expected version {}, {}", to_text(mismatch->expected),
                        mismatch->actual ? "found " + to_text(*mismatch->actual) : "the key is not there");
  }
  if (ended_from_outside(code)) line += fmt::format("; {}", while_it(phase));
  if (!node.empty()) line += fmt::format("; node {}", util::one_line(node));
  if (shard) line += fmt::format("; shard {}", *shard);
  if (maybe_applied) line += "; the write may have been applied";
  if (attempts_made > 0) {
    line += fmt::format("; {} attempt{}", attempts_made, attempts_made == 1 ? "" : "s");
    if (attempts.size() < attempts_made) line += fmt::format(" ({} of them listed)", attempts.size());
    if (!attempts.empty()) line += ": " + describe_attempts(attempts);
  }
  return line;
}

}  // namespace norikv
