#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"
#include "transport/test_client.hpp"

// TLS, the same for every transport: what works, and what is said about what does not. `explain_connect_failure` rests
// on gRPC's texts here. If a new gRPC makes one of these fail, its table has to be thought through again.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;
using core::Sent;
using core::TlsMaterial;

constexpr int unavailable = 14;
constexpr int invalid_argument = 3;

TransportKind each_kind() { return GENERATE(from_range(transport_kinds())); }

ServerTls serving(const Identity& identity, const std::string& client_ca = {}) {
  return {identity.certificate, identity.key, client_ca};
}
TlsMaterial trusting(const std::string& ca) { return {.ca = ca}; }
TlsMaterial known_as(const Identity& identity) {
  return {.ca = certificates().ca, .certificate = identity.certificate, .key = identity.key};
}
TlsMaterial known_as_expired() {
  TlsMaterial material = known_as(certificates().expired_client);
  material.certificate_ends = std::chrono::system_clock::now() - 24h;
  return material;
}
TlsMaterial naming(const std::string& server_name) { return {.ca = certificates().ca, .server_name = server_name}; }

bool holds(const std::string& text, std::string_view words) { return text.find(words) != std::string::npos; }

/// FIN or RST, as it comes.
const std::vector<std::string_view> silent_end{"Socket closed", "Connection reset by peer", "Broken pipe"};

/// What both a call and a topology stream tell about a server they can't come to terms with: the text of gRPC or of
/// OpenSSL, and the explanation. Neither was sent.
void check_refusal(const std::optional<ServerTls>& server_tls, const std::optional<TlsMaterial>& client_tls,
                   const std::vector<std::string_view>& own_texts, std::string_view explanation) {
  const TransportKind kind = each_kind();
  for (const Form form : usable_forms()) {
    INFO(kind.name << " " << to_string(form));
    ScriptedServer server(always({}), listen_text(form), server_tls);
    const std::string address = dial_text(form, server.address(), server.port());
    TestClient client(kind, {address}, {}, client_tls);
    const core::WatchId stream = client.watch(address);
    const core::Reply reply = client.call(address);
    INFO(reply.message);
    CHECK(reply.status == unavailable);
    CHECK(reply.sent == Sent::not_sent);
    CHECK(std::ranges::any_of(own_texts, [&](std::string_view text) { return holds(reply.message, text); }));
    CHECK(holds(reply.message, explanation));
    const core::StreamEnd end = client.end_of(stream);
    CHECK(end.status == unavailable);
    CHECK(holds(end.message, explanation));
    CHECK(server.calls() == 0);
  }
}

/// A call and a stream arrive.
void check_success(const ServerTls& server_tls, const TlsMaterial& client_tls) {
  const TransportKind kind = each_kind();
  for (const Form form : usable_forms()) {
    INFO(kind.name << " " << to_string(form));
    ScriptedServer server(silent(), listen_text(form), server_tls);
    const std::string address = dial_text(form, server.address(), server.port());
    TestClient client(kind, {address}, {}, client_tls);
    const core::CallId call = client.start(address);
    const core::WatchId stream = client.watch(address);
    REQUIRE(client.run_until([&] { return server.calls() == 2; }));
    server.call(0).answer({});
    server.call(1).answer({});
    CHECK(client.reply_of(call).status == 0);
    CHECK(client.end_of(stream).status == 0);
  }
}

TEST_CASE("tls: a server whose certificate is signed by the authority is reached under every form of address") {
  check_success(serving(certificates().server), trusting(certificates().ca));
}

TEST_CASE("tls: a server that asks for a client certificate is reached with one") {
  check_success(serving(certificates().server, certificates().ca), known_as(certificates().client));
}

TEST_CASE("tls: a server with another name is reached when that is the one to expect") {
  check_success(serving(certificates().named_server), naming("node.norikv.test"));
}

TEST_CASE("tls: a server certificate of another authority") {
  check_refusal(serving(certificates().foreign_server), trusting(certificates().ca), {"certificate verify failed"},
                "not signed by TlsOptions::ca");
}

TEST_CASE("tls: a server certificate of an authority the system does not know") {
  check_refusal(serving(certificates().server), TlsMaterial{}, {"certificate verify failed"},
                "an authority of the system");
}

TEST_CASE("tls: an expired server certificate gets the same text") {
  check_refusal(serving(certificates().expired_server), trusting(certificates().ca), {"certificate verify failed"},
                "has expired");
}

TEST_CASE("tls: a server certificate for another name") {
  check_refusal(serving(certificates().named_server), trusting(certificates().ca),
                {"is not in peer certificate", "mismatch"}, "the name under which the node is dialled");
}

TEST_CASE("tls: a server certificate that does not hold the name to expect") {
  check_refusal(serving(certificates().server), naming("node.norikv.test"), {"is not in peer certificate", "mismatch"},
                "TlsOptions::server_name \"node.norikv.test\"");
}

TEST_CASE("tls: a plaintext client at a TLS server") {
  check_refusal(serving(certificates().server), std::nullopt, silent_end, "it may want TLS");
}

TEST_CASE("tls: a TLS client at a plaintext server") {
  check_refusal(std::nullopt, trusting(certificates().ca), {"wrong version number"}, "speaks no TLS");
}

TEST_CASE("tls: a client without the certificate that the server asks for") {
  check_refusal(serving(certificates().server, certificates().ca), trusting(certificates().ca), silent_end,
                "may ask for a client certificate");
}

