#include "transport/grpc/connect_failure.hpp"

#include <initializer_list>

namespace norikv::transport {
namespace {

bool says(std::string_view text, std::initializer_list<std::string_view> any_of) {
  for (const std::string_view words : any_of) {
    if (text.find(words) != std::string_view::npos) return true;
  }
  return false;
}

// gRPC passes on no more than the alert, and this one has several causes.
constexpr std::string_view refused_handshake =
    "the server refuses the TLS handshake: it may ask for another client certificate, or the two sides may have no "
    "cipher, curve or signature in common";

// The texts are gRPC's and OpenSSL's; tests/transport/security_test.cpp sees them come.
std::string cause(std::string_view text, const SecurityFacts& facts) {
  if (facts.tls) {
    if (says(text, {"is not in peer certificate", "Hostname Verification"})) return not_the_name(facts);
    if (says(text, {"certificate verify failed", "CERTIFICATE_VERIFY_FAILED"})) return bad_server_certificate(facts);
    if (says(text, {"wrong version number", "WRONG_VERSION_NUMBER", "packet length too long", "http request"}))
      return std::string(speaks_no_tls);
    if (says(text, {"certificate required", "alert bad certificate", "alert certificate", "alert unknown ca",
                    "alert unsupported certificate"}))
      return refused_certificate(facts);
    if (says(text, {"alert handshake failure"})) return std::string(refused_handshake);
    if (says(text, {"alert protocol version", "unsupported protocol"})) return std::string(speaks_old_tls);
    if (says(text, {"no application protocol", "selected ALPN"})) return std::string(speaks_no_http2);
    if (says(text, {"unrecognized name"})) return unknown_name(facts);
    if (says(text, {"empty address list"}))
      return facts.own_ca ? "gRPC does not take the TLS options"
                          : "gRPC does not take the TLS options, or finds no authorities in the system (TlsOptions::ca "
                            "names none)";
    if (says(text, {"Ssl handshake failed", "handshake failed", "SSL_ERROR"})) return "the TLS handshake failed";
  }
  if (says(text, {"Socket closed", "Connection reset by peer", "Broken pipe", "Endpoint read failed"}))
    return silent_end(facts);
  return {};
}

// "failed to connect to all addresses; last error: UNKNOWN: ipv4:1.2.3.4:7447: Socket closed" -> "Socket closed"
std::string_view last_error(std::string_view text) {
  constexpr std::string_view intro = "last error: ";
  const std::size_t at = text.find(intro);
  if (at == std::string_view::npos) return text;
  text.remove_prefix(at + intro.size());
  // Behind the status and the address, which has colons of its own but none with a space.
  for (int parts = 0; parts < 2; ++parts) {
    const std::size_t end = text.find(": ");
    if (end != std::string_view::npos) text.remove_prefix(end + 2);
  }
  return text;
}

}  // namespace

bool found_no_connection(std::string_view text) noexcept {
  return text.starts_with("failed to connect to all addresses") || text.starts_with("DNS resolution failed") ||
         text.starts_with("empty address list");
}

std::string explain_connect_failure(std::string_view text, const SecurityFacts& facts) {
  std::string explained = cause(text, facts);
  if (explained.empty()) return std::string(text);
  return explained.append(" (").append(last_error(text)).append(")");
}

}  // namespace norikv::transport
