#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/norikv.hpp>
#include <norikv/routing.hpp>
#include <norikv/testing/cluster.hpp>

#include "client/guest.hpp"

// What every case of the conformance list starts from: the server that is asked, keys that nobody used before, and a
// way to say that this server can't be asked something.
namespace norikv::test {

/// What a server may lack. A case that needs it is skipped there.
enum class Feature : std::uint8_t {
  several_nodes,      ///< More than one node, with leaders.
  several_shards,     ///< More than one shard.
  leader_hints,       ///< A node that refuses names the leader.
  atomic_conditions,  ///< Of two conditional writes at the same time one fails.
  common_versions,    ///< Put and get tell the same version.
  vectors,            ///< The Vector service, all of it.
};

/// The server under test. With NORIKV_TEST_NODES that is somebody else's; NORIKV_TEST_SHARDS is its number of shards,
/// the server's own default of 1024 without. Otherwise an ephemeral cluster of 4 shards in this process, of the
/// profile NORIKV_TEST_PROFILE ("restarted" is profile norikv after a restart); it is cold when the first case begins.
class Endpoint {
 public:
  /// The one of this run.
  [[nodiscard]] static Endpoint& instance();

  /// Options of a client for it, with more time per operation than any server needs.
  [[nodiscard]] ClientOptions options() const;
  [[nodiscard]] const std::vector<std::string>& nodes() const noexcept { return nodes_; }
  [[nodiscard]] std::uint32_t total_shards() const noexcept { return total_shards_; }
  /// Whether that number was told, not assumed.
  [[nodiscard]] bool knows_shards() const noexcept { return knows_shards_; }
  /// The shards that `key` uses: the first four. A server reserves 256 MiB for each shard that is touched. And jump
  /// hash keeps a key of so low a shard there for every larger number of shards, so a wrong number does not put two
  /// of ours into one of the server's.
  [[nodiscard]] std::vector<std::uint32_t> shards() const;

  /// A key that no case and no run before used, in one of `shards`, or in that one.
  [[nodiscard]] std::string key(std::string_view prefix = "key");
  [[nodiscard]] std::string key(std::string_view prefix, std::uint32_t shard);

  /// Whether it may lack this. Our own cluster has what its profile has, and a case that finds otherwise failed.
  [[nodiscard]] bool may_lack(Feature feature) const;

 private:
  Endpoint();
  [[nodiscard]] std::string unique(std::string_view prefix);
  void find_out();
  void restart();

  std::unique_ptr<Cluster> own_;
  std::vector<std::string> nodes_;
  std::uint32_t total_shards_ = 4;
  bool knows_shards_ = true;
  bool restarted_ = false;
  std::string run_;
  std::string trouble_;  // why nothing can be asked; every case fails with it at once
  std::uint64_t keys_ = 0;
};

[[nodiscard]] inline Endpoint& endpoint() { return Endpoint::instance(); }
[[nodiscard]] inline std::string fresh_key(std::string_view prefix = "key") { return endpoint().key(prefix); }

/// A text that no run before used: an idempotency key, say.
[[nodiscard]] std::string unique_text();

/// Two ports of this machine that nobody serves: one refuses connections, one takes them and says nothing.
class DeadPeer {
 public:
  enum class Kind : std::uint8_t { refusing, silent };
  explicit DeadPeer(Kind kind);
  DeadPeer(const DeadPeer&) = delete;
  DeadPeer& operator=(const DeadPeer&) = delete;
  ~DeadPeer();
  [[nodiscard]] const std::string& address() const noexcept { return address_; }

 private:
  int fd_ = -1;
  std::string address_;
};

}  // namespace norikv::test

/// Leaves a case that can't be asked here. tests/run.py counts it as skipped and shows the reason.
#define NORIKV_SKIP(reason)      \
  do {                           \
    WARN("skipped: " << reason); \
    return;                      \
  } while (false)

/// Leaves a case because the server turned out to lack a feature; a failure where it must have it.
#define NORIKV_SKIP_WITHOUT(feature, reason)              \
  do {                                                    \
    if (!norikv::test::endpoint().may_lack(feature)) {    \
      FAIL("this server must not lack this: " << reason); \
    }                                                     \
    NORIKV_SKIP(reason);                                  \
  } while (false)
