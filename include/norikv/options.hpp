#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/security.hpp>
#include <norikv/types.hpp>

namespace norikv {

// Plain structs with a default on every field: name the ones you change with designated initialisers.
// Fields are only ever appended.

/// How writes of one shard are kept apart. Today's server acknowledges and loses writes that reach one shard within a
/// few milliseconds of each other, so by default one write per shard is in flight.
struct WriteOptions {
  /// Writes in flight per shard; 0 = unlimited. More than one needs `spacing` to be safe with today's server.
  std::uint32_t in_flight_per_shard = 1;
  /// The least time between the starts of two writes of one shard. 25 ms is five times the window in which the server
  /// was seen to lose writes; it gives 40 writes per second and shard where one in flight gives 6.
  Duration spacing{0};
  /// Writes that may wait for their shard's lane; one more ends with `overloaded`.
  std::uint32_t queued_per_shard = 64;
  /// How long a lane stays held after a write ended with an unknown outcome: three commit ticks of the server.
  Duration lane_settle = std::chrono::milliseconds{500};
};

/// Exponential back-off with full jitter: before the n-th retry, a random time in (0, min(cap, base * 2^n)].
struct Backoff {
  Duration base = std::chrono::milliseconds{20};
  Duration cap = std::chrono::seconds{1};
};

/// When and how an attempt is repeated. The operation's deadline bounds it all.
struct RetryOptions {
  /// No node says it leads the shard: a new shard elects its leader in 0.15 to 0.4 s.
  Backoff not_leader{std::chrono::milliseconds{20}, std::chrono::milliseconds{250}};
  /// The request surely was not sent.
  Backoff unavailable{std::chrono::milliseconds{20}, std::chrono::seconds{1}};
  /// The outcome is unknown; only reads and writes with an idempotency key are repeated.
  Backoff ambiguous{std::chrono::milliseconds{25}, std::chrono::seconds{1}};
  /// The server is out of some resource.
  Backoff throttled{std::chrono::milliseconds{100}, std::chrono::seconds{2}};
  /// Bounds an attempt that may be repeated; others may use the operation's whole time.
  Duration attempt_timeout = std::chrono::seconds{1};
};

/// What this client holds at most, counted when an operation is submitted. Beyond a limit nothing is copied and the
/// operation ends with `overloaded`; until the loop turns such a refusal costs its callback, about 200 bytes.
struct LimitOptions {
  std::size_t operations = 4096;         ///< Submitted and not called back.
  std::size_t bytes = 64 * 1024 * 1024;  ///< Their keys and values; also bounds one operation.
  /// Callbacks and events delivered in one loop turn; the rest follows in the next.
  std::size_t callbacks_per_turn = 256;
};

/// Connections and topology streams. All times bound one attempt each.
struct ConnectionOptions {
  /// Connections to each node. More than one helps when one connection keeps a core busy.
  std::uint32_t per_node = 1;
  /// The least time a connection attempt is given.
  Duration connect_timeout = std::chrono::seconds{1};
  /// The first and the longest pause between connection attempts to one node.
  Backoff reconnect{std::chrono::milliseconds{100}, std::chrono::seconds{2}};
  /// HTTP/2 PING interval; 0 = off. Servers refuse pings more often than every five minutes unless they are set up for
  /// it.
  Duration keepalive{0};
  /// How long a PING may stay unanswered.
  Duration keepalive_timeout = std::chrono::seconds{5};
  /// Keeps gRPC's threads awake: with gRPC up to 1.70 a reply that comes after a second of silence can be read up to
  /// 100 ms late. 0 = off. Ignored where gRPC does not need it.
  Duration heartbeat = std::chrono::milliseconds{500};
  /// The largest reply accepted, in bytes.
  std::size_t max_reply_size = 16 * 1024 * 1024;
  /// Whether to follow http_proxy and its relatives in the environment.
  bool use_http_proxy = false;
  /// Keep a topology stream open to every node. Without them leaders are found by asking alone.
  bool watch_topology = true;
  /// A stream that has not spoken for this long is reported as silent.
  Duration silence = std::chrono::seconds{3};
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// The level's name as it is written above.
[[nodiscard]] constexpr std::string_view to_string(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "unknown";
}

/// Everything a client can be told. Only `nodes` has no default.
struct ClientOptions {
  /// The nodes: "host:port", "1.2.3.4:7447", "[::1]:7447" or "unix:/path". At least one; no duplicates.
  std::vector<std::string> nodes{};
  /// The server's number of shards, 1 to 1,048,576. It can't be asked for; a wrong number misroutes and voids `writes`.
  std::uint32_t total_shards = 1024;
  /// An operation's time, all attempts and waiting included, unless the operation says otherwise.
  Duration timeout = std::chrono::seconds{5};
  WriteOptions writes{};
  RetryOptions retry{};
  LimitOptions limits{};
  ConnectionOptions connection{};
  /// Called on the loop's thread around each batch of callbacks; it must call `run` once. A Node.js add-on opens its
  /// scopes here. It must not destroy the client.
  std::function<void(const std::function<void()>& run)> around_callbacks{};
  /// Called on the loop's thread with one line for people; never a key or a value. None = silent.
  std::function<void(LogLevel level, std::string_view line)> log{};
  /// Lines of a lower level are not even made. `debug` tells every change of a leader and every topology stream.
  LogLevel log_level = LogLevel::info;
  /// Secures all connections; none = plain text.
  std::optional<TlsOptions> tls{};
  /// Tokens for servers that ask who calls.
  TokenOptions tokens{};
};

/// Options of one `put`.
struct PutOptions {
  std::optional<Duration> timeout{};    ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  /// The key disappears this long after the server applied the write. Positive; under 1 ms rounds up. The server loses
  /// it when it flushes or restarts.
  std::optional<Duration> ttl{};
  std::optional<Precondition> precondition{};  ///< See `at(version)`.
  IdempotencyKey idempotency_key{};            ///< Text or `automatic`.
};

/// Options of one `get`.
struct GetOptions {
  std::optional<Duration> timeout{};    ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  Consistency consistency = Consistency::lease;
  /// Sent as it is instead of `consistency`, for servers with levels of their own.
  std::optional<std::string> consistency_text{};
};

/// Options of one `remove`. Today's server ignores conditions on removes, so there is none.
struct RemoveOptions {
  std::optional<Duration> timeout{};    ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  IdempotencyKey idempotency_key{};     ///< Text or `automatic`.
};

/// How many nodes `wait_ready` waits for.
enum class Need : std::uint8_t { any_node, all_nodes };

struct ReadyOptions {
  std::optional<Duration> timeout{};  ///< Instead of ClientOptions::timeout; positive.
  Need need = Need::any_node;
};

struct CloseOptions {
  /// How long pending operations may still finish. 0 = they end with `closed` at once.
  Duration grace{0};
};

}  // namespace norikv
