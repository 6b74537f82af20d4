#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/error.hpp>
#include <norikv/export.hpp>
#include <norikv/options.hpp>
#include <norikv/testing/faults.hpp>
#include <norikv/types.hpp>

// The ephemeral cluster: library norikv-testing, for the tests of whoever uses the client.
namespace norikv::testing {

/// Which server is imitated.
enum class Profile : std::uint8_t {
  norikv,  ///< The real server 0.1.0 with all its quirks: lazy shards, lost overlapping writes, no hints.
  /// A cluster as it should be: one leader per shard, atomic compare-and-swap, replicated idempotency keys, hints. One
  /// running node is enough for a leader: quorums are not imitated.
  replicated,
};

[[nodiscard]] constexpr std::string_view to_string(Profile profile) noexcept {
  return profile == Profile::norikv ? "norikv" : "replicated";
}

/// What the Vector service is like. It belongs to shard 0: that shard's leader serves it.
enum class VectorService : std::uint8_t {
  none,     ///< It is not there, as on the real server 0.1.0: UNIMPLEMENTED without a word.
  working,  ///< Stores vectors and finds the nearest exactly, whatever the type of the index.
  /// As the real server's code would be if it was registered: writes are acknowledged and forgotten, reads fail with
  /// "not yet implemented".
  not_implemented_yet,
};

/// How the nodes show who they are: PEM texts. They are dialled as 127.0.0.1, so the certificate has to hold that
/// address, or the client a `TlsOptions::server_name`.
struct ServerTls {
  std::string certificate;
  std::string key;
  /// The authorities whose clients are let in. Empty = no client certificate is asked for.
  std::string client_ca{};
};

/// What a request and a topology stream have to carry. Others end with UNAUTHENTICATED.
struct RequiredTokens {
  std::vector<std::string> accepted;  ///< Empty = none is.
  std::string metadata_key = "authorization";
  std::string prefix = "Bearer ";  ///< In front of the token.
};

/// How answers look that differ between servers: a client should bear them all. The defaults are the real server's.
struct AnswerShapes {
  enum class HintKey : std::uint8_t { leader_hint, x_norikv_leader };
  enum class HintBlock : std::uint8_t { trailing, initial };
  enum class HintForm : std::uint8_t { address, replica_id };
  enum class NotLeader : std::uint8_t { unavailable, failed_precondition };
  enum class MissingKey : std::uint8_t { without_version, not_found };
  enum class RemoveCondition : std::uint8_t { ignored, enforced };
  enum class ConsistencyNames : std::uint8_t { server, sdk };

