#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <norikv/options.hpp>
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

/// What `bench` does all the time.
enum class Verb : std::uint8_t { get, put };

[[nodiscard]] constexpr std::string_view to_string(Verb verb) noexcept { return verb == Verb::get ? "get" : "put"; }

struct Bench {
  Target target;
  Verb verb = Verb::get;
  std::uint32_t in_flight = 64;
  std::uint32_t value_bytes = 100;
  std::uint32_t keys = 1000;
  Duration time = std::chrono::seconds{10};
  std::optional<std::uint32_t> rate{};  ///< Operations per second; none: one that ends starts the next.
  TransportKind transport = TransportKind::grpc;
  std::uint32_t writes_per_shard = 1;  ///< As WriteOptions::in_flight_per_shard.
  std::string prefix = "norikv-bench/";
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
  std::variant<Put, Get, Del, Watch, Serve, Shard, Bench, Show> command;
};

}  // namespace norikv::cli
