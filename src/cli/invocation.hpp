#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <norikv/security.hpp>
#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>

// What a command line asks for, checked and complete. Plain values.
namespace norikv::cli {

/// The cluster to talk to.
struct Target {
  std::vector<std::string> nodes;
  std::string nodes_source;  ///< Where they were named, for error messages: "--nodes", "NORIKV_NODES" or "the default".
  std::uint32_t shards = 1024;
  Duration timeout = std::chrono::seconds{5};
  std::optional<TlsOptions> tls{};  ///< Its PEM data are files.
  /// A token, or the file that holds one, which is read whenever a token is needed.
  std::string token{};
  std::string token_file{};
  bool token_in_plaintext = false;
};

struct Put {
  Target target;
  std::string key;
  std::optional<std::string> value;  ///< None: read it from stdin.
  std::optional<Duration> ttl;
  std::optional<Version> if_version;
  std::optional<std::string> idempotency_key;
};

struct Get {
  Target target;
  std::string key;
  Consistency consistency = Consistency::lease;
};

struct Del {
  Target target;
  std::string key;
};

struct Watch {
  Target target;
};

struct Serve {
  testing::ClusterConfig config;
  // Files; empty = none.
  std::string tls_cert{};
  std::string tls_key{};
  std::string tls_client_ca{};
};

struct Shard {
  struct Key {
    std::string given;  ///< As it was written.
    std::string bytes;
  };
  std::vector<Key> keys;
  bool hex = false;
  std::uint32_t shards = 1024;
};

/// --help and --version.
struct Show {
  std::string text;
};

struct Invocation {
  bool json = false;
  std::variant<Put, Get, Del, Watch, Serve, Shard, Show> command;
};

}  // namespace norikv::cli
