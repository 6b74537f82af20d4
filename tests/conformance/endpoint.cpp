#include "conformance/endpoint.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>

namespace norikv::test {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

std::string random_hex() {
  std::random_device source;
  std::ostringstream text;
  for (int i = 0; i < 4; ++i) text << std::hex << source();
  return text.str();
}

/// What NORIKV_TEST_PROFILE names.
struct Own {
  Profile profile = Profile::norikv;
  bool restarted = false;  ///< Put and get count versions apart, as after a restart of the real server.
};

Own own_cluster() {
  const std::string name = variable("NORIKV_TEST_PROFILE");
  if (name.empty() || name == to_string(Profile::norikv)) return {};
  if (name == to_string(Profile::replicated)) return {.profile = Profile::replicated};
  if (name == "restarted") return {.restarted = true};
  throw std::runtime_error("NORIKV_TEST_PROFILE: \"" + name + "\" is no profile");
}

std::uint32_t shard_count(const std::string& text) {
  std::istringstream stream(text);
  std::uint32_t count = 0;
  if (!(stream >> count) || !stream.eof() || count == 0) {
    throw std::runtime_error("NORIKV_TEST_SHARDS: \"" + text + "\" is no number of shards");
  }
  return count;
}

}  // namespace

Endpoint& Endpoint::instance() {
  static Endpoint one;  // begun in the first case, so it ends before gRPC's own statics do
  if (!one.trouble_.empty()) FAIL(one.trouble_);
  return one;
}

Endpoint::Endpoint() : run_(random_hex()) {
  nodes_ = split(variable("NORIKV_TEST_NODES"));
  const std::string shards = variable("NORIKV_TEST_SHARDS");
  if (!nodes_.empty()) {
    knows_shards_ = !shards.empty();
    total_shards_ = knows_shards_ ? shard_count(shards) : 1024;
    find_out();
    return;
  }
  const Own own = own_cluster();
  own_ =
      std::make_unique<Cluster>(start({.nodes = own.profile == Profile::replicated ? 3u : 1u,
                                       .total_shards = shards.empty() ? 4 : shard_count(shards),
                                       .profile = own.profile,
                                       .vectors = own.profile == Profile::replicated ? testing::VectorService::working
                                                                                     : testing::VectorService::none}));
  nodes_ = own_->addresses();
  total_shards_ = own_->config().total_shards;
  restarted_ = own.restarted;
  if (restarted_) restart();
}

void Endpoint::restart() {
  {
    Client client = made(create(options()));
    for (const std::uint32_t shard : shards()) {
      const PutOutcome written;
      client.put(key("before the restart", shard), "value", written.callback());
      REQUIRE(written.wait(60s));
    }
  }
  own_->stop(0);
  REQUIRE(own_->restart(0));
}

void Endpoint::find_out() {
  auto client = create(options());
  if (!client) {
    trouble_ = "NORIKV_TEST_NODES: " + client.error().describe();
    return;
  }
  const ReadyOutcome ready;
  client->wait_ready({.timeout = 15s}, ready.callback());
  if (!ready.wait(60s) || !ready.result()) trouble_ = "no node of NORIKV_TEST_NODES answers";
}

ClientOptions Endpoint::options() const { return {.nodes = nodes_, .total_shards = total_shards_, .timeout = 30s}; }

std::vector<std::uint32_t> Endpoint::shards() const {
  std::vector<std::uint32_t> used;
  for (std::uint32_t shard = 0; shard < total_shards_ && shard < 4; ++shard) used.push_back(shard);
  return used;
}

std::string Endpoint::unique(std::string_view prefix) {
  return std::string(prefix) + "/" + run_ + "/" + std::to_string(++keys_);
}

std::string Endpoint::key(std::string_view prefix) {
  const auto used = static_cast<std::uint32_t>(shards().size());
  for (;;) {
    std::string candidate = unique(prefix);
    if (shard_of(candidate, total_shards_) < used) return candidate;
  }
}

std::string Endpoint::key(std::string_view prefix, std::uint32_t shard) {
  for (;;) {
    std::string candidate = unique(prefix);
    if (shard_of(candidate, total_shards_) == shard) return candidate;
  }
}

bool Endpoint::may_lack(Feature feature) const {
  if (!own_) return true;
  const bool replicated = own_->config().profile == Profile::replicated;
  switch (feature) {
    case Feature::several_nodes:
    case Feature::leader_hints:
    case Feature::atomic_conditions:
    case Feature::vectors:
      return !replicated;
    case Feature::several_shards:
      return total_shards_ == 1;
    case Feature::common_versions:
      return restarted_;
  }
  return true;
}

std::string unique_text() { return random_hex(); }

DeadPeer::DeadPeer(Kind kind) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (fd_ < 0 || bind(fd_, generic, size) != 0 || getsockname(fd_, generic, &size) != 0 ||
      (kind == Kind::silent && listen(fd_, 64) != 0)) {
    throw std::runtime_error("no port");
  }
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

DeadPeer::~DeadPeer() { close(fd_); }

}  // namespace norikv::test
