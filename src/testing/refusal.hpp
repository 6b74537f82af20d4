#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>

// What the server says when it does not do a thing: every status and text of the NoriKV server 0.1.0, to the letter.
namespace norikv::testing {

using ConsistencyNames = AnswerShapes::ConsistencyNames;

/// gRPC's numbers, so that the models need none of gRPC's headers.
enum class StatusCode : int {
  cancelled = 1,
  invalid_argument = 3,
  not_found = 5,
  failed_precondition = 9,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  unauthenticated = 16,
};

/// An answer that is not OK.
struct Refusal {
  StatusCode code{};
  std::string text;
  std::string leader_hint{};  ///< Sent in the trailers; empty = not sent.
  std::string_view hint_key = "leader-hint";

  friend bool operator==(const Refusal&, const Refusal&) = default;
};

template <class T>
using Answer = tl::expected<T, Refusal>;

/// The largest message the server takes in.
inline constexpr std::size_t max_message_size = 4 * 1024 * 1024;

[[nodiscard]] bool is_not_leader(const Refusal& refusal) noexcept;

// The server's checks that need no state. In its order: key before value, size before consistency.
[[nodiscard]] Answer<void> check_key(std::string_view key);
[[nodiscard]] Answer<void> check_value(std::string_view value);
[[nodiscard]] Answer<void> check_consistency(std::string_view text, ConsistencyNames names);
[[nodiscard]] Answer<void> check_message_size(std::size_t size);

/// Whether a replica that does not lead may answer; `text` has passed `check_consistency`.
[[nodiscard]] bool allows_followers(std::string_view text) noexcept;

[[nodiscard]] Refusal not_leader(std::string leader_hint = {});
[[nodiscard]] Refusal not_leader_for_condition(std::string leader_hint = {});
[[nodiscard]] Refusal not_leader_for_strong_read(std::string leader_hint = {});
[[nodiscard]] Refusal version_mismatch(Version expected, Version actual);
[[nodiscard]] Refusal condition_on_missing_key();
[[nodiscard]] Refusal timeout_expired();
[[nodiscard]] Refusal transfer_not_implemented();
/// The server 0.1.0 asks for no tokens; this is what others say.
[[nodiscard]] Refusal token_refused();
[[nodiscard]] Refusal unknown_shard(std::uint32_t shard);
/// `leader` is a replica's id such as "node1-shard3"; empty = none.
[[nodiscard]] Refusal snapshot_not_leader(std::uint32_t shard, std::string_view leader);

}  // namespace norikv::testing