  // Leader hints (profile replicated; the Vector service has its own).
  HintKey hint_key = HintKey::leader_hint;           ///< `leader-hint` or `x-norikv-leader`.
  HintBlock hint_block = HintBlock::trailing;        ///< The metadata block that carries it.
  HintForm hint_form = HintForm::address;            ///< "127.0.0.1:7447" or "node0-shard17".
  NotLeader not_leader = NotLeader::unavailable;     ///< The status of NOT_LEADER.
  MissingKey missing = MissingKey::without_version;  ///< What Get says of a missing key: OK or NOT_FOUND.
  /// Whether Delete looks at its condition. Profile replicated always does.
  RemoveCondition remove_condition = RemoveCondition::ignored;
  /// `server`: strong, eventual, bounded_staleness. `sdk`: lease, linearizable, stale_ok. All others are refused.
  ConsistencyNames consistency_names = ConsistencyNames::server;
};

/// What to start. All of it is in one process and on 127.0.0.1.
struct ClusterConfig {
  std::uint32_t nodes = 1;
  std::uint32_t total_shards = 4;
  Profile profile = Profile::norikv;
  /// The first node's port; the others follow. 0 = any free ports.
  std::uint16_t port = 0;
  /// A write takes one to three steps of 50 ms to commit, as on the real server. Off: it commits at once (profile
  /// norikv: after `overlap_window`).
  bool commit_delay = false;
  /// How long a shard answers NOT_LEADER after its first touch (profile norikv); how long it has no leader after its
  /// leader's node was stopped, and how long a frozen leader is waited for (profile replicated).
  Duration election = std::chrono::milliseconds{300};
  /// Two writes that reach one shard within this time are both acknowledged and only the later one is applied (profile
  /// norikv). It is the time between reading the log's last index and appending, so no write takes less. 0 = none is
  /// lost.
  Duration overlap_window = std::chrono::milliseconds{5};
  /// How often a topology stream repeats its view.
  Duration view_interval = std::chrono::seconds{1};
  VectorService vectors = VectorService::none;
  std::optional<ServerTls> tls{};          ///< None = plain text.
  std::optional<RequiredTokens> tokens{};  ///< None = nobody is asked for one.
  AnswerShapes shapes{};
};

/// A running cluster. [any thread] Stops when it is destroyed.
class Cluster {
 public:
  /// Error: `invalid_argument` naming the field, or `unavailable` when a port is taken (it names the port).
  [[nodiscard]] static NORIKV_EXPORT Result<Cluster> start(ClusterConfig config = {});
  NORIKV_EXPORT Cluster(Cluster&&) noexcept;
  NORIKV_EXPORT Cluster& operator=(Cluster&&) noexcept;
  NORIKV_EXPORT ~Cluster();

  /// "127.0.0.1:port" of each node, in order.
  [[nodiscard]] NORIKV_EXPORT std::vector<std::string> addresses() const;
  [[nodiscard]] NORIKV_EXPORT const ClusterConfig& config() const noexcept;
  /// Options of a client for this cluster: its nodes and its number of shards.
  [[nodiscard]] NORIKV_EXPORT ClientOptions client_options() const;

  /// Stores a value on every node, past the network and past everything that can fail, as if it had been there before
  /// the start: a cold shard stays cold.
  NORIKV_EXPORT void seed(std::string_view key, std::string_view value);
  /// What is stored (on the shard's leader in profile replicated, else on node 0); none if the key is missing or
  /// expired.
  [[nodiscard]] NORIKV_EXPORT std::optional<std::string> stored(std::string_view key) const;

  /// The node that leads a shard; none while there is no leader (or, in profile norikv, before its first touch).
  [[nodiscard]] NORIKV_EXPORT std::optional<std::uint32_t> leader(std::uint32_t shard) const;
  /// Profile replicated: makes a node the leader of a shard at once and pushes views. False if that node is not
  /// running.
  NORIKV_EXPORT bool move_leader(std::uint32_t shard, std::uint32_t node);

  /// Ends a node as if its process was killed: connections break, the port is closed. Profile norikv: what it stored
  /// stays, its put versions start again at 1, times to live are forgotten. Profile replicated: its shards elect new
  /// leaders after `election`. Blocks until the port is closed and nothing of the node runs any more; a node that is
  /// stopped, or not there, is left as it is.
  NORIKV_EXPORT void stop(std::uint32_t node);
  /// Starts a stopped node again on its port, with the certificates and tokens of now. It accepts connections when this
  /// returns. True if it was running, too; false if the port is taken or there is no such node.
  NORIKV_EXPORT bool restart(std::uint32_t node);
  /// The node accepts connections and requests, and stays silent until `thaw`: held requests are carried out then,
  /// unless the client has given them up meanwhile. Profile replicated: after `election` others lead its shards, and it
  /// thaws as a follower.
  NORIKV_EXPORT void freeze(std::uint32_t node);
  NORIKV_EXPORT void thaw(std::uint32_t node);

  // Faults. Each is in effect until the returned object ends, or is healed. Several may be in effect at once: delays
  // add up, and of the faults that decide an answer the oldest one that matches takes the request, so that faults with
  // `times` follow each other. A fault of a node that does not exist does nothing.

