#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <tl/expected.hpp>

#include <norikv/export.hpp>
#include <norikv/types.hpp>

namespace norikv {

/// Why an operation failed. The numbers and names are stable: numbers are never reused, new codes are appended.
enum class ErrorCode : int {
  invalid_argument = 1,     ///< The request can't be right: options, sizes, or the server said so. Nothing was applied.
  closed = 2,               ///< The client is closed, moved from, or the process forked.
  cancelled = 3,            ///< `Operation::cancel` came first.
  deadline_exceeded = 4,    ///< The operation's time ran out.
  overloaded = 5,           ///< A limit of this client was reached; nothing was sent.
  unavailable = 6,          ///< No node could be reached, or the connection was lost.
  not_leader = 7,           ///< No node said that it leads the shard.
  precondition_failed = 8,  ///< The key has another version (`Error::mismatch`) or is not there.
  protocol = 9,             ///< The server's answer is missing or does not parse.
  not_supported = 10,       ///< The server does not have this, or not in this form.
  server_error = 11,        ///< The server failed (INTERNAL).
  throttled = 12,           ///< The server is out of some resource (RESOURCE_EXHAUSTED).
  permission_denied = 13,   ///< The caller may not do this.
  unauthenticated = 14,     ///< The caller did not say who it is.
  not_found = 15,           ///< What the request names is not there. Never from `get`: a missing key is a success.
  already_exists = 16,      ///< What the request creates is there already.
  out_of_range = 17,        ///< The server refused the size of the message.
  aborted = 18,             ///< The server gave the request up.
  data_loss = 19,           ///< The server lost data.
  unknown = 20,             ///< A status the client does not know.
};

/// The code's name as it is written above, such as "deadline_exceeded". [any thread]
[[nodiscard]] NORIKV_EXPORT std::string_view to_string(ErrorCode code) noexcept;

/// The category of `ErrorCode`, named "norikv". [any thread]
[[nodiscard]] NORIKV_EXPORT const std::error_category& error_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(ErrorCode code) noexcept {
  return {static_cast<int>(code), error_category()};
}

/// How far an operation had come when it ended.
enum class Phase : std::uint8_t {
  queued,  ///< Behind others: in the mailbox, the write lane of its shard, the updates of its key, or for a full node.
  awaiting_leader,  ///< Its shard had no known leader.
  backing_off,      ///< Between two attempts.
  sent,             ///< An attempt was on the wire.
  awaiting_token,   ///< There was no token to send (`ClientOptions::tokens`).
};

[[nodiscard]] NORIKV_EXPORT std::string_view to_string(Phase phase) noexcept;

/// What to do about an error.
enum class Advice : std::uint8_t {
  do_not_retry,  ///< The same call fails again.
  retry_now,     ///< Nothing was applied and waiting does not help: read the new state and try again.
  retry_later,   ///< Try again after a pause. If `maybe_applied` is set, read first.
};

[[nodiscard]] NORIKV_EXPORT std::string_view to_string(Advice advice) noexcept;

/// One request that went, or should have gone, to one node.
struct Attempt {
  std::string node;     ///< The node's address as it was configured.
  ErrorCode outcome{};  ///< How the attempt ended.
  std::string detail;   ///< The server's or the transport's own words, shortened.
  Duration duration{};  ///< From handing it to the transport to the answer.
};

/// The versions of a failed precondition, as the server told them.
struct VersionMismatch {
  Version expected;               ///< What the write asked for.
  std::optional<Version> actual;  ///< What the key has; none if the key is not there.
};

/// Why and how an operation failed. A value, cheap to move. It never holds a key or a value.
struct Error {
  ErrorCode code{};
  std::string message;                      ///< One line for people.
  std::string node;                         ///< The last node that was asked, if any.
  std::optional<std::uint32_t> shard;       ///< The shard of the key, if there is one.
  bool maybe_applied = false;               ///< Writes only: the server may have carried it out, or may still do so.
  Phase phase = Phase::queued;              ///< How far the operation had come.
  std::optional<VersionMismatch> mismatch;  ///< With `precondition_failed`, if the server told.
  std::vector<Attempt> attempts;            ///< The first and the most recent attempts, oldest first, at most 16.
  std::uint32_t attempts_made = 0;          ///< How many there were in all.

  /// What to do about it.
  [[nodiscard]] NORIKV_EXPORT Advice advice() const noexcept;
  /// All of it in one line: code, message, node, shard, what it means for a write, attempts.
  [[nodiscard]] NORIKV_EXPORT std::string describe() const;
};

/// A value or an `Error`. The alias is part of the ABI: it stays `tl::expected` whatever the C++ standard.
template <class T>
using Result = tl::expected<T, Error>;

}  // namespace norikv

template <>
struct std::is_error_code_enum<norikv::ErrorCode> : std::true_type {};
