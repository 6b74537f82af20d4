#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/observer.hpp>
#include <norikv/scope.hpp>
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
  /// Gives every write that names no idempotency key one of its own, as `IdempotencyKey{automatic}` does. Off, because
  /// today's server keeps every key for ever.
  bool automatic_idempotency_keys = false;
};

/// Exponential back-off with full jitter: before the n-th retry, a random time in (0, min(cap, base * 2^n)].
struct Backoff {
  Duration base = std::chrono::milliseconds{20};
  Duration cap = std::chrono::seconds{1};
};

/// Bounds how many retries per second a client makes when a cluster is in trouble. A retry takes a token; without one
/// it is put off, but never past half of the time that the operation has left, so an empty bucket fails nothing. Each
/// success gives a token back. The searches for leaders, one request per shard, are free.
struct RetryBudget {
  std::uint32_t burst = 1024;      ///< Tokens of a full bucket; at least 1.
  std::uint32_t per_second = 512;  ///< Tokens that come back by time alone; 0 = retries are never put off.
};

/// Keeps requests that have a choice away from a node that failed several times in a row.
struct BreakerOptions {
  /// Failures in a row that open it, and the most reads and writes with a key that try at a time; 0 = no breaker.
  std::uint32_t failures = 5;
  /// How long it stays open before one request tries the node again.
  Backoff open{std::chrono::milliseconds{250}, std::chrono::seconds{5}};
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
  /// Bounds an attempt that may be repeated, in a crowd at one node up to 3 times as long; others have all the time.
  Duration attempt_timeout = std::chrono::seconds{1};
  /// A search for a leader whose request has no answer for so long asks a second node beside it. 0 = never.
  Duration join_probe_after = std::chrono::milliseconds{250};
  /// A stale read without an answer for so long is asked of a second node that has the shard, and the first
  /// success counts. Sensible is a little more than the usual latency, such as its 99th percentile. 0 = off.
  Duration hedge_after{0};
  /// Nodes an operation follows at once, from one that does not lead to the one it names, before it pauses.
  std::uint32_t max_hint_hops = 4;
  /// When a shard's leader has moved, how long a request that is still on its way to the old one may take before what
  /// can be repeated is asked of the new one.
  Duration moved_patience = std::chrono::milliseconds{100};
  RetryBudget budget{};
  BreakerOptions breaker{};
};

/// What this client holds at most, counted when an operation is submitted. Beyond a limit nothing is copied and the
/// operation ends with `overloaded`; until the loop turns such a refusal costs its callback, about 200 bytes.
struct LimitOptions {
  /// Submitted and not called back, those aside that wait beyond the limit of their node (`queued_per_node`).
  std::size_t operations = 4096;
  std::size_t bytes = 64 * 1024 * 1024;  ///< Their keys and values; also bounds one operation.
  /// Callbacks and events delivered in one loop turn; the rest follows in the next.
  std::size_t callbacks_per_turn = 256;
  /// Requests on their way to one node, those that were given up and have not come home included. More wait for it in
  /// this client.
  std::size_t in_flight_per_node = 1024;
  /// Operations that may be submitted for a node beyond `in_flight_per_node`. They do not count against `operations`,
  /// so a node that hangs leaves the operations for other nodes their room; one more ends with `overloaded`.
  std::size_t queued_per_node = 4096;
};

/// What carries requests to the nodes. Both speak the same protocol and tell the same things.
enum class TransportKind : std::uint8_t {
  grpc,  ///< The gRPC library, with threads of its own.
  /// HTTP/2 on the loop's own thread (libnghttp2), at a fraction of the cost per operation. Only in builds that have it
  /// (Meson option `h2`).
  h2,
};

/// The kind's name as it is written above.
[[nodiscard]] constexpr std::string_view to_string(TransportKind kind) noexcept {
  switch (kind) {
    case TransportKind::grpc:
      return "grpc";
    case TransportKind::h2:
      return "h2";
  }
  return "unknown";
}

