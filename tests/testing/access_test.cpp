#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "testing/cluster_stub.hpp"

// Clusters that show certificates and ask for certificates and tokens.
using namespace cluster_tests;
using norikv::test::certificates;
using norikv::test::Identity;

namespace {

ServerTls shown(const Identity& identity, const std::string& client_ca = {}) {
  return {identity.certificate, identity.key, client_ca};
}

ClusterConfig secured(ServerTls tls) {
  ClusterConfig config = instant();
  config.tls = std::move(tls);
  return config;
}

std::shared_ptr<grpc::ChannelCredentials> trusting(const std::string& ca, const Identity& identity = {}) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca;
  options.pem_cert_chain = identity.certificate;
  options.pem_private_key = identity.key;
  return grpc::SslCredentials(options);
}

int code_of_put(const Cluster& cluster, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  return Stub(cluster.addresses().front(), credentials).put("key", "value").code;
}

/// The status of a get that carries this metadata, and of a topology stream.
std::string codes_with(Stub& stub, const std::string& key = {}, const std::string& value = {}) {
  grpc::ClientContext get;
  if (!key.empty()) get.AddMetadata(key, value);
  const auto reply = Stub::call_in<v1::GetResponse>(
      get, [&](auto* context, auto* response) { return stub.kv->Get(context, v1::GetRequest(), response); });
  grpc::ClientContext watch;
  if (!key.empty()) watch.AddMetadata(key, value);
  const auto reader = stub.meta->WatchCluster(&watch, v1::ClusterView());
  v1::ClusterView view;
  if (reader->Read(&view)) watch.TryCancel();
  return std::to_string(reply.code) + " and " + std::to_string(reader->Finish().error_code());
}
const std::string admitted = "0 and 1";  // the stream was cancelled by the test
const std::string refused = "16 and 16";

}  // namespace

TEST_CASE("A cluster with certificates speaks TLS, and to nobody else") {
  Cluster cluster = Cluster::start(secured(shown(certificates().server))).value();
  CHECK(code_of_put(cluster, trusting(certificates().ca)) == grpc::OK);
  CHECK(code_of_put(cluster, trusting(certificates().other_ca)) == grpc::UNAVAILABLE);
  CHECK(code_of_put(cluster, grpc::InsecureChannelCredentials()) == grpc::UNAVAILABLE);
  CHECK(cluster.counters().puts == 1);
}

TEST_CASE("A cluster lets in only clients of the authority that it names") {
  Cluster cluster = Cluster::start(secured(shown(certificates().server, certificates().ca))).value();
  CHECK(code_of_put(cluster, trusting(certificates().ca, certificates().client)) == grpc::OK);
  CHECK(code_of_put(cluster, trusting(certificates().ca)) == grpc::UNAVAILABLE);
  CHECK(code_of_put(cluster, trusting(certificates().ca, certificates().foreign_client)) == grpc::UNAVAILABLE);
  CHECK(cluster.counters().puts == 1);
}

TEST_CASE("A node takes new certificates when it is started again") {
  Cluster cluster = Cluster::start(secured(shown(certificates().server))).value();
  REQUIRE(cluster.set_tls(shown(certificates().foreign_server)).has_value());
  CHECK(code_of_put(cluster, trusting(certificates().ca)) == grpc::OK);
  cluster.stop(0);
  REQUIRE(cluster.restart(0));
  CHECK(code_of_put(cluster, trusting(certificates().ca)) == grpc::UNAVAILABLE);
  CHECK(code_of_put(cluster, trusting(certificates().other_ca)) == grpc::OK);
}

TEST_CASE("Certificates that can't be right are refused by the name of their field") {
  const std::vector<std::pair<ServerTls, std::string>> table = {
      {{"", certificates().server.key}, "ServerTls::certificate"},
      {{certificates().server.certificate, ""}, "ServerTls::key"},
      {{certificates().server.certificate, certificates().client.key}, "ServerTls::key"},
      {shown(certificates().server, "nonsense"), "ServerTls::client_ca"},
  };
  Cluster cluster = Cluster::start(instant()).value();
  for (const auto& [tls, field] : table) {
    const auto started = Cluster::start(secured(tls));
    REQUIRE_FALSE(started.has_value());
    CHECK(started.error().code == ErrorCode::invalid_argument);
    CHECK(started.error().message.starts_with(field));
    CHECK(cluster.set_tls(tls).error().message.starts_with(field));
  }
}

TEST_CASE("A cluster without tokens asks for none") {
  Fixture fixture(instant());
  CHECK(codes_with(fixture.node()) == admitted);
  CHECK(codes_with(fixture.node(), "authorization", "Bearer any") == admitted);
  CHECK(fixture.cluster.counters().unauthenticated == 0);
}

TEST_CASE("A cluster with tokens refuses requests and streams without one of them") {
  ClusterConfig config = instant();
  config.tokens = RequiredTokens{{"one", "two"}};
  Fixture fixture(config);
  CHECK(codes_with(fixture.node(), "authorization", "Bearer one") == admitted);
  CHECK(codes_with(fixture.node(), "authorization", "Bearer two") == admitted);
  CHECK(fixture.cluster.counters().unauthenticated == 0);
  for (const char* value : {"Bearer three", "Bearer one ", "bearer one", "one", "Bearer ", ""}) {
    INFO(value);
    CHECK(codes_with(fixture.node(), "authorization", value) == refused);
  }
  CHECK(codes_with(fixture.node()) == refused);
  CHECK(codes_with(fixture.node(), "x-token", "Bearer one") == refused);
  CHECK(fixture.cluster.counters().unauthenticated == 16);
}

TEST_CASE("The tokens of a cluster change at run time") {
  Fixture fixture(instant());
  fixture.cluster.require_tokens(RequiredTokens{{"abc"}, "x-token", ""});
  CHECK(codes_with(fixture.node()) == refused);
  CHECK(codes_with(fixture.node(), "x-token", "abc") == admitted);
  fixture.cluster.require_tokens(RequiredTokens{});
  CHECK(codes_with(fixture.node(), "authorization", "Bearer ") == refused);
  fixture.cluster.require_tokens(std::nullopt);
  CHECK(codes_with(fixture.node()) == admitted);
}

TEST_CASE("A refused write is not applied") {
  ClusterConfig config = instant();
  config.tokens = RequiredTokens{{"abc"}};
  Fixture fixture(config);
  const auto reply = fixture.node().put("key", "value");
  CHECK(reply.code == grpc::UNAUTHENTICATED);
  CHECK(reply.text == "The token is missing or not accepted");
  CHECK_FALSE(fixture.cluster.stored("key").has_value());
}

TEST_CASE("A frozen node refuses nobody before it thaws") {
  ClusterConfig config = instant();
  config.tokens = RequiredTokens{{"abc"}};
  Fixture fixture(config);
  fixture.cluster.freeze(0);
  CHECK(fixture.node().get("key", "", 100ms).code == grpc::DEADLINE_EXCEEDED);  // real time: that nothing comes
  fixture.cluster.thaw(0);
  CHECK(fixture.node().get("key").code == grpc::UNAUTHENTICATED);
}
