#include "simulation/scenario.hpp"

#include <cmath>

#include "testing/cluster_model.hpp"
#include "util/text.hpp"

namespace norikv::simulation {
namespace {

using namespace std::chrono_literals;
using testing::Profile;

// The worst a world gets is drawn first, so that most seeds have some quiet corners.
enum class Mood : std::uint8_t { quiet, bad_network, dying_nodes, hostile_server, everything };

void draw_cluster(Scenario& scenario, Dice& dice) {
  testing::ClusterConfig& cluster = scenario.cluster;
  cluster.profile = dice.chance(0.4) ? Profile::norikv : Profile::replicated;
  cluster.total_shards = static_cast<std::uint32_t>(dice.between(1, 5));
  cluster.commit_delay = dice.chance(0.6);
  cluster.election = std::chrono::milliseconds{dice.between(20, 500)};
  cluster.view_interval = dice.chance(0.7) ? 1s : std::chrono::milliseconds{dice.between(100, 3000)};
  if (cluster.profile == Profile::replicated) {
    cluster.nodes = static_cast<std::uint32_t>(dice.between(1, 5));
    return;
  }
  // Several real servers never find a leader.
  scenario.leaders_possible = !dice.chance(0.04);
  cluster.nodes = scenario.leaders_possible ? 1 : 3;
  cluster.overlap_window = std::chrono::milliseconds{dice.between(0, 5)};
}

void draw_network(Scenario& scenario, Dice& dice) {
  scenario.latency = dice.up_to(2ms);
  scenario.jitter = dice.chance(0.5) ? dice.up_to(3ms) : dice.up_to(60ms);
}

void draw_writes(Scenario& scenario, Dice& dice) {
  WriteOptions& writes = scenario.options.writes;
  const std::uint64_t kind = dice.below(10);
  if (kind == 0) {
    writes.in_flight_per_shard = 0;
  } else if (kind == 1) {
    writes.in_flight_per_shard = static_cast<std::uint32_t>(dice.between(2, 4));
    writes.spacing = 25ms;
    // Spacing is no help if the network takes more away than the server's window leaves.
    scenario.jitter = std::min<Duration>(scenario.jitter, 10ms);
  }
  writes.queued_per_shard = dice.chance(0.3) ? static_cast<std::uint32_t>(dice.between(1, 6)) : 64;
  if (scenario.cluster.profile == Profile::norikv && writes.in_flight_per_shard != 1) {
    // The server compares and writes in two steps, and may carry out a repeated write twice: harmless only alone.
    scenario.conditions = false;
    scenario.idempotency = false;
  }
}

void draw_faults(Scenario& scenario, Dice& dice) {
  const Mood mood = static_cast<Mood>(dice.below(5));
  Faults& faults = scenario.faults;
  const bool any = mood == Mood::everything;
  const auto some = [&](double most) {
    return dice.chance(0.6) ? most * static_cast<double>(dice.below(100)) / 100 : 0.0;
  };
  const auto apart = [&](Duration least) { return dice.chance(0.7) ? least + dice.up_to(4s) : Duration{0}; };
  if (any || mood == Mood::bad_network) {
    faults.not_sent = some(0.15);
    faults.refused_unprocessed = some(0.1);
    faults.broken_before = some(0.1);
    faults.broken_after = some(0.1);
    faults.vanished_before = some(0.05);
    faults.vanished_after = some(0.05);
    faults.reset = apart(500ms);
    faults.partition = apart(500ms);
    faults.stream_end = apart(300ms);
  }
  if (any || mood == Mood::dying_nodes) {
    faults.outage = 300ms + dice.up_to(2s);
    faults.move = apart(100ms);
    faults.stream_end = apart(1s);
  }
  if (any || mood == Mood::hostile_server) {
    faults.garbage = some(0.06);
    faults.scripted = some(0.15);
    faults.slow_answer = some(0.3);
    faults.hostile_hint = some(1);
    faults.commit_timeout = some(0.1);
    faults.move = apart(100ms);
    faults.stale_view = apart(200ms);
  }
  if (scenario.cluster.profile == Profile::norikv && scenario.options.writes.in_flight_per_shard > 1) {
    // What held writes up lets them go together, and no spacing helps.
    faults.outage = faults.partition = Duration{0};
  }
  if (scenario.cluster.nodes > 1 && dice.chance(0.25)) faults.renaming = 100ms + dice.up_to(1s);
  if (dice.chance(0.3)) faults.stall = 500ms + dice.up_to(3s);
}

void draw_dialects(Scenario& scenario, Dice& dice) {
  Dialects& dialects = scenario.dialects;
  dialects.sdk_levels = dice.chance(0.15);
  dialects.missing_is_not_found = dice.chance(0.15);
  if (scenario.cluster.profile == Profile::norikv) return;
  dialects.hints = dice.chance(0.8);
  dialects.hint_is_id = dice.chance(0.3);
  dialects.hint_key_is_vectors = dice.chance(0.3);
  dialects.not_leader_is_precondition = dice.chance(0.15);
}

void draw_client(Scenario& scenario, Dice& dice) {
  ClientOptions& options = scenario.options;
  for (std::size_t node = 0; node < scenario.cluster.nodes; ++node) options.nodes.push_back(address_of_node(node));
  options.total_shards = scenario.cluster.total_shards;
  if (scenario.cluster.nodes > 1 && dice.chance(0.3)) {
    scenario.translated = static_cast<std::uint32_t>(dice.below(1u << scenario.cluster.nodes));
    options.address_translator = [translated = scenario.translated](std::string_view id,
                                                                    std::string_view) -> std::optional<std::string> {
      for (std::size_t node = 0; node < 8; ++node) {
        if (id == testing::node_id(static_cast<testing::NodeIndex>(node)) && (translated >> node) % 2 == 1)
          return address_of_node(node);
      }
      return std::nullopt;
    };
  }
  options.connection.watch_topology = dice.chance(0.8);
  if (dice.chance(0.3)) options.retry.attempt_timeout = std::chrono::milliseconds{dice.between(100, 2000)};
  if (dice.chance(0.3)) options.retry.hedge_after = std::chrono::milliseconds{dice.between(5, 100)};
  if (dice.chance(0.2)) options.limits.in_flight_per_node = dice.between(1, 8);
  if (dice.chance(0.2)) options.retry.budget = {static_cast<std::uint32_t>(dice.between(1, 10)), 20};
  if (dice.chance(0.2)) options.limits.operations = dice.between(4, 40);
  if (dice.chance(0.2)) options.limits.callbacks_per_turn = dice.between(1, 4);
  if (dice.chance(0.3)) options.retry.max_hint_hops = static_cast<std::uint32_t>(dice.between(0, 1));
  scenario.clients = scenario.cluster.profile == Profile::replicated && dice.chance(0.4) ? 2 : 1;
}

void draw_users(Scenario& scenario, Dice& dice) {
  scenario.keys = dice.between(2, 6);
  scenario.think = 5ms + dice.up_to(80ms);
  scenario.chaos = 1s + dice.up_to(4s);
  scenario.typical_timeout = dice.chance(0.7) ? 5s : 200ms + dice.up_to(2s);
  scenario.closes_in_chaos = dice.chance(0.25);
  scenario.looks = dice.chance(0.3) ? 0 : dice.chance(0.2) ? 0.9 : 0.4;
}

void draw_tokens(Scenario& scenario, Dice dice) {
  if (!dice.chance(1.0 / 3)) return;
  const auto some = [&](double most) {
    return dice.chance(0.5) ? most * static_cast<double>(dice.below(100)) / 100 : 0.0;
  };
  TokenOptions& options = scenario.options.tokens;
  options.source = [](TokenReason, const TokenReply&) {};  // the host answers in its place
  options.refresh_before = dice.up_to(1s);
  options.answer_timeout = 200ms + dice.up_to(2s);
  TokenLife& tokens = scenario.tokens;
  tokens.latency = dice.chance(0.2) ? Duration{0} : dice.up_to(dice.chance(0.2) ? 3s : 100ms);
  if (dice.chance(0.7)) tokens.lifetime = 500ms + dice.up_to(5s);
  tokens.fails = some(0.4);
  tokens.useless = some(0.2);
  tokens.silent = some(0.2);
  tokens.refused = some(0.1);
  if (dice.chance(0.5)) tokens.revocation = 300ms + dice.up_to(3s);
}

// What only a part of the lives knows has dice of its own: the others are not changed by it.
void draw_lives(Scenario& scenario) {
  Dice mortal{scenario.seed, 5};
  if (mortal.chance(1.0 / 3)) scenario.mortal = mortal.chance(0.5) ? 0.9 : 0.4;
  draw_tokens(scenario, Dice{scenario.seed, 6});
  Dice reused{scenario.seed, 8};
  if (scenario.idempotency && reused.chance(1.0 / 3)) scenario.reused = reused.chance(0.3) ? 0.9 : 0.4;
}

}  // namespace

Duration Dice::pause(Duration mean) {
  return Duration{1 + static_cast<std::int64_t>(-std::log(random_.unit()) * static_cast<double>(mean.count()))};
}

std::string address_of_node(std::size_t node) { return "127.0.0.1:" + std::to_string(first_port + node); }

std::optional<std::size_t> node_of_address(std::string_view address) {
  for (std::size_t node = 0; node < 8; ++node) {
    if (address_of_node(node) == address) return node;
  }
  return std::nullopt;
}

std::int32_t believed_leader(const ClusterView& view, std::uint32_t shard) {
  const NodeView* const leader = view.leader_of(shard);
  if (leader == nullptr) return -1;
  return static_cast<std::int32_t>(node_of_address(leader->address).value());
}

const NodeView* find_node(const ClusterView& view, std::size_t node) {
  const std::string address = address_of_node(node);
  for (const NodeView& each : view.nodes) {
    if (each.address == address) return &each;
  }
  return nullptr;
}

bool Scenario::writes_are_safe() const {
  return cluster.profile == Profile::replicated || options.writes.in_flight_per_shard == 1 ||
         (options.writes.in_flight_per_shard > 1 && options.writes.spacing > Duration{0});
}

std::string Scenario::describe() const {
  return std::string{testing::to_string(cluster.profile)} + ", " + std::to_string(cluster.nodes) + " nodes, " +
         std::to_string(cluster.total_shards) + " shards, " + std::to_string(clients) + " clients, " +
         std::to_string(options.writes.in_flight_per_shard) + " writes in flight, latency " + util::to_text(latency) +
         " + " + util::to_text(jitter) + (options.connection.watch_topology ? "" : ", without topology streams") +
         (mortal > 0 ? ", with TTLs" : "") + (options.tokens.source ? ", with tokens" : "") +
         (reused > 0 ? ", with reused keys" : "");
}

Scenario draw_scenario(std::uint64_t seed) {
  Scenario scenario;
  scenario.seed = seed;
  Dice dice{seed, 1};
  draw_cluster(scenario, dice);
  draw_network(scenario, dice);
  draw_writes(scenario, dice);
  draw_faults(scenario, dice);
  draw_dialects(scenario, dice);
  draw_client(scenario, dice);
  draw_users(scenario, dice);
  draw_lives(scenario);
  return scenario;
}

}  // namespace norikv::simulation
