#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/guest.hpp"
#include "support/certificates.hpp"
#include "support/folder.hpp"

// TLS through the public client, each case with a good and a bad outcome.
using namespace norikv;
using namespace norikv::test;

namespace {

testing::ServerTls shown(const Identity& identity, const std::string& client_ca = {}) {
  return {identity.certificate, identity.key, client_ca};
}

Cluster serving(const std::optional<testing::ServerTls>& tls) {
  ClusterConfig config{.election = 5ms};
  config.tls = tls;
  return start(config);
}

TlsOptions trusting(const std::string& ca) { return {.ca = {.text = ca}}; }
TlsOptions known_as(const Identity& identity) {
  return {
      .ca = {.text = certificates().ca}, .certificate = {.text = identity.certificate}, .key = {.text = identity.key}};
}
TlsOptions naming(const std::string& name) { return {.ca = {.text = certificates().ca}, .server_name = name}; }

/// What a client says, by any way but its results.
struct Heard {
  std::string log;
  std::string streams;
};

ClientOptions options_for(const Cluster& cluster, const std::optional<TlsOptions>& tls, Heard* heard = nullptr) {
  ClientOptions options = cluster.client_options();
  options.tls = tls;
  options.connection.reconnect = {20ms, 100ms};
  if (heard != nullptr) {
    options.log_level = LogLevel::debug;
    options.log = [heard](LogLevel, std::string_view line) { heard->log.append(line).append("\n"); };
  }
  return options;
}

bool holds(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

/// Whether a text holds a part of a PEM text.
bool leaks(const std::string& text, const std::string& pem) {
  for (std::size_t at = pem.find('\n') + 1; at + 12 <= pem.size(); at += 4) {
    if (holds(text, pem.substr(at, 12))) return true;
  }
  return false;
}

void check_success(const testing::ServerTls& server, const TlsOptions& client) {
  Cluster cluster = serving(server);
  Guest guest{options_for(cluster, client)};
  CHECK(ended(guest.ready({.timeout = 10s, .need = Need::all_nodes})) == "ok");
  CHECK(ended(guest.put("key", "value")) == "ok");
  CHECK(value_of(guest.get("key")) == "value");
  CHECK(ended(guest.remove("key")) == "ok");
}

/// The error of a write, the log and the connection's event name the cause, and none of them a secret.
void check_failure(const std::optional<testing::ServerTls>& server, const std::optional<TlsOptions>& client,
                   const std::string& cause) {
  Cluster cluster = serving(server);
  Heard heard;
  Guest guest{options_for(cluster, client, &heard)};
  const auto subscription = guest->connections().subscribe(
      [&](const ConnectionEvent& event) { heard.streams.append(event.detail).append("\n"); });
  Result<Written> written = guest.put("key", "value", {.timeout = 500ms});
  REQUIRE_FALSE(written.has_value());
  // A busy machine may need longer for its first handshake: the error then lists no attempt yet.
  for (int tries = 0; written.error().attempts.empty() && tries < 20; ++tries) {
    written = guest.put("key", "value", {.timeout = 500ms});
    REQUIRE_FALSE(written.has_value());
  }
  const std::string told = written.error().describe();
  INFO(told);
  CHECK((written.error().code == ErrorCode::unavailable || written.error().code == ErrorCode::deadline_exceeded));
  CHECK_FALSE(written.error().maybe_applied);
  CHECK(holds(told, cause));
  REQUIRE(guest.loop().run_until([&] { return holds(heard.streams, cause) && holds(heard.log, cause); }));
  for (const std::string& text : {told, heard.log, heard.streams}) {
    if (!client) continue;
    CHECK_FALSE(leaks(text, client->ca.text));
    CHECK_FALSE(leaks(text, client->certificate.text));
    CHECK_FALSE(leaks(text, client->key.text));
  }
  CHECK(cluster.counters().puts == 0);
  CHECK_FALSE(cluster.stored("key").has_value());
}

}  // namespace

TEST_CASE("TLS works with a server whose certificate the authority signed") {
  check_success(shown(certificates().server), trusting(certificates().ca));
}
TEST_CASE("TLS with several authorities takes a server of any of them") {
  check_success(shown(certificates().server), trusting(certificates().other_ca + certificates().ca));
}
TEST_CASE("A server certificate of another authority is told as such, or as expired") {
  check_failure(shown(certificates().foreign_server), trusting(certificates().ca), "not signed by TlsOptions::ca");
}
TEST_CASE("An expired server certificate is told as such, or as one of another authority") {
  check_failure(shown(certificates().expired_server), trusting(certificates().ca), "has expired");
}
TEST_CASE("Without an authority of its own the client trusts the system's") {
  check_failure(shown(certificates().server), TlsOptions{}, "not signed by an authority of the system");
}

TEST_CASE("A server with another name works when that name is expected") {
  check_success(shown(certificates().named_server), naming("node.norikv.test"));
}
TEST_CASE("A server certificate for another name is told as such") {
  check_failure(shown(certificates().named_server), trusting(certificates().ca), "TlsOptions::server_name");
}
TEST_CASE("A server that does not hold the expected name is told by that name") {
  check_failure(shown(certificates().server), naming("node.norikv.test"), "\"node.norikv.test\"");
}

TEST_CASE("Mutual TLS works with a certificate that the server's authority signed") {
  check_success(shown(certificates().server, certificates().ca), known_as(certificates().client));
}
TEST_CASE("A missing client certificate is told as the likely cause") {
  check_failure(shown(certificates().server, certificates().ca), trusting(certificates().ca),
                "TlsOptions::certificate has none");
}
TEST_CASE("A client certificate of another authority is told as the likely cause") {
  check_failure(shown(certificates().server, certificates().ca), known_as(certificates().foreign_client),
                "may not know the authority of TlsOptions::certificate");
}
TEST_CASE("An expired client certificate is told as the likely cause") {
  check_failure(shown(certificates().server, certificates().ca), known_as(certificates().expired_client),
                "TlsOptions::certificate, which has expired");
}

TEST_CASE("A plaintext client at a TLS server is told to use TLS") {
  check_failure(shown(certificates().server), std::nullopt, "may want TLS, and ClientOptions::tls is not set");
}
TEST_CASE("A TLS client at a plaintext server is told that there is no TLS") {
  check_failure(std::nullopt, trusting(certificates().ca), "speaks no TLS");
}

TEST_CASE("An operation that waits for a connection goes on when the right certificates come") {
  Cluster cluster = serving(shown(certificates().server, certificates().ca));
  Guest guest{options_for(cluster, trusting(certificates().other_ca))};
  const PutOutcome written;
  guest->put("key", "value", {.timeout = 20s}, written.callback());
  guest.loop().run_for(50ms);  // real time: that it does not end
  REQUIRE_FALSE(written.came());
  REQUIRE(guest->set_tls(known_as(certificates().client)).has_value());
  REQUIRE(guest.wait(written, 20s));
  CHECK(ended(written) == "ok");
  CHECK(ended(guest.ready({.timeout = 10s, .need = Need::all_nodes})) == "ok");
}

TEST_CASE("Certificates are replaced under load: calls under way end, and none fails") {
  Cluster cluster = serving(shown(certificates().server, certificates().ca));
  ClientOptions options = options_for(cluster, known_as(certificates().client));
  options.retry.attempt_timeout = 20s;  // calls stay under way however long the rest takes
  Guest guest{options};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  const auto before = cluster.counters().connections;

  cluster.freeze(0);
  const std::vector<GetOutcome> under_way(8);
  const auto arrived = cluster.counters().gets + 8;
  for (const GetOutcome& outcome : under_way) guest->get("key", {.timeout = 20s}, outcome.callback());
  REQUIRE(guest.loop().run_until([&] { return cluster.counters().gets >= arrived; }));
  REQUIRE(guest->set_tls(known_as(certificates().renewed_client)).has_value());
  const std::vector<GetOutcome> later(8);
  for (const GetOutcome& outcome : later) guest->get("key", {.timeout = 20s}, outcome.callback());
  REQUIRE(guest.loop().run_until([&] { return cluster.counters().gets >= arrived + 8; }));
  CHECK(cluster.counters().connections == before + 1);
  cluster.thaw(0);
  REQUIRE(guest.wait(under_way));
  REQUIRE(guest.wait(later));
  for (const GetOutcome& outcome : under_way) CHECK(ended(outcome) == "ok");
  for (const GetOutcome& outcome : later) CHECK(ended(outcome) == "ok");
}

TEST_CASE("Topology streams move to a connection with the new certificates, without a word of trouble") {
  Cluster cluster = serving(shown(certificates().server, certificates().ca));
  Guest guest{options_for(cluster, known_as(certificates().client))};
  REQUIRE(ended(guest.ready({.timeout = 10s, .need = Need::all_nodes})) == "ok");
  std::vector<ConnectionState> states;
  const auto subscription =
      guest->connections().subscribe([&](const ConnectionEvent& event) { states.push_back(event.state); });
  REQUIRE(guest.loop().run_until([&] { return states.size() == 1; }));
  const auto before = cluster.counters();
  REQUIRE(guest->set_tls(known_as(certificates().renewed_client)).has_value());
  REQUIRE(guest.loop().run_until([&] { return states.size() == 3; }));
  using enum ConnectionState;
  CHECK(states == std::vector{connected, connecting, connected});
  CHECK(cluster.counters().connections == before.connections + 1);
  CHECK(guest->cluster()->nodes[0].health == NodeHealth::up);
  CHECK(ended(guest.put("key", "value")) == "ok");
  CHECK(cluster.counters().connections == before.connections + 1);
}

TEST_CASE("A server that comes back with a certificate of another authority is reached once the client knows it") {
  Cluster cluster = serving(shown(certificates().server));
  Guest guest{options_for(cluster, trusting(certificates().ca))};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  REQUIRE(cluster.set_tls(shown(certificates().foreign_server)).has_value());
  cluster.stop(0);
  REQUIRE(cluster.restart(0));
  CHECK_FALSE(guest.get("key", {.timeout = 500ms}).has_value());
  REQUIRE(guest->set_tls(trusting(certificates().other_ca)).has_value());
  CHECK(value_of(guest.get("key", {.timeout = 20s})) == "value");
}

TEST_CASE("Files are read again when certificates are set again") {
  const Folder folder;
  folder.write("ca.pem", certificates().other_ca);
  const TlsOptions files{.ca = {.file = folder.path("ca.pem")}};
  Cluster cluster = serving(shown(certificates().server));
  Guest guest{options_for(cluster, files)};
  CHECK_FALSE(guest.get("key", {.timeout = 300ms}).has_value());
  folder.write("ca.pem", certificates().ca);
  CHECK_FALSE(guest.get("key", {.timeout = 300ms}).has_value());
  REQUIRE(guest->set_tls(files).has_value());
  CHECK(ended(guest.get("key", {.timeout = 20s})) == "ok");
}

TEST_CASE("Certificates that are refused change nothing") {
  Cluster cluster = serving(shown(certificates().server));
  Guest guest{options_for(cluster, trusting(certificates().ca))};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  const auto before = cluster.counters().connections;
  CHECK_FALSE(guest->set_tls(trusting("nonsense")).has_value());
  CHECK(ended(guest.put("key", "value")) == "ok");
  CHECK(cluster.counters().connections == before);
}

TEST_CASE("Certificates may be set from any thread") {
  Cluster cluster = serving(shown(certificates().server));
  Client client = made(create(options_for(cluster, trusting(certificates().other_ca))));
  CHECK(client.set_tls(trusting(certificates().ca)).has_value());
  const GetOutcome found;
  client.get("key", {.timeout = 20s}, found.callback());
  REQUIRE(found.wait(20s));
  CHECK(ended(found) == "ok");
}
