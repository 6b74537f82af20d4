#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "util/address.hpp"

// The way to a node through an HTTP proxy, which is asked with CONNECT (RFC 9110, section 9.3.6) for a connection that
// carries any bytes.
namespace norikv::transport::h2 {

struct Proxy {
  util::Address address;
  std::string authorization{};  ///< The value of the header `Proxy-Authorization`; empty = none.
};

/// The proxy for a node, none, or why what is configured can't be followed.
using ProxyChoice = tl::expected<std::optional<Proxy>, std::string>;

/// What a URI such as "http://user:password@proxy:3128" names (port 80 if it names none), unless one of `exceptions`,
/// in a list with commas, is the node's host or a domain of it, or "*". Empty = no proxy. The error never holds the
/// credentials.
[[nodiscard]] ProxyChoice choose_proxy(std::string_view uri, std::string_view exceptions, const util::Address& node);

/// The same with the variables that gRPC reads: the first of grpc_proxy, https_proxy and http_proxy, and the first of
/// no_grpc_proxy and no_proxy, that is there. There is none for a unix socket.
[[nodiscard]] ProxyChoice proxy_of_environment(const util::Address& node);

/// "host:port" as a request names it: an IPv6 address in brackets.
[[nodiscard]] std::string host_and_port(const util::Address& address);

/// The talk with the proxy, until the tunnel is there. No socket: bytes in, bytes out.
class Tunnel {
 public:
  enum class Result : std::uint8_t { more, open, refused };

  /// What to send first.
  [[nodiscard]] static std::string request(const Proxy& proxy, const util::Address& node);

  /// Takes the proxy's answer from the front of `input`; what is left once it is open comes from the node.
  [[nodiscard]] Result receive(std::string_view& input);
  /// How the proxy refused.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  [[nodiscard]] Result refuse(std::string why);

  static constexpr std::size_t longest_answer = 16 * 1024;
  std::string answer_;
  std::string error_;
};

}  // namespace norikv::transport::h2
