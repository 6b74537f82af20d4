#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/error.hpp>
#include <norikv/options.hpp>
#include <norikv/update.hpp>

// Checks of what users hand in, as pure functions. An error is `invalid_argument` and names the field.
namespace norikv::client {

[[nodiscard]] std::optional<Error> check(const ClientOptions& options);

[[nodiscard]] std::optional<Error> check_nodes(const std::vector<std::string>& nodes);
[[nodiscard]] std::optional<Error> check_key(std::string_view key);
[[nodiscard]] std::optional<Error> check_value(std::string_view value);
[[nodiscard]] std::optional<Error> check_ttl(std::string_view field, const std::optional<Duration>& ttl);

/// A condition of a put: a version, or `absent`.
[[nodiscard]] std::optional<Error> check_precondition(std::string_view field, const Precondition& precondition);
/// A condition of a remove; `not_supported` unless the caller knows that the server does not enforce it.
[[nodiscard]] std::optional<Error> check_remove_precondition(const Precondition& precondition, bool unenforced);
[[nodiscard]] std::optional<Error> check_update(const UpdateOptions& options, bool has_function);
/// What an update function wants to store.
[[nodiscard]] std::optional<Error> check_change(const Change& change);

/// A text that travels as a protobuf `string`: `field` names it.
[[nodiscard]] std::optional<Error> check_text(std::string_view field, std::string_view text);

/// When an operation ends that is submitted at `now`: the earlier of its timeout and its deadline. Error: a timeout
/// that is not positive or longer than `max_duration`.
[[nodiscard]] Result<TimePoint> deadline_of(const std::optional<Duration>& timeout,
                                            const std::optional<TimePoint>& deadline, Duration default_timeout,
                                            TimePoint now);

[[nodiscard]] Error make_error(ErrorCode code, std::string_view message);

}  // namespace norikv::client
