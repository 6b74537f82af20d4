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

std::string of_name(const SecurityFacts& facts) {
  if (facts.server_name.empty())
    return "the server's certificate does not hold the name under which the node is dialled, and "
           "TlsOptions::server_name names no other";
  return "the server's certificate does not hold TlsOptions::server_name \"" + facts.server_name + "\"";
}

std::string of_server_certificate(const SecurityFacts& facts) {
  return std::string("the server's certificate is not signed by ") +
         (facts.own_ca ? "TlsOptions::ca" : "an authority of the system (TlsOptions::ca names no other)") +
         ", has expired or is not valid yet";
}

// The server said in TLS that it does not take the client's certificate.
std::string of_own_certificate(const SecurityFacts& facts) {
  switch (facts.certificate) {
    case SecurityFacts::Certificate::none:
      return "the server asks for a client certificate, and TlsOptions::certificate has none";
    case SecurityFacts::Certificate::ended:
      return "the server does not accept TlsOptions::certificate, which has expired";
    case SecurityFacts::Certificate::valid:
      return "the server does not accept TlsOptions::certificate: it is signed by an authority that the server does "
             "not "
             "know, or is not valid by the server's clock";
  }
  return {};
}

// The connection ended without a word. With TLS 1.3 the client's side of the handshake is over before the server has
// judged the client's certificate; a server without TLS often closes too.
std::string of_silent_end(const SecurityFacts& facts) {
  if (!facts.tls) return "the server closed the new connection: it may want TLS, and ClientOptions::tls is not set";
  switch (facts.certificate) {
    case SecurityFacts::Certificate::none:
      return "the server closed the new connection: it may ask for a client certificate, and TlsOptions::certificate "
             "has none; or it speaks no TLS";
    case SecurityFacts::Certificate::ended:
      return "the server closed the new connection: it may refuse TlsOptions::certificate, which has expired; or it "
             "speaks no TLS";
    case SecurityFacts::Certificate::valid:
      return "the server closed the new connection: it may not know the authority of TlsOptions::certificate; or it "
             "speaks no TLS";
  }
  return {};
}

// The texts are gRPC's and OpenSSL's; tests/transport/grpc_security_test.cpp sees them come.
std::string cause(std::string_view text, const SecurityFacts& facts) {
  if (facts.tls) {
    if (says(text, {"is not in peer certificate", "Hostname Verification"})) return of_name(facts);
    if (says(text, {"certificate verify failed", "CERTIFICATE_VERIFY_FAILED"})) return of_server_certificate(facts);
    if (says(text, {"wrong version number", "WRONG_VERSION_NUMBER", "packet length too long", "http request"}))
      return "the server speaks no TLS on this port, and ClientOptions::tls is set";
    if (says(text, {"certificate required", "alert bad certificate", "alert certificate", "alert unknown ca",
                    "alert handshake failure", "alert unsupported certificate"}))
      return of_own_certificate(facts);
    if (says(text, {"empty address list"}))
      return facts.own_ca ? "gRPC does not take the TLS options"
                          : "gRPC does not take the TLS options, or finds no authorities in the system (TlsOptions::ca "
                            "names none)";
    if (says(text, {"Ssl handshake failed", "handshake failed", "SSL_ERROR"})) return "the TLS handshake failed";
  }
  if (says(text, {"Socket closed", "Connection reset by peer", "Broken pipe"})) return of_silent_end(facts);
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
