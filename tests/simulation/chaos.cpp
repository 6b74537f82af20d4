#include "simulation/chaos.hpp"

#include <utility>

namespace norikv::simulation {

using namespace std::chrono_literals;

Chaos::Chaos(const Scenario& scenario, Agenda& agenda, Servers& servers, std::vector<std::unique_ptr<Host>>& hosts)
    : scenario_(scenario), agenda_(agenda), servers_(servers), hosts_(hosts), dice_(scenario.seed, 3) {}

void Chaos::start() {
  const Faults& faults = scenario_.faults;
  every(faults.outage, [this] { break_node(); });
  every(faults.partition, [this] { cut_link(); });
  every(faults.reset, [this] { some_host().network().reset(some_node()); });
  every(faults.move, [this] {
    if (servers_.move_leader(static_cast<std::uint32_t>(dice_.below(scenario_.cluster.total_shards)), some_node()))
      news();
  });
  every(faults.stream_end, [this] {
    some_host().network().end_stream(some_node(), dice_.chance(0.7) ? 0 : dice_.chance(0.5) ? 14 : 12);
  });
  every(faults.stale_view, [this] { some_host().network().show_stale_view(some_node()); });
  every(faults.renaming, [this] { rename(); });
  every(scenario_.tokens.revocation, [this] { servers_.authority().revoke_all(); });
  every(faults.stall, [this] { some_host().oversleep(dice_.up_to(dice_.chance(0.2) ? 3s : 200ms)); });
}

void Chaos::every(Duration mean, std::function<void()> event) {
  if (mean == Duration{0}) return;
  agenda_.after(dice_.pause(mean), [this, mean, event = std::move(event)] {
    if (over_) return;
    event();
    every(mean, event);
  });
}

void Chaos::break_node() {
  const std::size_t node = some_node();
  if (!servers_.running(node) || servers_.frozen(node)) return;
  if (dice_.chance(0.5)) {
    servers_.stop(node);
    for (const std::unique_ptr<Host>& host : hosts_) host->network().reset(node);
  } else {
    servers_.freeze(node);
  }
  news();
  agenda_.after(dice_.up_to(2s), [this, node] { heal_node(node); });
}

void Chaos::heal_node(std::size_t node) {
  if (!servers_.running(node)) {
    servers_.restart(node);
  } else if (servers_.frozen(node)) {
    servers_.thaw(node);
  } else {
    return;
  }
  news();
}

void Chaos::cut_link() {
  Host& host = some_host();
  const std::size_t node = some_node();
  if (host.network().is_cut(node)) return;
  host.network().cut(node);
  if (dice_.chance(0.3)) agenda_.after(dice_.up_to(500ms), [&host, node] { host.network().reset(node); });
  agenda_.after(dice_.up_to(2s), [&host, node] { host.network().heal(node); });
}

// Any nodes, at least one.
void Chaos::rename() {
  const std::size_t certain = some_node();
  std::vector<std::size_t> nodes;
  for (std::size_t node = 0; node < scenario_.cluster.nodes; ++node) {
    if (node == certain || dice_.chance(0.5)) nodes.push_back(node);
  }
  some_host().set_nodes(nodes);
}

void Chaos::end() {
  over_ = true;
  std::vector<std::size_t> all;
  for (std::size_t node = 0; node < scenario_.cluster.nodes; ++node) all.push_back(node);
  for (const std::unique_ptr<Host>& host : hosts_) host->set_nodes(all);
  servers_.behave();
  for (std::size_t node = 0; node < scenario_.cluster.nodes; ++node) heal_node(node);
  for (const std::unique_ptr<Host>& host : hosts_) {
    host->network().behave();
    host->source_behaves();
    for (std::size_t node = 0; node < scenario_.cluster.nodes; ++node) host->network().heal(node);
  }
}

void Chaos::news() {
  for (const std::unique_ptr<Host>& host : hosts_) host->network().news();
}

}  // namespace norikv::simulation
