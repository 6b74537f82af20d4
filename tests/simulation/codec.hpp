#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <norikv/types.hpp>

#include "simulation/linearizability.hpp"
#include "testing/cluster_model.hpp"
#include "wire/wire.hpp"

// The server's side of the wire: requests are decoded and replies encoded with the generated code, not with the
// client's.
namespace norikv::simulation {

/// A request as a server reads it.
struct ServerRequest {
  wire::Method method{};
  testing::Write write;     ///< Of a put or remove; its key is set for gets too.
  std::string consistency;  ///< Of a get.
};

/// A value as it is stored, and back; text that nobody wrote is a value that nobody wrote.
[[nodiscard]] std::string text_of(Value value);
[[nodiscard]] Value value_of(std::string_view text);
/// What a reader saw.
[[nodiscard]] Value value_of(const std::optional<Entry>& entry);

/// How long a server keeps what its user gave this time to live: the wire has whole milliseconds, and 0 is for ever.
[[nodiscard]] std::chrono::milliseconds kept_for(Duration ttl);

/// None if it does not parse.
[[nodiscard]] std::optional<ServerRequest> decode_request(wire::Method method, std::string_view bytes);

[[nodiscard]] std::string encode_put_response(Version version);
[[nodiscard]] std::string encode_remove_response(Version version);
[[nodiscard]] std::string encode_get_response(const std::optional<Entry>& entry);
/// As it comes out at the other end: encoded and decoded again.
[[nodiscard]] wire::View through_wire(const wire::View& view);

}  // namespace norikv::simulation
