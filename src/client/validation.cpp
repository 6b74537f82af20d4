#include "client/validation.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>

#include "util/address.hpp"
#include "util/text.hpp"

namespace norikv::client {
namespace {

// 65,536 is the most that is in use; an entry costs a few bytes per node.
constexpr std::uint32_t max_total_shards = 1u << 20;
constexpr std::uint32_t max_connections_per_node = 64;

Error invalid(const std::string& message) { return make_error(ErrorCode::invalid_argument, message); }

/// Collects the first thing that is wrong.
class Checker {
 public:
  void at_least(std::string_view field, std::uint64_t value, std::uint64_t least) {
    range(field, value, least, UINT64_MAX);
  }
  void range(std::string_view field, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
    if (value >= least && value <= most) return;
    const std::string limit = value < least ? "at least " + std::to_string(least) : "at most " + std::to_string(most);
    fail(std::string{field} + " is " + std::to_string(value) + "; it must be " + limit);
  }
  void positive(std::string_view field, Duration value) { duration(field, value, Duration{1}); }
  void not_negative(std::string_view field, Duration value) { duration(field, value, Duration{0}); }
  void backoff(const std::string& field, const Backoff& value) {
    positive(field + ".base", value.base);
    positive(field + ".cap", value.cap);
    if (value.cap < value.base) fail(field + ".cap is shorter than " + field + ".base");
  }
  void fail(const std::string& message) {
    if (!error_) error_ = invalid(message);
  }
  [[nodiscard]] std::optional<Error> take() { return std::move(error_); }

 private:
  void duration(std::string_view field, Duration value, Duration least) {
    if (value < least) {
      fail(std::string{field} + " is " + util::to_text(value) + "; it must " +
           (least == Duration{0} ? "not be negative" : "be positive"));
    } else if (value > max_duration) {
      fail(std::string{field} + " is longer than ten years");
    }
  }

  std::optional<Error> error_;
};

void check_nodes(const std::vector<std::string>& nodes, Checker& checker) {
  if (nodes.empty()) checker.fail("ClientOptions::nodes is empty; name at least one node as host:port");
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto quoted = [&] {
      return "ClientOptions::nodes[" + std::to_string(i) + "] \"" + util::one_line(nodes[i]) + "\": ";
    };
    if (const auto address = util::parse_address(nodes[i]); !address) checker.fail(quoted() + address.error());
    const auto here = nodes.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(nodes.begin(), here, nodes[i]) != here) checker.fail(quoted() + "named twice");
  }
}

#ifdef NORIKV_WITH_H2
constexpr bool with_h2 = true;
#else
constexpr bool with_h2 = false;
#endif

void check_transport(const ConnectionOptions& connection, Checker& checker) {
  if (connection.transport == TransportKind::grpc) return;
  if (connection.transport != TransportKind::h2)
    return checker.fail("ConnectionOptions::transport is no kind of transport");
  if (!with_h2) checker.fail("ConnectionOptions::transport is h2, and this build of norikv has no h2 transport");
}

void check_connection(const ConnectionOptions& connection, Checker& checker) {
  checker.range("ConnectionOptions::per_node", connection.per_node, 1, max_connections_per_node);
  checker.positive("ConnectionOptions::connect_timeout", connection.connect_timeout);
  checker.backoff("ConnectionOptions::reconnect", connection.reconnect);
  checker.not_negative("ConnectionOptions::keepalive", connection.keepalive);
  checker.positive("ConnectionOptions::keepalive_timeout", connection.keepalive_timeout);
  checker.not_negative("ConnectionOptions::heartbeat", connection.heartbeat);
  checker.range("ConnectionOptions::max_reply_size", connection.max_reply_size, 1, std::numeric_limits<int>::max());
  checker.positive("ConnectionOptions::silence", connection.silence);
  check_transport(connection, checker);
}

void check_tokens(const ClientOptions& options, Checker& checker) {
  const TokenOptions& tokens = options.tokens;
  checker.not_negative("TokenOptions::refresh_before", tokens.refresh_before);
  checker.positive("TokenOptions::answer_timeout", tokens.answer_timeout);
  const auto legal_in_key = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  const std::string& key = tokens.metadata_key;
  if (key.empty() || !std::ranges::all_of(key, legal_in_key) || key.starts_with("grpc-") || key.ends_with("-bin")) {
    checker.fail("TokenOptions::metadata_key \"" + util::one_line(key) +
                 "\" is no key for a text: lower-case letters, digits, -, _ and ., and neither grpc-... nor ...-bin");
  }
  if (!std::ranges::all_of(tokens.prefix, [](char c) { return c >= ' ' && c <= '~'; }))
    checker.fail("TokenOptions::prefix is not printable ASCII");
  if (tokens.source && !options.tls && !tokens.allow_plaintext) {
    checker.fail(
        "TokenOptions::source is set without ClientOptions::tls: tokens are not sent in plain text unless "
        "TokenOptions::allow_plaintext says so");
  }
}

}  // namespace

