#include "core/status_policy.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/grpc_status.hpp"
#include "util/text.hpp"

namespace norikv::core {
namespace {

using enum grpc_status::Code;

// "NOT_LEADER", "NOT_LEADER: CAS requires leader", and the vector service's "Not leader".
bool says_not_leader(std::string_view text) { return text.starts_with("NOT_LEADER") || text.starts_with("Not leader"); }

Verdict verdict_of(Failure failure, ErrorCode code, bool applied_unknown, bool node_answered) {
  Verdict verdict;
  verdict.failure = failure;
  verdict.code = code;
  verdict.applied_unknown = applied_unknown;
  verdict.node_answered = node_answered;
  return verdict;
}
Verdict refused(Failure failure, ErrorCode code) { return verdict_of(failure, code, false, true); }
Verdict uncertain(Failure failure, ErrorCode code, Effect effect) {
  return verdict_of(failure, code, effect == Effect::write, true);
}
// A status that gRPC itself makes when a connection breaks or time runs out: no sign of life from the node.
Verdict silent(ErrorCode code, Effect effect) {
  return verdict_of(Failure::ambiguous, code, effect == Effect::write, false);
}

Verdict classify_precondition(std::string_view text) {
  if (says_not_leader(text)) return refused(Failure::not_leader, ErrorCode::not_leader);
  Verdict verdict = refused(Failure::permanent, ErrorCode::precondition_failed);
  if (text.starts_with("Version mismatch")) verdict.mismatch = parse_version_mismatch(text);
  return verdict;
}

Verdict classify_internal(std::string_view text, Effect effect) {
  // The read before a compare-and-swap failed: nothing was proposed.
  if (text.starts_with("Failed to check current version"))
    return refused(Failure::unavailable, ErrorCode::server_error);
  return uncertain(Failure::ambiguous, ErrorCode::server_error, effect);
}

Verdict classify_status(const Reply& reply, Effect effect) {
  switch (reply.status) {
    case cancelled:
      // The server's own timer says CANCELLED "Timeout expired" where others say DEADLINE_EXCEEDED.
      return silent(reply.message == "Timeout expired" ? ErrorCode::deadline_exceeded : ErrorCode::unavailable, effect);
    case invalid_argument:
      if (reply.message.starts_with("Unknown consistency level"))
        return refused(Failure::unknown_level, ErrorCode::invalid_argument);
      return refused(Failure::permanent, ErrorCode::invalid_argument);
    case deadline_exceeded:
      return silent(ErrorCode::deadline_exceeded, effect);
    case not_found:
      return effect == Effect::read ? refused(Failure::missing, ErrorCode::not_found)
                                    : uncertain(Failure::permanent, ErrorCode::not_found, effect);
    case already_exists:
      return uncertain(Failure::permanent, ErrorCode::already_exists, effect);
    case permission_denied:
      return refused(Failure::permanent, ErrorCode::permission_denied);
    case resource_exhausted:
      return uncertain(Failure::throttled, ErrorCode::throttled, effect);
    case failed_precondition:
      return classify_precondition(reply.message);
    case aborted:
      return uncertain(Failure::permanent, ErrorCode::aborted, effect);
    case out_of_range:
      return refused(Failure::permanent, ErrorCode::out_of_range);
    case unimplemented:
      return refused(Failure::permanent, ErrorCode::not_supported);
    case internal:
      return classify_internal(reply.message, effect);
    case unavailable:
      if (says_not_leader(reply.message)) return refused(Failure::not_leader, ErrorCode::not_leader);
      return silent(ErrorCode::unavailable, effect);
    case data_loss:
      return uncertain(Failure::permanent, ErrorCode::data_loss, effect);
    case unauthenticated:
      return refused(Failure::permanent, ErrorCode::unauthenticated);
    default:
      return uncertain(Failure::permanent, ErrorCode::unknown, effect);
  }
}

// A server without a service answers so, without a word of its own.
void explain_missing_service(Verdict& verdict, const Reply& reply, wire::Method method) {
  if (reply.status != unimplemented || !reply.message.empty()) return;
  if (wire::is_vector(method)) verdict.detail = "the Vector service is not available on this server";
  if (wire::is_admin(method)) verdict.detail = "the Admin service is not available on this server";
}

// Whatever the storage of vectors does not take (a namespace that is not there, a vector of other dimensions) is
// INTERNAL, and it is the same the next time. Only time-outs are not.
void refine_vectors(Verdict& verdict, const Reply& reply, wire::Method method) {
  if (reply.status == not_found && method != wire::Method::vector_get) verdict.failure = Failure::permanent;
  const std::string_view text = reply.message;
  if (reply.status != internal || !text.starts_with("Failed to ") || text.find("Timeout") != text.npos) return;
  verdict.failure = Failure::permanent;
  if (effect_of(method) == Effect::read && text.find("not yet implemented") != text.npos)
    verdict.code = ErrorCode::not_supported;
}

// "Shard 3 is not leader on this node. Leader: Some(NodeId("node1-shard3"))". A node that does not have the shard does
// not lead it either.
void refine_admin(Verdict& verdict, const Reply& reply) {
  const std::string_view text = reply.message;
  const bool elsewhere =
      reply.status == failed_precondition && text.find("is not leader on this node") != std::string_view::npos;
  if (!elsewhere && reply.status != not_found) return;
  verdict.failure = Failure::not_leader;
  verdict.code = elsewhere ? ErrorCode::not_leader : ErrorCode::not_found;
  verdict.applied_unknown = false;
  constexpr std::string_view before = "Some(NodeId(\"";
  const std::size_t found = elsewhere ? text.find(before) : std::string_view::npos;
  if (found == std::string_view::npos) return;
  const std::string_view rest = text.substr(found + before.size());
  verdict.leader = rest.substr(0, std::min(rest.find('"'), rest.size()));
}

}  // namespace

Verdict classify(const Reply& reply, wire::Method method) {
  Verdict verdict = classify(reply, effect_of(method));
  if (reply.sent != Sent::unknown) return verdict;
  explain_missing_service(verdict, reply, method);
  if (wire::is_vector(method)) refine_vectors(verdict, reply, method);
  if (wire::is_admin(method)) refine_admin(verdict, reply);
  return verdict;
}

Verdict classify(const Reply& reply, Effect effect) {
  Verdict verdict;
  if (reply.sent == Sent::unknown) {
    verdict = classify_status(reply, effect);
  } else {
    // What was not processed can't have been applied, whatever the status says.
    const bool late = reply.status == deadline_exceeded;
    verdict =
        verdict_of(Failure::unavailable, late ? ErrorCode::deadline_exceeded : ErrorCode::unavailable, false, false);
  }
  verdict.pause = parse_pushback(reply.metadata);
  verdict.detail = util::one_line(reply.message);  // of foreign text only what fits into a line of ours
  return verdict;
}

Verdict malformed(std::string detail, Effect effect) {
  Verdict verdict = uncertain(Failure::permanent, ErrorCode::protocol, effect);
  verdict.detail = std::move(detail);
  return verdict;
}

Duration parse_pushback(const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if (key != "grpc-retry-pushback-ms") continue;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size()) return Duration{0};
    constexpr std::int64_t longest = std::chrono::duration_cast<std::chrono::milliseconds>(max_pushback).count();
    return std::chrono::milliseconds{number < 0 ? longest : std::min(number, longest)};
  }
  return Duration{0};
}

std::optional<VersionMismatch> parse_version_mismatch(std::string_view text) {
  std::uint64_t numbers[4] = {};
  std::size_t found = 0;
  while (found < 4) {
    const std::size_t sign = text.find('=');
    if (sign == std::string_view::npos) return std::nullopt;
    text.remove_prefix(sign + 1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), numbers[found]);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    ++found;
  }
  return VersionMismatch{{numbers[0], numbers[1]}, Version{numbers[2], numbers[3]}};
}

}  // namespace norikv::core
