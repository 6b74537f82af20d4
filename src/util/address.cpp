#include "util/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace norikv::util {
namespace {

using Parsed = tl::expected<Address, std::string>;

constexpr std::string_view unix_prefix = "unix:";
constexpr std::size_t max_unix_path = 107;  // sun_path, with its terminating zero
constexpr std::size_t max_host_name = 253;  // RFC 1035

template <class T>
bool reads_as(int family, const std::string& host) {
  T binary{};
  return inet_pton(family, host.c_str(), &binary) == 1;
}

bool is_host_name(std::string_view host) {
  return host.size() <= max_host_name && std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
                  c == '_';
         });
}

Parsed wrong(std::string why) { return tl::make_unexpected(std::move(why)); }

Parsed with_port(Address address, std::string_view port) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port.empty() || error != std::errc{} || end != port.data() + port.size())
    return wrong("the port is not a number");
  if (number == 0 || number > 65535) return wrong("the port is not between 1 and 65535");
  address.port = static_cast<std::uint16_t>(number);
  return address;
}

Parsed parse_bracketed(std::string_view text) {
  const std::size_t close = text.find(']');
  if (close == std::string_view::npos) return wrong("the ] after the IPv6 address is missing");
  Address address{Address::Kind::ipv6, std::string{text.substr(1, close - 1)}, 0};
  if (!reads_as<in6_addr>(AF_INET6, address.host)) return wrong("not an IPv6 address between [ and ]");
  const std::string_view rest = text.substr(close + 1);
  if (rest.empty() || rest.front() != ':') return wrong("no port; write [address]:port");
  return with_port(std::move(address), rest.substr(1));
}

}  // namespace

Parsed parse_address(std::string_view text) {
  if (text.starts_with(unix_prefix)) {
    const std::string_view path = text.substr(unix_prefix.size());
    if (path.empty()) return wrong("no path; write unix:/path");
    if (path.front() != '/') return wrong("the path is not absolute; write unix:/path");
    if (path.size() > max_unix_path) return wrong("the path is longer than 107 bytes");
    return Address{Address::Kind::unix_socket, std::string{path}, 0};
  }
  if (text.starts_with('[')) return parse_bracketed(text);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("no port; write host:port");
  Address address{Address::Kind::name, std::string{text.substr(0, colon)}, 0};
  if (address.host.empty()) return wrong("no host; write host:port");
  if (address.host.find(':') != std::string::npos) return wrong("an IPv6 address needs brackets; write [address]:port");
  if (!is_host_name(address.host)) return wrong("not a host name");
  if (reads_as<in_addr>(AF_INET, address.host)) address.kind = Address::Kind::ipv4;
  return with_port(std::move(address), text.substr(colon + 1));
}

}  // namespace norikv::util
