#include "support/catch.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;

namespace {

std::string refusal(ClusterConfig config) {
  const auto started = Cluster::start(config);
  if (started) return "started";
  CHECK(started.error().code == ErrorCode::invalid_argument);
  return started.error().message;
}

std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1)));
}

}  // namespace

TEST_CASE("A configuration that can't be is refused by the name of its field") {
  ClusterConfig config;
  config.nodes = 0;
  CHECK(refusal(config).find("ClusterConfig::nodes is 0") == 0);
  config = {};
  config.total_shards = 0;
  CHECK(refusal(config).find("ClusterConfig::total_shards is 0") == 0);
  config = {};
  config.election = -1ms;
  CHECK(refusal(config).find("ClusterConfig::election") == 0);
  config = {};
  config.overlap_window = -1ms;
  CHECK(refusal(config).find("ClusterConfig::overlap_window") == 0);
  config = {};
  config.view_interval = 0ms;
  CHECK(refusal(config).find("ClusterConfig::view_interval") == 0);
  config = {};
  config.election = Duration::max();
  CHECK(refusal(config).find("ClusterConfig::election") == 0);
  config = {};
  config.nodes = 2;
  config.port = 65535;
  CHECK(refusal(config).find("ClusterConfig::port") == 0);
}

TEST_CASE("Nodes get consecutive ports when the first one is given") {
  // Ports that were free a moment ago: another process may take one, so look again then.
  for (int tries = 0;; ++tries) {
    ClusterConfig config;
    config.nodes = 2;
    config.port = port_of(Cluster::start({}).value().addresses()[0]);
    auto started = Cluster::start(config);
    if (!started && tries < 20) continue;
    REQUIRE(started);
    CHECK(port_of(started->addresses()[0]) == config.port);
    CHECK(port_of(started->addresses()[1]) == config.port + 1);
    break;
  }
}

TEST_CASE("A taken port is named, and so is one that only a stopped node holds") {
  auto holder = Cluster::start({}).value();
  const std::uint16_t port = port_of(holder.addresses()[0]);
  ClusterConfig config;
  config.port = port;
  const auto started = Cluster::start(config);
  REQUIRE_FALSE(started);
  CHECK(started.error().code == ErrorCode::unavailable);
  CHECK(started.error().message.find("port " + std::to_string(port)) == 0);
  CHECK(started.error().node == holder.addresses()[0]);
}

TEST_CASE("A restart fails while somebody else listens on the port, and works afterwards") {
  auto cluster = Cluster::start(instant()).value();
  cluster.stop(0);
  {
    ClusterConfig config = instant();
    config.port = port_of(cluster.addresses()[0]);
    auto thief = Cluster::start(config);
    REQUIRE(thief);  // A stopped node's port is free for whoever names it.
    CHECK_FALSE(cluster.restart(0));
    CHECK(cluster.leader(0) == std::nullopt);
  }
  CHECK(cluster.restart(0));
  CHECK(Stub(cluster.addresses()[0]).get("key").ok());
}

TEST_CASE("The options for a client name the nodes and the shards") {
  ClusterConfig config = replicated();
  config.total_shards = 7;
  const auto cluster = Cluster::start(config).value();
  const ClientOptions options = cluster.client_options();
  CHECK(options.nodes == cluster.addresses());
  CHECK(options.total_shards == 7);
}

TEST_CASE("A seeded value is read back, in both profiles") {
  for (const ClusterConfig& config : {instant(), replicated()}) {
    Fixture on(config);
    on.cluster.seed("key", "seeded");
    CHECK(on.cluster.stored("key") == "seeded");
    CHECK(on.cluster.counters().applied_writes == 0);
    Stub& stub = config.profile == Profile::replicated ? on.leader_of("key") : on.node();
    CHECK(stub.get("key").body.value() == "seeded");
  }
}

TEST_CASE("Leaders are known from the first touch in profile norikv and from the start in profile replicated") {
  Fixture real(instant());
  CHECK(real.cluster.leader(0) == 0u);
  CHECK(real.cluster.leader(1) == std::nullopt);
  REQUIRE(real.node().get(real.key_of(1)).ok());
  CHECK(real.cluster.leader(1) == 0u);
  CHECK_FALSE(real.cluster.move_leader(1, 0));
  Fixture ideal(replicated());
  CHECK(ideal.cluster.leader(1) == 1u);
}
