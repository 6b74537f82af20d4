#include "transport/grpc/connect_failure.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

// Pure: gRPC's texts in, explanations out. That gRPC says these texts is shown by security_test.cpp.
namespace norikv::transport {
namespace {

using Certificate = SecurityFacts::Certificate;

const SecurityFacts plaintext{};
const SecurityFacts tls{.tls = true};
const SecurityFacts own_ca{.tls = true, .own_ca = true};
const SecurityFacts with_name{.tls = true, .own_ca = true, .server_name = "node.test"};
const SecurityFacts with_certificate{.tls = true, .own_ca = true, .certificate = Certificate::valid};
const SecurityFacts with_ended{.tls = true, .own_ca = true, .certificate = Certificate::ended};

std::string failed(const std::string& why) {
  return "failed to connect to all addresses; last error: UNKNOWN: ipv6:%5B::1%5D:7447: " + why;
}
const std::string verify =
    "Ssl handshake failed: SSL_ERROR_SSL: error:0A000086:SSL routines::certificate verify failed";
const std::string version = "Ssl handshake failed: SSL_ERROR_SSL: error:0A00010B:SSL routines::wrong version number";
const std::string required =
    "Ssl handshake failed: SSL_ERROR_SSL: error:0A00045C:SSL routines::tlsv13 alert certificate required";
const std::string unknown_ca =
    "Ssl handshake failed: SSL_ERROR_SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca";
const std::string refused =
    "Ssl handshake failed: SSL_ERROR_SSL: error:0A000410:SSL routines::sslv3 alert handshake failure";
const std::string old_version =
    "Ssl handshake failed: SSL_ERROR_SSL: error:0A00042E:SSL routines::tlsv1 alert protocol version";
const std::string no_http2 =
    "Ssl handshake failed: SSL_ERROR_SSL: error:0A000460:SSL routines::tlsv1 alert no application protocol";
const std::string no_alpn = "Cannot check peer: missing selected ALPN property.";
const std::string no_such_name =
    "Ssl handshake failed: SSL_ERROR_SSL: error:0A000458:SSL routines::tlsv1 unrecognized name";
const std::string other_handshake =
    "Ssl handshake failed: SSL_ERROR_SSL: error:0A000432:SSL routines::tlsv1 alert decode error";
const std::string name = "Peer name node.test is not in peer certificate";

struct Case {
  SecurityFacts facts;
  std::string why;
  std::vector<std::string> named;      // causes the text has to name
  std::vector<std::string> not_named;  // causes that the configuration rules out
};

const std::vector<Case>& cases() {
  static const std::vector<Case> table = {
      // A server's certificate: authority and time give one text.
      {own_ca, verify, {"not signed by TlsOptions::ca", "expired", "not valid yet"}, {"of the system", "client"}},
      {tls, verify, {"an authority of the system", "TlsOptions::ca names no other", "expired"}, {"client"}},
      {own_ca, name, {"the name under which the node is dialled", "TlsOptions::server_name"}, {"expired", "signed"}},
      {with_name, name, {"TlsOptions::server_name \"node.test\""}, {"dialled", "expired"}},
      // A server without TLS.
      {own_ca, version, {"speaks no TLS"}, {"certificate"}},
      {with_certificate, version, {"speaks no TLS"}, {"certificate"}},
      // A client's certificate: the server says what is wrong, or closes.
      {own_ca, required, {"asks for a client certificate", "TlsOptions::certificate has none"}, {"no TLS"}},
      {with_certificate, unknown_ca, {"does not accept TlsOptions::certificate"}, {"expired", "no TLS"}},
      {with_ended, unknown_ca, {"does not accept TlsOptions::certificate", "expired"}, {"no TLS"}},
      {own_ca, "Socket closed", {"may ask for a client certificate", "speaks no TLS"}, {"expired"}},
      {with_certificate, "Socket closed", {"may not know the authority", "speaks no TLS"}, {"expired", "has none"}},
      {with_ended, "Socket closed", {"TlsOptions::certificate, which has expired", "speaks no TLS"}, {"has none"}},
      {with_certificate, "recvmsg:Connection reset by peer", {"may not know the authority"}, {}},
      {own_ca, "Endpoint read failed", {"may ask for a client certificate", "speaks no TLS"}, {"expired"}},
      // What was said while the two sides looked for something in common.
      {own_ca, refused, {"another client certificate", "no cipher"}, {"asks for a client", "no TLS"}},
      {own_ca, old_version, {"no version of TLS from 1.2 on"}, {"certificate"}},
      {own_ca, no_http2, {"does not agree to speak HTTP/2 (ALPN)"}, {"certificate"}},
      {own_ca, no_alpn, {"does not agree to speak HTTP/2 (ALPN)"}, {"certificate"}},
      {with_name, no_such_name, {"serves nothing under TlsOptions::server_name \"node.test\""}, {"certificate"}},
      {own_ca, no_such_name, {"under which the node is dialled"}, {"certificate"}},
      // A client without TLS.
      {plaintext, "Socket closed", {"may want TLS", "ClientOptions::tls is not set"}, {"certificate"}},
      {plaintext, "recvmsg:Connection reset by peer", {"may want TLS"}, {"certificate"}},
      // Anything else that the handshake met.
      {own_ca, other_handshake, {"the TLS handshake failed"}, {"expired", "certificate"}},
  };
  return table;
}

bool holds(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

TEST_CASE("A connection that failed is explained by the causes that the configuration leaves open") {
  for (const Case& one : cases()) {
    const std::string explained = explain_connect_failure(failed(one.why), one.facts);
    INFO(one.why << "\n -> " << explained);
    const std::string cause = explained.substr(0, explained.find(" ("));
    for (const std::string& words : one.named) CHECK(holds(explained, words));
    for (const std::string& words : one.not_named)
      CHECK_FALSE(holds(explained.substr(0, explained.rfind(" (")), words));
    CHECK(explained.ends_with(" (" + one.why + ")"));
    CHECK(cause.size() < 180);  // it has to survive where foreign texts are cut
  }
}

TEST_CASE("A connection that failed for another reason keeps gRPC's text") {
  for (const SecurityFacts& facts : {plaintext, tls, with_certificate}) {
    for (const std::string why : {"Connection refused", "No route to host", "connect timed out"})
      CHECK(explain_connect_failure(failed(why), facts) == failed(why));
    CHECK(explain_connect_failure("DNS resolution failed for x", facts) == "DNS resolution failed for x");
    CHECK(explain_connect_failure("", facts).empty());
  }
  // Without TLS there is no handshake to fail.
  CHECK(explain_connect_failure(failed(verify), plaintext) == failed(verify));
}

TEST_CASE("Options that gRPC does not take are explained") {
  CHECK(holds(explain_connect_failure("empty address list: ", tls), "finds no authorities in the system"));
  CHECK(holds(explain_connect_failure("empty address list: ", own_ca), "does not take the TLS options"));
  CHECK(explain_connect_failure("empty address list: ", plaintext) == "empty address list: ");
}

TEST_CASE("Only gRPC's texts about connections say that there was none") {
  CHECK(found_no_connection(failed("Connection refused")));
  CHECK(found_no_connection("failed to connect to all addresses"));
  CHECK(found_no_connection("DNS resolution failed for x"));
  CHECK(found_no_connection("empty address list: "));
  CHECK_FALSE(found_no_connection("Socket closed"));
  CHECK_FALSE(found_no_connection(""));
  CHECK_FALSE(found_no_connection("the node failed to connect to all addresses"));
}

}  // namespace
}  // namespace norikv::transport
