#include "testing/refusal.hpp"

#include <utility>

namespace norikv::testing {
namespace {

std::string describe(Version version) {
  return "term=" + std::to_string(version.term) + " index=" + std::to_string(version.index);
}

Answer<void> refuse(StatusCode code, std::string text) { return tl::unexpected(Refusal{code, std::move(text)}); }

}  // namespace

bool is_not_leader(const Refusal& refusal) noexcept {
  if (refusal.code == StatusCode::failed_precondition) return refusal.text == "Not leader";  // a write of a vector
  return refusal.code == StatusCode::unavailable && refusal.text.starts_with("NOT_LEADER");
}

Answer<void> check_key(std::string_view key) {
  if (key.size() <= max_key_size) return {};
  return refuse(StatusCode::invalid_argument,
                "Key size " + std::to_string(key.size()) + " exceeds limit " + std::to_string(max_key_size));
}

Answer<void> check_value(std::string_view value) {
  if (value.size() <= max_value_size) return {};
  return refuse(StatusCode::invalid_argument,
                "Value size " + std::to_string(value.size()) + " exceeds limit " + std::to_string(max_value_size));
}

Answer<void> check_consistency(std::string_view text, ConsistencyNames names) {
  const bool known = names == ConsistencyNames::sdk
                         ? text == "lease" || text == "linearizable" || text == "stale_ok"
                         : text == "strong" || text == "eventual" || text == "bounded_staleness";
  if (text.empty() || known) return {};
  return refuse(StatusCode::invalid_argument, "Unknown consistency level: " + std::string(text));
}

Answer<void> check_message_size(std::size_t size) {
  if (size <= max_message_size) return {};
  return refuse(StatusCode::out_of_range, "Error, message length too large: found " + std::to_string(size) +
                                              " bytes, the limit is: " + std::to_string(max_message_size) + " bytes");
}

bool allows_followers(std::string_view text) noexcept {
  return text == "eventual" || text == "bounded_staleness" || text == "stale_ok";
}

Refusal not_leader(std::string leader_hint) { return {StatusCode::unavailable, "NOT_LEADER", std::move(leader_hint)}; }

Refusal not_leader_for_condition(std::string leader_hint) {
  return {StatusCode::unavailable, "NOT_LEADER: CAS requires leader", std::move(leader_hint)};
}

Refusal not_leader_for_strong_read(std::string leader_hint) {
  return {StatusCode::unavailable, "NOT_LEADER: strong consistency requires leader", std::move(leader_hint)};
}

Refusal version_mismatch(Version expected, Version actual) {
  return {StatusCode::failed_precondition,
          "Version mismatch: expected " + describe(expected) + ", got " + describe(actual)};
}

Refusal condition_on_missing_key() { return {StatusCode::failed_precondition, "CAS failed: key does not exist"}; }

Refusal timeout_expired() { return {StatusCode::cancelled, "Timeout expired"}; }

Refusal transfer_not_implemented() {
  return {StatusCode::unimplemented, "TransferShard not yet implemented - requires Raft leadership transfer API"};
}

Refusal unknown_shard(std::uint32_t shard) {
  const std::string id = std::to_string(shard);
  return {StatusCode::not_found, "Shard " + id + " not found: NotFound(" + id + ")"};
}

Refusal token_refused() { return {StatusCode::unauthenticated, "The token is missing or not accepted"}; }

Refusal snapshot_not_leader(std::uint32_t shard, std::string_view leader) {
  const std::string known = leader.empty() ? "None" : "Some(NodeId(\"" + std::string(leader) + "\"))";
  return {StatusCode::failed_precondition,
          "Shard " + std::to_string(shard) + " is not leader on this node. Leader: " + known};
}

}  // namespace norikv::testing
