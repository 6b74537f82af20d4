#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <norikv/cluster.hpp>
#include <norikv/options.hpp>
#include <norikv/testing/cluster.hpp>

#include "util/random.hpp"

namespace norikv::simulation {

/// A source of chance for one concern of a world: what one concern draws does not change what another one draws.
class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t concern) : random_(seed * 0xd1342543de82ef95 + concern * 0x2545f4914f6cdd1d) {}

  bool chance(double probability) { return probability > 0 && random_.unit() <= probability; }
  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  /// In [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + random_.below(high - low + 1); }
  Duration up_to(Duration limit) { return random_.jitter(limit); }
  /// The pause before the next event of a kind that happens `mean` apart, at random.
  Duration pause(Duration mean);

 private:
  util::Random random_;
};

/// How often what goes wrong: probabilities per request, and pauses between events.
struct Faults {
  // The connection.
  double not_sent = 0;             ///< Refused before anything left.
  double refused_unprocessed = 0;  ///< GOAWAY and the like.
  double broken_before = 0;        ///< The connection breaks before the request arrived ...
  double broken_after = 0;         ///< ... or after it, and the reply is lost.
  double vanished_before = 0;      ///< The same without a sign: only time tells.
  double vanished_after = 0;
  // The server.
  double garbage = 0;       ///< A reply that does not parse, or is not there.
  double scripted = 0;      ///< A status that has nothing to do with the request.
  double slow_answer = 0;   ///< It takes its time before it starts.
  double hostile_hint = 0;  ///< Of NOT_LEADER answers: a leader hint that is wrong.
  double commit_timeout = 0;

  // Events; zero = never.
  Duration outage{0};      ///< A node stops, or freezes, for a while.
  Duration partition{0};   ///< A client and a node don't reach each other for a while.
  Duration reset{0};       ///< All of a client's connections to a node break.
  Duration move{0};        ///< A shard's leader moves.
  Duration stream_end{0};  ///< A topology stream ends, mostly with OK.
  Duration stale_view{0};  ///< A stream tells an older view again.
  Duration renaming{0};    ///< A user names other nodes.
  Duration stall{0};       ///< A client's loop does not turn for a while.
};

/// How a server says things that servers say in different ways.
struct Dialects {
  bool hint_is_id = false;           ///< "node1-shard3" instead of an address.
  bool hint_key_is_vectors = false;  ///< `x-norikv-leader` instead of `leader-hint`.
  bool hints = true;
  bool not_leader_is_precondition = false;
  bool missing_is_not_found = false;
  bool sdk_levels = false;  ///< It knows "lease", "linearizable" and "stale_ok" instead of the server's names.
};

/// How a client's source comes by its tokens, and what becomes of them.
struct TokenLife {
  Duration latency{0};  ///< At most, from the question to the answer.
  std::optional<Duration> lifetime;
  double fails = 0;        ///< It gives none ...
  double useless = 0;      ///< ... or one that is no good ...
  double silent = 0;       ///< ... or does not answer.
  double refused = 0;      ///< A server refuses a token, and so do all from then on.
  Duration revocation{0};  ///< All tokens lose their worth, so far apart; zero = never.
};

/// Everything that a seed decides beforehand; what happens in its course is thrown by dice of the same seed.
struct Scenario {
  std::uint64_t seed = 0;
  testing::ClusterConfig cluster;
  ClientOptions options;
  Faults faults;
  Dialects dialects;
  TokenLife tokens;  ///< In use if the options have a source.
  std::size_t clients = 1;
  std::size_t keys = 4;
  Duration latency{0};  ///< The least time from one side to the other ...
  Duration jitter{0};   ///< ... and what chance adds.
  Duration think{0};    ///< Mean pause between what users do.
  Duration chaos{0};    ///< How long faults happen.
  Duration typical_timeout{0};
  std::uint32_t translated = 0;  ///< Nodes whose addresses the client translates when another one tells them: bits.
  bool conditions = true;        ///< Whether users write with preconditions.
  double looks = 0;              ///< How many of the writes look first: updates, `absent`, removes on condition.
  double reused = 0;             ///< How many of the idempotency keys are the users' own, and may be used again.
  double mortal = 0;             ///< How many of the values have a time to live.
  bool idempotency = true;       ///< Whether users give idempotency keys.
  bool closes_in_chaos = false;  ///< A client is closed before the faults are over.
  bool leaders_possible = true;  ///< Whether shards find leaders at all.

  /// Whether a write can't be lost: the server is as it should be, or the client keeps its writes apart.
  [[nodiscard]] bool writes_are_safe() const;
  [[nodiscard]] std::string describe() const;
};

[[nodiscard]] Scenario draw_scenario(std::uint64_t seed);
/// "127.0.0.1:7447" and up.
[[nodiscard]] std::string address_of_node(std::size_t node);
/// None if it is no address of a node.
[[nodiscard]] std::optional<std::size_t> node_of_address(std::string_view address);
/// The node that is believed to lead a shard; -1 = none.
[[nodiscard]] std::int32_t believed_leader(const ClusterView& view, std::uint32_t shard);
/// What is believed of a node; null if it is absent.
[[nodiscard]] const NodeView* find_node(const ClusterView& view, std::size_t node);
inline constexpr std::uint16_t first_port = 7447;

}  // namespace norikv::simulation
