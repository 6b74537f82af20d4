#pragma once

#include <string>
#include <utility>
#include <vector>

#include <norikv/norikv.hpp>
#include <norikv/routing.hpp>
#include <norikv/testing/cluster.hpp>

#include "client/outcome.hpp"
#include "support/loop_fixture.hpp"
#include "support/transport.hpp"

namespace norikv::test {

using testing::Cluster;
using testing::ClusterConfig;
using testing::Profile;

/// A cluster as most tests want it: its shards elect their leader in no time.
[[nodiscard]] inline Cluster start(ClusterConfig config = {.election = 5ms}) {
  Result<Cluster> cluster = Cluster::start(config);
  if (!cluster) FAIL(cluster.error().describe());
  return std::move(*cluster);
}

/// Different keys of one shard.
[[nodiscard]] inline std::vector<std::string> keys_of(std::uint32_t shard, std::size_t count,
                                                      std::uint32_t total_shards = 4) {
  std::vector<std::string> keys;
  for (int i = 0; keys.size() < count; ++i) {
    std::string key = "key-" + std::to_string(i);
    if (shard_of(key, total_shards) == shard) keys.push_back(std::move(key));
  }
  return keys;
}
[[nodiscard]] inline std::string key_of(std::uint32_t shard, std::uint32_t total_shards = 4) {
  return keys_of(shard, 1, total_shards).front();
}

[[nodiscard]] inline Client made(Result<Client> client) {
  if (!client) FAIL(client.error().describe());
  return std::move(*client);
}

/// A client on a loop of the test. In the end it is closed, and the loop has to be as clean as it was.
class Guest {
 public:
  explicit Guest(ClientOptions options) : client_(made(create(loop_.loop(), std::move(options)))) {}
  explicit Guest(const Cluster& cluster) : Guest(cluster.client_options()) {}
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  ~Guest() {
    { const Client gone = std::move(client_); }
    if (!loop_.run_until_idle()) FAIL_CHECK("the client still holds the loop 10 s after it was destroyed");
  }

  Client* operator->() noexcept { return &client_; }
  [[nodiscard]] Client& client() noexcept { return client_; }
  [[nodiscard]] LoopFixture& loop() noexcept { return loop_; }

  template <class T>
  [[nodiscard]] bool wait(const Outcome<T>& outcome, Duration limit = 10s) {
    return loop_.run_until([&] { return outcome.came(); }, limit);
  }
  template <class T>
  [[nodiscard]] bool wait(const std::vector<Outcome<T>>& outcomes, Duration limit = 10s) {
    return loop_.run_until([&] { return all_came(outcomes); }, limit);
  }

  // One operation, and the loop turned until it has ended.
  Result<Written> put(std::string_view key, std::string_view value, PutOptions options = {}) {
    const PutOutcome outcome;
    client_.put(key, value, std::move(options), outcome.callback());
    REQUIRE(wait(outcome, 60s));
    return outcome.result();
  }
  Result<std::optional<Entry>> get(std::string_view key, GetOptions options = {}) {
    const GetOutcome outcome;
    client_.get(key, std::move(options), outcome.callback());
    REQUIRE(wait(outcome, 60s));
    return outcome.result();
  }
  Result<Removed> remove(std::string_view key, RemoveOptions options = {}) {
    const RemoveOutcome outcome;
    client_.remove(key, std::move(options), outcome.callback());
    REQUIRE(wait(outcome, 60s));
    return outcome.result();
  }
  Result<void> ready(ReadyOptions options = {}) {
    const ReadyOutcome outcome;
    client_.wait_ready(options, outcome.callback());
    REQUIRE(wait(outcome, 60s));
    return outcome.result();
  }
  /// Closes, and turns the loop until the callback came.
  [[nodiscard]] bool close(CloseOptions options = {}) {
    bool closed = false;
    client_.close(options, [&] { closed = true; });
    return loop_.run_until([&] { return closed; });
  }

 private:
  LoopFixture loop_;  // the last to go
  Client client_;
};

}  // namespace norikv::test
