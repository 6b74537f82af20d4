#include <map>

#include "client/guest.hpp"

// Leaders that move while writing goes on.
using namespace norikv;
using namespace norikv::test;

namespace {

constexpr std::uint32_t shards = 4;

/// Writes to one key of each of several shards as fast as it can, and remembers what was acknowledged.
class Writer {
 public:
  explicit Writer(Client& client) : client_(client) {
    for (std::uint32_t shard = 0; shard < shards; ++shard) {
      for (std::string& key : keys_of(shard, 3, shards)) write(std::move(key), 0);
    }
  }
  void stop() { stopped_ = true; }
  [[nodiscard]] bool idle() const { return running_ == 0; }
  [[nodiscard]] int acknowledged() const { return acknowledged_; }
  [[nodiscard]] const std::vector<Error>& errors() const { return errors_; }
  [[nodiscard]] const std::map<std::string, int>& last() const { return last_; }

 private:
  void write(std::string key, int number) {
    ++running_;
    const std::string value = std::to_string(number);
    client_.put(key, value, [this, key, number](Result<Written> written) {
      --running_;
      if (written) {
        ++acknowledged_;
        last_[key] = number;
      } else {
        errors_.push_back(written.error());
      }
      if (!stopped_) write(key, number + 1);
    });
  }

  Client& client_;
  bool stopped_ = false;
  int running_ = 0;
  int acknowledged_ = 0;
  std::vector<Error> errors_;
  std::map<std::string, int> last_;
};

/// Follows the leaders of all shards, and counts the places where the chain is broken.
class Chain {
 public:
  explicit Chain(Client& client)
      : subscription_(client.leadership().subscribe([this](const LeadershipEvent& event) { take(event); })) {}
  [[nodiscard]] int breaks() const { return breaks_; }
  [[nodiscard]] int changes() const { return changes_; }
  [[nodiscard]] std::string leader(std::uint32_t shard) const {
    const auto found = leaders_.find(shard);
    return found == leaders_.end() ? "" : found->second;
  }

 private:
  void take(const LeadershipEvent& event) {
    for (const LeaderChange& change : event.changes) {
      if (event.kind == EventKind::change) {
        ++changes_;
        if (leader(change.shard) != change.before || change.before == change.after) ++breaks_;
      }
      leaders_[change.shard] = change.after;
    }
  }

  std::map<std::uint32_t, std::string> leaders_;
  int breaks_ = 0;
  int changes_ = 0;
  Subscription subscription_;
};

}  // namespace

TEST_CASE("While leaders move every 100 ms for 10 s, no write fails or is lost, and the events form a chain",
          "[slow]") {
  // Real time: the pace at which leaders move is what is tested.
  Cluster cluster = start({.nodes = 3, .total_shards = shards, .profile = Profile::replicated});
  Guest guest{cluster};
  const Chain chain{guest.client()};
  Writer writer{guest.client()};
  int moves = 0;
  for (std::uint32_t step = 0; step < 100; ++step) {
    guest.loop().run_for(100ms);
    const std::uint32_t shard = step % shards;
    if (cluster.move_leader(shard, (cluster.leader(shard).value_or(0) + 1) % 3)) ++moves;
  }
  writer.stop();
  REQUIRE(guest.loop().run_until([&] { return writer.idle(); }));

  CHECK(moves == 100);
  CHECK(writer.acknowledged() > 1000);
  for (const Error& error : writer.errors()) FAIL_CHECK(error.describe());
  for (const auto& [key, number] : writer.last()) CHECK(value_of(guest.get(key)) == std::to_string(number));

  const auto addresses = cluster.addresses();
  const auto follows = [&] {
    for (std::uint32_t shard = 0; shard < shards; ++shard) {
      if (chain.leader(shard) != addresses[cluster.leader(shard).value()]) return false;
    }
    return true;
  };
  CHECK(guest.loop().run_until(follows));
  CHECK(chain.breaks() == 0);
  CHECK(chain.changes() >= moves);
}

TEST_CASE("A server that is stopped and started again on its port is found again while writing goes on") {
  Cluster cluster = start();
  Guest guest{cluster};
  Writer writer{guest.client()};
  REQUIRE(guest.loop().run_until([&] { return writer.acknowledged() > 100; }));
  cluster.stop(0);
  guest.loop().run_for(150ms);
  REQUIRE(cluster.restart(0));
  const int before = writer.acknowledged();
  CHECK(guest.loop().run_until([&] { return writer.acknowledged() > before + 100; }, 20s));
  writer.stop();
  REQUIRE(guest.loop().run_until([&] { return writer.idle(); }));
  for (const Error& error : writer.errors()) {
    INFO(error.describe());
    CHECK(error.code == ErrorCode::unavailable);  // was on the wire when the server went
    CHECK(error.maybe_applied);
  }
  CHECK(writer.errors().size() <= shards);  // at most one of each shard was on the wire
}
