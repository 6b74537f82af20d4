#include "simulation/meaning.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace norikv::simulation {
namespace {

using Class = Meaning::Class;

bool decodes(const core::Reply& reply, wire::Method method) {
  if (!reply.body) return false;
  switch (method) {
    case wire::Method::put:
      return wire::decode_put(*reply.body).has_value();
    case wire::Method::remove:
      return wire::decode_remove(*reply.body).has_value();
    default:
      return wire::decode_get(*reply.body).has_value();
  }
}

bool starts(const core::Reply& reply, std::string_view text) { return reply.message.starts_with(text); }

// gRPC's numbers as the protocol has them.
Meaning of_status(const core::Reply& reply, bool read) {
  switch (reply.status) {
    case 1:  // CANCELLED
      return {Class::ambiguous,
              starts(reply, "Timeout expired") ? ErrorCode::deadline_exceeded : ErrorCode::unavailable, false};
    case 3:  // INVALID_ARGUMENT
      return {starts(reply, "Unknown consistency level") ? Class::unknown_level : Class::permanent,
              ErrorCode::invalid_argument};
    case 4:  // DEADLINE_EXCEEDED
      return {Class::ambiguous, ErrorCode::deadline_exceeded, false};
    case 5:  // NOT_FOUND
      return read ? Meaning{} : Meaning{Class::permanent, ErrorCode::not_found, false};
    case 6:  // ALREADY_EXISTS
      return {Class::permanent, ErrorCode::already_exists, false};
    case 7:  // PERMISSION_DENIED
      return {Class::permanent, ErrorCode::permission_denied};
    case 8:  // RESOURCE_EXHAUSTED
      return {Class::throttled, ErrorCode::throttled, false};
    case 9:  // FAILED_PRECONDITION
      if (starts(reply, "Not leader") || starts(reply, "NOT_LEADER")) return {Class::not_leader, ErrorCode::not_leader};
      return {Class::permanent, ErrorCode::precondition_failed};
    case 10:  // ABORTED
      return {Class::permanent, ErrorCode::aborted, false};
    case 11:  // OUT_OF_RANGE
      return {Class::permanent, ErrorCode::out_of_range};
    case 12:  // UNIMPLEMENTED
      return {Class::permanent, ErrorCode::not_supported};
    case 13:  // INTERNAL
      if (starts(reply, "Failed to check current version")) return {Class::not_processed, ErrorCode::server_error};
      return {Class::ambiguous, ErrorCode::server_error, false};
    case 14:  // UNAVAILABLE
      if (starts(reply, "NOT_LEADER")) return {Class::not_leader, ErrorCode::not_leader};
      return {Class::ambiguous, ErrorCode::unavailable, false};
    case 15:  // DATA_LOSS
      return {Class::permanent, ErrorCode::data_loss, false};
    case 16:  // UNAUTHENTICATED
      return {Class::permanent, ErrorCode::unauthenticated};
    default:
      return {Class::permanent, ErrorCode::unknown, false};
  }
}

Duration pushback(const core::Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    std::int64_t number = 0;
    if (key != "grpc-retry-pushback-ms") continue;
    if (std::from_chars(value.data(), value.data() + value.size(), number).ptr != value.data() + value.size()) break;
    constexpr std::chrono::milliseconds longest{30'000};
    return number < 0 ? longest : std::min(std::chrono::milliseconds{number}, longest);
  }
  return Duration{0};
}

std::string leader_hint(const core::Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if (key == "leader-hint" || key == "x-norikv-leader") return value.substr(0, value.rfind("-shard"));
  }
  return {};
}

}  // namespace

Meaning meaning_of(const core::Reply& reply, wire::Method method) {
  const bool read = method == wire::Method::get;
  Meaning meaning;
  if (reply.status == 0) {
    if (!decodes(reply, method)) meaning = {Class::permanent, ErrorCode::protocol, read};
  } else if (reply.sent != core::Sent::unknown) {
    meaning = {Class::not_processed, reply.status == 4 ? ErrorCode::deadline_exceeded : ErrorCode::unavailable};
  } else {
    meaning = of_status(reply, read);
  }
  if (read) meaning.definite = true;
  meaning.mismatch = meaning.code == ErrorCode::precondition_failed &&
                     (starts(reply, "Version mismatch") || starts(reply, "CAS failed"));
  if (meaning.kind == Class::not_leader) meaning.leader = leader_hint(reply.metadata);
  if (meaning.kind != Class::success) meaning.pause = pushback(reply.metadata);
  return meaning;
}

}  // namespace norikv::simulation