  /// The node takes a request up only after this time. Requests behind it are not held up.
  [[nodiscard]] NORIKV_EXPORT Fault delay(Duration time, Requests requests = {});
  /// The node reads a request's message only this long after its headers came: what does not fit into the flow control
  /// window (64 KiB) stays with the client meanwhile. `Requests::key` must be none: it has not been read yet.
  [[nodiscard]] NORIKV_EXPORT Fault read_slowly(Duration pause, Requests requests = {});
  /// The request's connection is reset instead of an answer, and all that is under way on it is cut off with it.
  [[nodiscard]] NORIKV_EXPORT Fault drop_connection(Moment moment, Requests requests = {});
  /// This is answered instead of what the server would say. `replies` has the usual ones.
  [[nodiscard]] NORIKV_EXPORT Fault reply_with(ScriptedReply reply, Requests requests = {});
  /// Replies are compressed with gzip. (They get an unknown field of 1 KiB, because only what gets smaller is.)
  [[nodiscard]] NORIKV_EXPORT Fault compress_replies(Requests requests = {});

  /// The node's views say an epoch that is lower by this; 0 at least. One is pushed at once, and one when it heals.
  [[nodiscard]] NORIKV_EXPORT Fault set_epoch_back(std::uint32_t node, std::uint64_t by);
  /// The node's views call it by another node's id.
  [[nodiscard]] NORIKV_EXPORT Fault claim_id(std::uint32_t node, std::uint32_t other);

  /// Cuts a node off from its clients, and from them alone: it lives on, keeps its shards, and carries out what has
  /// arrived.
  [[nodiscard]] NORIKV_EXPORT Fault isolate(std::uint32_t node, Isolation how = Isolation::silent);

  /// The node tells its connections to go away (GOAWAY), as a server does before it stops: requests and streams under
  /// way go on, new ones need a new connection, which it accepts.
  NORIKV_EXPORT void go_away(std::uint32_t node);
  /// Ends the topology streams that are open now, with OK.
  NORIKV_EXPORT void end_streams(std::uint32_t node);

  /// Other certificates for the nodes: each takes them when it is started again. Error: `invalid_argument`, naming the
  /// field.
  [[nodiscard]] NORIKV_EXPORT Result<void> set_tls(ServerTls tls);
  /// Which tokens are accepted from now on; none = nobody is asked for one. Topology streams that are open stay open.
  NORIKV_EXPORT void require_tokens(std::optional<RequiredTokens> tokens);

  /// What arrived since the start, over all nodes.
  struct Counters {
    std::uint64_t puts = 0;
    std::uint64_t gets = 0;
    std::uint64_t removes = 0;
    std::uint64_t watches = 0;
    std::uint64_t not_leader = 0;  ///< NOT_LEADER answers.
    std::uint64_t applied_writes = 0;
    std::uint64_t lost_writes = 0;      ///< Acknowledged and never applied (profile norikv).
    std::uint64_t connections = 0;      ///< TCP connections that carried at least one request (distinct peers).
    std::uint64_t vectors = 0;          ///< Requests to the Vector service, there or not.
    std::uint64_t unauthenticated = 0;  ///< Refused because of their token.
  };
  [[nodiscard]] NORIKV_EXPORT Counters counters() const;
  /// The most writes of one shard that were under way at one moment: admitted and not yet due to be answered, those
  /// that their client gave up on included. (A write that commits at once overlaps with none.)
  [[nodiscard]] NORIKV_EXPORT std::uint32_t max_overlapping_writes(std::uint32_t shard) const;
  /// The same of the writes of vectors.
  [[nodiscard]] NORIKV_EXPORT std::uint32_t max_overlapping_vector_writes() const;

 private:
  struct Impl;
  explicit Cluster(std::shared_ptr<Impl> impl) noexcept;
  std::shared_ptr<Impl> impl_;  ///< Faults know it too, weakly.
};

}  // namespace norikv::testing
