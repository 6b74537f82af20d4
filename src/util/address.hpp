#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace norikv::util {

/// A node's address, as it is written in options and on the command line.
struct Address {
  enum class Kind : std::uint8_t { name, ipv4, ipv6, unix_socket };
  Kind kind = Kind::name;
  std::string host;  ///< Without brackets; for `unix_socket` the path.
  std::uint16_t port = 0;
};

/// Reads "host:port", "1.2.3.4:7447", "[::1]:7447" or "unix:/path". The error says what is wrong with it.
[[nodiscard]] tl::expected<Address, std::string> parse_address(std::string_view text);

}  // namespace norikv::util