/// Connections and topology streams. All times bound one attempt each.
struct ConnectionOptions {
  /// Connections to each node. More than one helps when one connection keeps a core busy.
  std::uint32_t per_node = 1;
  /// For an attempt to connect to one address. gRPC may take up to 1.2 times `reconnect.cap` for it, if that is longer.
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
  /// Whether to follow grpc_proxy, https_proxy or http_proxy (environment), but for hosts in no_grpc_proxy or no_proxy.
  bool use_http_proxy = false;
  /// Keep a topology stream open to every node. Without them leaders are found by asking alone: when a node hangs that
  /// led many shards, those that other nodes lead by now are found a few at a time, as requests to it run out of time.
  bool watch_topology = true;
  /// A stream that has not spoken for this long is reported as silent, and another one is opened after a pause as in
  /// `reconnect`. Positive.
  Duration silence = std::chrono::seconds{3};
  TransportKind transport = TransportKind::grpc;
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
  /// Told what the client does, on the loop's thread. None = nothing is noted for it. norikv/prometheus.hpp has one.
  std::shared_ptr<Observer> observer{};
  /// Called inside each call that submits an operation, on its caller's thread: what it gives is sent as `traceparent`
  /// and `tracestate` with every attempt of the operation. What is not well-formed is left out.
  std::function<TraceContext()> trace_context{};
  /// Turns what a node tells of another one, its id and its address, into an address that this client can dial; none =
  /// do not. Without it only `nodes` are dialled: a NoriKV 0.1.0 node tells addresses of its peers at which no gRPC
  /// server listens. A node that is found like this stays for as long as a view names it. Called on the loop's thread,
  /// often: it should be quick, and must not call the client.
  std::function<std::optional<std::string>(std::string_view id, std::string_view address)> address_translator{};
};

/// Options of one `put`.
struct PutOptions {
  std::optional<Duration> timeout{};    ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  /// The key disappears this long after the server applied the write. Positive; under 1 ms rounds up. The server loses
  /// it when it flushes or restarts.
  std::optional<Duration> ttl{};
  std::optional<Precondition> precondition{};  ///< `at(version)` or `absent`.
  IdempotencyKey idempotency_key{};            ///< Text or `automatic`.
  ScopeRef scope{};                            ///< Whose end cancels it.
};

/// Options of one `get`.
struct GetOptions {
  std::optional<Duration> timeout{};    ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  Consistency consistency = Consistency::lease;
  /// Sent as it is instead of `consistency`, for servers with levels of their own.
  std::optional<std::string> consistency_text{};
  ScopeRef scope{};  ///< Whose end cancels it.
};

/// Options of one `remove`.
struct RemoveOptions {
  std::optional<Duration> timeout{};           ///< Instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};         ///< An absolute end; the earlier of the two counts.
  IdempotencyKey idempotency_key{};            ///< Text or `automatic`.
  std::optional<Precondition> precondition{};  ///< `at(version)`; needs `unenforced`.
  /// Today's server ignores conditions on removes. With this the client reads the key, compares, and then removes; it
  /// sends the condition along for servers to come. Another client can write in between, and what it wrote is removed.
  bool unenforced = false;
  ScopeRef scope{};  ///< Whose end cancels it.
};

/// Options of one `update`.
struct UpdateOptions {
  std::optional<Duration> timeout{};    ///< For all rounds, instead of ClientOptions::timeout; positive.
  std::optional<TimePoint> deadline{};  ///< An absolute end; the earlier of the two counts.
  /// How often the update function may run; at least 1. It runs again after a mismatch, and after a leader refused to
  /// write a key that was missing. The last mismatch ends the update with `precondition_failed`.
  std::uint32_t max_rounds = 8;
  IdempotencyKey idempotency_key{};  ///< `automatic` or none: each round stores something else.
  ScopeRef scope{};                  ///< Whose end cancels it.
};

/// How many nodes `wait_ready` waits for.
enum class Need : std::uint8_t { any_node, all_nodes };

struct ReadyOptions {
  std::optional<Duration> timeout{};  ///< Instead of ClientOptions::timeout; positive.
  Need need = Need::any_node;
  ScopeRef scope{};  ///< Whose end ends the wait.
};

struct CloseOptions {
  /// How long pending operations may still finish. 0 = they end with `closed` at once.
  Duration grace{0};
};

}  // namespace norikv
