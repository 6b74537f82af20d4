#include "transport/h2/tunnel.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <initializer_list>
#include <utility>

#include "transport/h2/grpc_protocol.hpp"
#include "util/text.hpp"

namespace norikv::transport::h2 {
namespace {

std::string lower(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string_view first_set(std::initializer_list<const char*> variables) {
  for (const char* const variable : variables) {
    if (const char* const value = std::getenv(variable); value != nullptr && *value != '\0') return value;
  }
  return {};
}

bool is_exception(std::string_view exceptions, const std::string& host) {
  while (!exceptions.empty()) {
    const std::size_t end = std::min(exceptions.find_first_of(", "), exceptions.size());
    std::string domain = lower(exceptions.substr(0, end));
    exceptions.remove_prefix(std::min(end + 1, exceptions.size()));
    if (domain.starts_with('.')) domain.erase(0, 1);
    if (domain.empty()) continue;
    if (domain == "*" || host == domain || host.ends_with("." + domain)) return true;
  }
  return false;
}

std::string basic(std::string_view user_and_password) {
  std::string text = base64(percent_decoded(user_and_password));
  while (text.size() % 4 != 0) text += '=';
  return "Basic " + text;
}

bool has_port(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  const std::size_t bracket = authority.rfind(']');
  return colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
}

}  // namespace

ProxyChoice choose_proxy(std::string_view uri, std::string_view exceptions, const util::Address& node) {
  if (uri.empty() || is_exception(exceptions, lower(node.host))) return std::nullopt;
  constexpr std::string_view separator = "://";
  if (const std::size_t scheme_end = uri.find(separator); scheme_end != std::string_view::npos) {
    if (lower(uri.substr(0, scheme_end)) != "http")
      return tl::make_unexpected("the proxy's URI begins with " + util::one_line(uri.substr(0, scheme_end)) +
                                 "://, and only http:// can be followed");
    uri.remove_prefix(scheme_end + separator.size());
  }
  uri = uri.substr(0, uri.find_first_of("/?#"));
  Proxy proxy;
  if (const std::size_t at = uri.rfind('@'); at != std::string_view::npos) {
    proxy.authorization = basic(uri.substr(0, at));
    uri.remove_prefix(at + 1);
  }
  auto address = util::parse_address(has_port(uri) ? std::string{uri} : std::string{uri} + ":80");
  if (!address) return tl::make_unexpected("the proxy's URI names no host: " + address.error());
  proxy.address = std::move(*address);
  return proxy;
}

ProxyChoice proxy_of_environment(const util::Address& node) {
  if (node.kind == util::Address::Kind::unix_socket) return std::nullopt;
  return choose_proxy(first_set({"grpc_proxy", "https_proxy", "http_proxy"}), first_set({"no_grpc_proxy", "no_proxy"}),
                      node);
}

std::string host_and_port(const util::Address& address) {
  const bool brackets = address.kind == util::Address::Kind::ipv6;
  return (brackets ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::string Tunnel::request(const Proxy& proxy, const util::Address& node) {
  const std::string target = host_and_port(node);
  std::string text = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
  if (!proxy.authorization.empty()) text += "Proxy-Authorization: " + proxy.authorization + "\r\n";
  return text + "\r\n";
}

Tunnel::Result Tunnel::receive(std::string_view& input) {
  constexpr std::string_view end = "\r\n\r\n";
  const std::size_t before = answer_.size();
  answer_.append(input.substr(0, longest_answer - before));
  // The end may have begun in the bytes before.
  const std::size_t found = answer_.find(end, before - std::min(before, end.size() - 1));
  if (found == std::string::npos) {
    input.remove_prefix(answer_.size() - before);
    return answer_.size() < longest_answer ? Result::more : refuse("its answer to CONNECT has no end");
  }
  input.remove_prefix(found + end.size() - before);
  const std::string_view line = std::string_view(answer_).substr(0, answer_.find("\r\n"));
  const bool is_http = line.starts_with("HTTP/1.") && line.size() >= 12;
  if (!is_http) return refuse("it does not speak HTTP/1: \"" + util::one_line(line) + "\"");
  return line[9] == '2' ? Result::open : refuse("it answered \"" + util::one_line(line) + "\"");
}

Tunnel::Result Tunnel::refuse(std::string why) {
  error_ = std::move(why);
  return Result::refused;
}

}  // namespace norikv::transport::h2