TEST_CASE("tls: a client whose certificate is of an authority the server does not know") {
  check_refusal(serving(certificates().server, certificates().ca), known_as(certificates().foreign_client), silent_end,
                "may not know the authority of TlsOptions::certificate");
}

TEST_CASE("tls: a client whose certificate has expired") {
  check_refusal(serving(certificates().server, certificates().ca), known_as_expired(), silent_end,
                "TlsOptions::certificate, which has expired");
}

TEST_CASE("tls: a server that is not there is told as without TLS") {
  const RawPeer refusing(Form::ipv4);
  TestClient client(each_kind(), {refusing.address()}, {}, trusting(certificates().ca));
  const core::Reply reply = client.call(refusing.address());
  CHECK(reply.sent == Sent::not_sent);
  CHECK(holds(reply.message, "Connection refused"));
  CHECK_FALSE(holds(reply.message, "Tls"));
}

TEST_CASE("tls: a peer that accepts and stays silent is given up after the connect timeout, and nothing was sent") {
  RawPeer mute(Form::ipv4, [](RawConnection& connection) { connection.read_to_end(); });
  TestClient client(each_kind(), {mute.address()}, {.connect_timeout = 200ms}, trusting(certificates().ca));
  const core::Reply reply = client.call(mute.address());
  INFO(reply.message);
  CHECK(reply.status == unavailable);
  CHECK(reply.sent == Sent::not_sent);
}

TEST_CASE("tls: a connection that ends after the request is unknown") {
  ScriptedServer server(silent(), "127.0.0.1:0", serving(certificates().server));
  TestClient client(each_kind(), {server.address()}, {}, trusting(certificates().ca));
  const core::CallId id = client.start(server.address());
  REQUIRE(client.run_until([&] { return server.calls() == 1; }));
  server.stop();
  const core::Reply reply = client.reply_of(id);
  CHECK(reply.status == unavailable);
  CHECK(reply.sent == Sent::unknown);
}

TEST_CASE("tls: a text that a server copied from gRPC's own is neither believed nor explained") {
  const std::string copied = "failed to connect to all addresses; last error: UNKNOWN: x: Socket closed";
  ScriptedServer server(always({.status = unavailable, .message = copied, .body = std::nullopt}), "127.0.0.1:0",
                        serving(certificates().server));
  TestClient client(each_kind(), {server.address()}, {}, trusting(certificates().ca));
  const core::Reply reply = client.call(server.address());
  CHECK(reply.sent == Sent::unknown);
  CHECK(reply.message == copied);
}

TEST_CASE("tls: new certificates are used by new connections, and calls under way end on the old ones") {
  ScriptedServer server(silent(), "127.0.0.1:0", serving(certificates().server, certificates().ca));
  TestClient client(each_kind(), {server.address()}, {}, known_as(certificates().client));
  const core::CallId before = client.start(server.address());
  const core::WatchId stream = client.watch(server.address());
  REQUIRE(client.run_until([&] { return server.calls() == 2; }));

  client.transport().secure(known_as(certificates().renewed_client));
  const core::CallId after = client.start(server.address());
  REQUIRE(client.run_until([&] { return server.calls() == 3; }));
  CHECK(server.connections() == 2);
  for (std::size_t call = 0; call < 3; ++call) server.call(call).answer({});
  CHECK(client.reply_of(before).status == 0);
  CHECK(client.reply_of(after).status == 0);
  CHECK(client.end_of(stream).status == 0);
}

TEST_CASE("tls: certificates that the server does not take make new calls fail, and good ones let them pass again") {
  ScriptedServer server(always({}), "127.0.0.1:0", serving(certificates().server));
  TestClient client(each_kind(), {server.address()}, {}, trusting(certificates().ca));
  REQUIRE(client.call(server.address()).status == 0);
  client.transport().secure(trusting(certificates().other_ca));
  CHECK(client.call(server.address()).sent == Sent::not_sent);
  client.transport().secure(trusting(certificates().ca));
  CHECK(client.call(server.address()).status == 0);
}

TEST_CASE("tls: a node that is retained later is secured as the others") {
  ScriptedServer server(always({}), "127.0.0.1:0", serving(certificates().server));
  TestClient client(each_kind(), {}, {}, trusting(certificates().ca));
  client.transport().retain({server.address()});
  CHECK(client.call(server.address()).status == 0);
}

TEST_CASE("metadata goes with calls and topology streams") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  const core::Metadata metadata{{"authorization", "Bearer abc"}, {"x-other", "1"}};
  const core::CallId call = client.start(server.address(), {.metadata = metadata});
  const core::WatchId stream = client.watch(server.address(), metadata);
  REQUIRE(client.run_until([&] { return server.calls() == 2; }));
  for (std::size_t index = 0; index < 2; ++index) {
    CHECK(server.call(index).metadata("authorization") == "Bearer abc");
    CHECK(server.call(index).metadata("x-other") == "1");
    server.call(index).answer({});
  }
  (void)client.reply_of(call);
  (void)client.end_of(stream);
}

TEST_CASE("a topology stream with metadata that HTTP/2 can't carry is refused") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  CHECK(client.end_of(client.watch(server.address(), {{"authorization", "a\nb"}})).status == invalid_argument);
  CHECK(client.end_of(client.watch(server.address(), {{"Authorization", "ab"}})).status == invalid_argument);
  CHECK(server.calls() == 0);
}

}  // namespace
}  // namespace norikv::test
