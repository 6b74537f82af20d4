#include "prometheus/state.hpp"

#include <utility>

#include <norikv/version.hpp>

namespace norikv::metrics {
namespace {

using ::prometheus::MetricType;

struct StatsCounter {
  std::uint64_t Stats::*field;
  Definition definition;
};

constexpr std::array<StatsCounter, Clients::counter_count> counters{{
    {&Stats::probes, {"norikv_client_probes_total", MetricType::Counter, "Searches for a shard's leader."}},
    {&Stats::joined_probes,
     {"norikv_client_joined_probes_total", MetricType::Counter, "Searches that asked a second node beside the first."}},
    {&Stats::hedges, {"norikv_client_hedges_total", MetricType::Counter, "Stale reads that asked a second node."}},
    {&Stats::hints_followed,
     {"norikv_client_hints_followed_total", MetricType::Counter, "Times a node's word on who leads was followed."}},
    {&Stats::not_leader,
     {"norikv_client_not_leader_total", MetricType::Counter, "Answers of nodes that do not lead the shard."}},
    {&Stats::budget_waits,
     {"norikv_client_budget_waits_total", MetricType::Counter, "Retries that the retry budget put off."}},
    {&Stats::breaker_opens,
     {"norikv_client_breaker_opens_total", MetricType::Counter, "Times a node's breaker opened."}},
    {&Stats::moved_attempts,
     {"norikv_client_moved_attempts_total", MetricType::Counter, "Requests given up because their leader had moved."}},
    {&Stats::leader_changes,
     {"norikv_client_leader_changes_total", MetricType::Counter, "Changes of a shard's known leader."}},
    {&Stats::views, {"norikv_client_views_total", MetricType::Counter, "Topology views received."}},
    {&Stats::stream_reconnects,
     {"norikv_client_stream_reconnects_total", MetricType::Counter, "Topology streams opened again."}},
    {&Stats::write_collisions,
     {"norikv_client_write_collisions_total", MetricType::Counter, "Acknowledged writes that met another one."}},
    {&Stats::lanes_settling,
     {"norikv_client_settling_lanes_total", MetricType::Counter,
      "Times a write lane was held after an unknown outcome."}},
    {&Stats::shard_count_mismatches,
     {"norikv_client_shard_count_mismatches_total", MetricType::Counter, "Signs of a wrong number of shards."}},
}};

constexpr Definition clients{"norikv_client_clients", MetricType::Gauge, "Clients that are open."};
constexpr Definition info{"norikv_client_info", MetricType::Gauge, "1; the library's version."};
constexpr Definition pending{"norikv_client_pending_operations", MetricType::Gauge,
                             "Operations submitted and not called back."};
constexpr Definition pending_bytes{"norikv_client_pending_bytes", MetricType::Gauge, "Their keys and values."};
constexpr Definition health{"norikv_client_node_health", MetricType::Gauge, "1 for the health that the node has."};
constexpr Definition breaker{"norikv_client_node_breaker_open", MetricType::Gauge,
                             "1 while requests that have a choice avoid the node."};
constexpr Definition in_flight{"norikv_client_node_in_flight", MetricType::Gauge, "Requests on their way to the node."};
constexpr Definition ghosts{"norikv_client_node_ghosts", MetricType::Gauge,
                            "Of these, those that nobody waits for any more."};
constexpr Definition queued{"norikv_client_node_queued", MetricType::Gauge, "Operations that wait for the node."};

void collect_node(const NodeStats& node, Families& families) {
  using enum NodeHealth;
  for (const NodeHealth each : {unknown, up, suspect, down}) {
    families.number(health, {{"health", std::string{to_string(each)}}, {"node", node.node}},
                    each == node.health ? 1 : 0);
  }
  families.number(breaker, {{"node", node.node}}, node.breaker == BreakerState::closed ? 0 : 1);
  families.number(in_flight, {{"node", node.node}}, static_cast<double>(node.in_flight));
  families.number(ghosts, {{"node", node.node}}, static_cast<double>(node.ghosts));
  families.number(queued, {{"node", node.node}}, static_cast<double>(node.queued));
}

// Two clients of one recorder may use a node: what they hold adds up, and the worse of what they think of it counts.
void merge(NodeStats& into, const NodeStats& more) {
  into.health = std::max(into.health, more.health);
  into.breaker = into.breaker == BreakerState::closed ? more.breaker : into.breaker;
  into.in_flight += more.in_flight;
  into.ghosts += more.ghosts;
  into.queued += more.queued;
}

}  // namespace

Clients::Counts Clients::counts_of(const Stats& stats) {
  Counts counts{};
  for (std::size_t i = 0; i < counter_count; ++i) counts[i] = stats.*counters[i].field;
  return counts;
}

void Clients::add_to(Counts& sum, const Counts& more) {
  for (std::size_t i = 0; i < counter_count; ++i) sum[i] += more[i];
}

void Clients::add(const ClientStart& start) {
  const std::lock_guard lock{mutex_};
  living_[start.client].read = start.stats;
}

void Clients::remove(const ClientEnd& end) {
  const std::lock_guard lock{mutex_};
  if (living_.erase(end.client) != 0) add_to(ended_, counts_of(end.stats));
}

std::map<std::string, NodeStats> Clients::collect(Families& families) {
  std::map<std::string, NodeStats> nodes;
  Counts sums;
  std::size_t operations = 0, bytes = 0, open = 0;
  {
    const std::lock_guard lock{mutex_};  // a client that ends meanwhile must not count twice
    for (auto client = living_.begin(); client != living_.end();) {
      const std::optional<Stats> stats = client->second.read();
      if (!stats) {  // its loop was never run to its end
        add_to(ended_, client->second.last);
        client = living_.erase(client);
        continue;
      }
      client->second.last = counts_of(*stats);
      operations += stats->operations;
      bytes += stats->bytes;
      ++open;
      for (const NodeStats& node : stats->nodes) {
        const auto [place, fresh] = nodes.try_emplace(node.node, node);
        if (!fresh) merge(place->second, node);
      }
      ++client;
    }
    sums = ended_;
    for (const auto& [number, client] : living_) add_to(sums, client.last);
  }

  families.number(info, {{"version", version()}}, 1);
  families.number(clients, {}, static_cast<double>(open));
  families.number(pending, {}, static_cast<double>(operations));
  families.number(pending_bytes, {}, static_cast<double>(bytes));
  for (std::size_t i = 0; i < counter_count; ++i) {
    families.number(counters[i].definition, {}, static_cast<double>(sums[i]));
  }
  for (const Definition* each : {&health, &breaker, &in_flight, &ghosts, &queued}) families.declare(*each);
  for (const auto& [name, node] : nodes) collect_node(node, families);
  return nodes;
}

}  // namespace norikv::metrics