std::optional<Error> check(const ClientOptions& options) {
  Checker checker;
  check_nodes(options.nodes, checker);
  checker.range("ClientOptions::total_shards", options.total_shards, 1, max_total_shards);
  checker.positive("ClientOptions::timeout", options.timeout);
  checker.not_negative("WriteOptions::spacing", options.writes.spacing);
  checker.at_least("WriteOptions::queued_per_shard", options.writes.queued_per_shard, 1);
  checker.not_negative("WriteOptions::lane_settle", options.writes.lane_settle);
  checker.backoff("RetryOptions::not_leader", options.retry.not_leader);
  checker.backoff("RetryOptions::unavailable", options.retry.unavailable);
  checker.backoff("RetryOptions::ambiguous", options.retry.ambiguous);
  checker.backoff("RetryOptions::throttled", options.retry.throttled);
  checker.positive("RetryOptions::attempt_timeout", options.retry.attempt_timeout);
  checker.not_negative("RetryOptions::join_probe_after", options.retry.join_probe_after);
  checker.not_negative("RetryOptions::hedge_after", options.retry.hedge_after);
  checker.not_negative("RetryOptions::moved_patience", options.retry.moved_patience);
  checker.at_least("RetryBudget::burst", options.retry.budget.burst, 1);
  checker.backoff("BreakerOptions::open", options.retry.breaker.open);
  checker.at_least("LimitOptions::in_flight_per_node", options.limits.in_flight_per_node, 1);
  checker.at_least("LimitOptions::operations", options.limits.operations, 1);
  checker.at_least("LimitOptions::bytes", options.limits.bytes, 1);
  checker.at_least("LimitOptions::callbacks_per_turn", options.limits.callbacks_per_turn, 1);
  check_connection(options.connection, checker);
  check_tokens(options, checker);
  return checker.take();
}

std::optional<Error> check_nodes(const std::vector<std::string>& nodes) {
  Checker checker;
  check_nodes(nodes, checker);
  return checker.take();
}

std::optional<Error> check_key(std::string_view key) {
  if (key.size() <= max_key_size) return std::nullopt;
  return invalid("the key has " + std::to_string(key.size()) + " bytes; the server takes at most 1024");
}

std::optional<Error> check_value(std::string_view value) {
  if (value.size() <= max_value_size) return std::nullopt;
  return invalid("the value has " + std::to_string(value.size()) + " bytes; the server takes at most 1048576");
}

std::optional<Error> check_ttl(std::string_view field, const std::optional<Duration>& ttl) {
  Checker checker;
  if (ttl) checker.positive(field, *ttl);
  return checker.take();
}

std::optional<Error> check_precondition(std::string_view field, const Precondition& precondition) {
  if (precondition.version.has_value() != precondition.is_absent) return std::nullopt;
  return invalid(std::string{field} + " is neither a version nor absent; use norikv::at(version) or norikv::absent");
}

std::optional<Error> check_remove_precondition(const Precondition& precondition, bool unenforced) {
  if (!precondition.version || precondition.is_absent)
    return invalid("RemoveOptions::precondition has no version; use norikv::at(version)");
  if (unenforced) return std::nullopt;
  return make_error(ErrorCode::not_supported,
                    "the server ignores conditions on removes; RemoveOptions::unenforced = true lets the client look "
                    "before it removes, which other clients can get in between");
}

std::optional<Error> check_update(const UpdateOptions& options, bool has_function) {
  Checker checker;
  if (!has_function) checker.fail("the update function is empty");
  checker.at_least("UpdateOptions::max_rounds", options.max_rounds, 1);
  if (!options.idempotency_key.text().empty())
    checker.fail(
        "UpdateOptions::idempotency_key is a text; each round stores something else, so only `automatic` fits");
  return checker.take();
}

std::optional<Error> check_change(const Change& change) {
  std::optional<Error> wrong = change.value() ? check_value(*change.value()) : std::nullopt;
  return wrong ? wrong : check_ttl("Change::ttl", change.ttl());
}

std::optional<Error> check_text(std::string_view field, std::string_view text) {
  if (util::is_utf8(text)) return std::nullopt;
  return invalid(std::string{field} + " is not UTF-8, which the server refuses");
}

Result<TimePoint> deadline_of(const std::optional<Duration>& timeout, const std::optional<TimePoint>& deadline,
                              Duration default_timeout, TimePoint now) {
  Checker checker;
  if (timeout) checker.positive("timeout", *timeout);
  if (std::optional<Error> error = checker.take()) return tl::make_unexpected(std::move(*error));
  const TimePoint end = now + timeout.value_or(default_timeout);
  return deadline ? std::min(end, *deadline) : end;
}

Error make_error(ErrorCode code, std::string_view message) {
  Error error;
  error.code = code;
  error.message = message;
  return error;
}

}  // namespace norikv::client
