#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "transport/openssl_server.hpp"
#include "transport/raw_peer.hpp"
#include "transport/test_client.hpp"

// TLS with a server that refuses in TLS itself, which a gRPC server seldom does: the alert is told, and what it means.
// gRPC's transport says the same about what was sent; what it makes of its texts is in connect_failure_test.cpp.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;
using core::Sent;
using core::TlsMaterial;
using Options = std::vector<std::string>;

constexpr int unavailable = 14;

TransportKind each_kind() { return GENERATE(from_range(transport_kinds())); }
bool is_h2(const TransportKind& kind) { return std::string_view{kind.name} == "h2"; }
bool holds(const std::string& text, std::string_view words) { return text.find(words) != std::string::npos; }

TlsMaterial nobody() { return {.ca = certificates().ca}; }
TlsMaterial known_as(const Identity& identity) {
  return {.ca = certificates().ca, .certificate = identity.certificate, .key = identity.key};
}

const Options speaking{"-alpn", "h2"};
const Options asking{"-alpn", "h2", "-Verify", "1", "-verify_return_error", "-CAfile", "ca.pem"};

Options both(Options options, const Options& more) {
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

bool is_missing() {
  if (OpensslServer::available()) return false;
  WARN("The command openssl is missing: skipped");
  return true;
}

/// The call fails, was not sent, and is explained; h2 tells the alert and what it means.
void check_refusal(const Options& options, const TlsMaterial& material, std::string_view alert,
                   std::string_view explanation) {
  const TransportKind kind = each_kind();
  OpensslServer server(certificates().server, options, [](RawConnection&) {});
  TestClient client(kind, {server.address()}, {}, material);
  const core::Reply reply = client.call(server.address());
  INFO(kind.name << ": " << reply.message);
  CHECK(reply.status == unavailable);
  CHECK(reply.sent == Sent::not_sent);
  CHECK_FALSE(reply.message.starts_with("failed to connect"));
  if (!is_h2(kind)) return;
  CHECK(holds(reply.message, alert));
  CHECK(holds(reply.message, explanation));
}

/// The twin of a refusal: the same, but for what was refused.
void check_success(const Options& options, const TlsMaterial& material) {
  const TransportKind kind = each_kind();
  OpensslServer server(certificates().server, options, answer_all);
  TestClient client(kind, {server.address()}, {}, material);
  const core::Reply reply = client.call(server.address());
  INFO(kind.name << ": " << reply.message);
  CHECK(reply.status == 0);
}

TEST_CASE("tls: a server that wants a certificate says so in an alert of its own, with TLS 1.3") {
  if (is_missing()) return;
  check_refusal(both(asking, {"-tls1_3"}), nobody(), "alert certificate required",
                "asks for a client certificate, and TlsOptions::certificate has none");
}

TEST_CASE("tls: a server that wants a certificate refuses the handshake, with TLS 1.2") {
  if (is_missing()) return;
  check_refusal(both(asking, {"-tls1_2"}), nobody(), "alert handshake failure",
                "asks for a client certificate, and TlsOptions::certificate has none");
}

TEST_CASE("tls: a server that wants a certificate takes a good one, with either version") {
  if (is_missing()) return;
  const char* const version = GENERATE("-tls1_2", "-tls1_3");
  check_success(both(asking, {version}), known_as(certificates().client));
}

TEST_CASE("tls: an alert about the client's certificate names its authority, or its end") {
  if (is_missing()) return;
  const char* const version = GENERATE("-tls1_2", "-tls1_3");
  check_refusal(both(asking, {version}), known_as(certificates().foreign_client), "alert unknown ca",
                "it is signed by an authority that the server does not know");
  TlsMaterial expired = known_as(certificates().expired_client);
  expired.certificate_ends = std::chrono::system_clock::now() - 24h;
  check_refusal(both(asking, {version}), expired, "alert certificate expired", "which has expired");
}

TEST_CASE("tls: a server that only has old versions of TLS") {
  if (is_missing()) return;
  check_refusal({"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, nobody(), "alert protocol version",
                "the server has no version of TLS from 1.2 on");
}

TEST_CASE("tls: a server with one of the versions that are spoken is reached") {
  if (is_missing()) return;
  const char* const version = GENERATE("-tls1_2", "-tls1_3");
  check_success(both(speaking, {version}), nobody());
}

TEST_CASE("tls: a server without a cipher in common is not taken for one that wants a certificate") {
  if (is_missing()) return;
  // The keys of the certificates are for curves, and this cipher wants RSA; the other one is in nobody's list.
  const Options options = GENERATE(Options{"-tls1_2", "-cipher", "AES128-SHA"},
                                   Options{"-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"});
  check_refusal(both(speaking, options), nobody(), "alert handshake failure",
                "may have no cipher, curve or signature in common");
}

TEST_CASE("tls: a server with one cipher in common is reached") {
  if (is_missing()) return;
  const Options options = GENERATE(Options{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"},
                                   Options{"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"});
  check_success(both(speaking, options), nobody());
}

TEST_CASE("tls: a server that speaks another protocol refuses HTTP/2 in an alert") {
  if (is_missing()) return;
  check_refusal({"-alpn", "http/1.1"}, nobody(), "alert no application protocol",
                "the server does not agree to speak HTTP/2 (ALPN)");
}

TEST_CASE("tls: a server that does not say what it speaks is not taken for one of HTTP/2") {
  if (is_missing()) return;
  check_refusal({}, nobody(), "(ALPN)", "the server does not agree to speak HTTP/2 (ALPN)");
}

TEST_CASE("tls: a server that serves nothing under the name to expect") {
  if (is_missing()) return;
  TlsMaterial material = nobody();
  material.server_name = "node.norikv.test";
  check_refusal({"-servername", "other.test", "-servername_fatal", "-cert2", "cert.pem", "-key2", "key.pem"}, material,
                "unrecognized name", "the server serves nothing under TlsOptions::server_name \"node.norikv.test\"");
}

}  // namespace
}  // namespace norikv::test
