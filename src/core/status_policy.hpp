#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <norikv/error.hpp>

#include "core/transport.hpp"

namespace norikv::core {

/// Whether a request changes the server. Not the same as idempotent: a repeated put writes again.
enum class Effect : std::uint8_t { read, write };

/// Whether a method only reads. Administration counts as writing: its outcome can be unknown.
[[nodiscard]] constexpr Effect effect_of(wire::Method method) {
  const bool reads =
      method == wire::Method::get || method == wire::Method::vector_search || method == wire::Method::vector_get;
  return reads ? Effect::read : Effect::write;
}

/// What a failed attempt means for the operation.
enum class Failure : std::uint8_t {
  not_leader,     ///< The node does not lead the shard. Not applied.
  unavailable,    ///< Surely not carried out; may be tried again.
  ambiguous,      ///< May have been carried out; only what is safe to repeat is repeated.
  throttled,      ///< As `ambiguous`, and the server asks for a pause.
  unknown_level,  ///< The node does not know the name of the consistency level.
  missing,        ///< A read of a key that is not there, told as an error (by servers other than 0.1.0).
  permanent,      ///< The same request fails again.
};

/// One failed attempt, understood.
struct Verdict {
  Failure failure{};
  ErrorCode code{};
  bool applied_unknown = false;  ///< For writes: it may have been, or may yet be, applied.
  bool node_answered = false;    ///< The server itself spoke, not the transport.
  std::string detail;            ///< The server's or transport's words.
  std::optional<VersionMismatch> mismatch;
  std::string leader;  ///< Who leads the shard, if the text says so.
  Duration pause{0};   ///< The server asks not to come back earlier (`grpc-retry-pushback-ms`).
};

/// Classifies a reply with a status other than OK, by the table of the server's texts. For a write every code that is
/// not one of the server's definite refusals leaves the outcome unknown, unless the transport knows that the request
/// was not processed.
[[nodiscard]] Verdict classify(const Reply& reply, Effect effect);
/// The same, with what the services of vectors and administration say in ways of their own.
[[nodiscard]] Verdict classify(const Reply& reply, wire::Method method);

/// The verdict on an OK reply that is missing or does not decode.
[[nodiscard]] Verdict malformed(std::string detail, Effect effect);

/// The pause that a reply's metadata asks for, from 0 to `max_pushback`; a negative number means "not again", which is
/// the longest pause.
[[nodiscard]] Duration parse_pushback(const Metadata& metadata);
inline constexpr Duration max_pushback = std::chrono::seconds{30};

/// The numbers in `Version mismatch: expected term=a index=b, got term=c index=d`.
[[nodiscard]] std::optional<VersionMismatch> parse_version_mismatch(std::string_view text);

}  // namespace norikv::core
