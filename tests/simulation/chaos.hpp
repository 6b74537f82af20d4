#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "simulation/host.hpp"

namespace norikv::simulation {

/// What goes wrong by itself: nodes, links, leaders, streams, loops. It heals what it broke.
class Chaos {
 public:
  Chaos(const Scenario& scenario, Agenda& agenda, Servers& servers, std::vector<std::unique_ptr<Host>>& hosts);

  void start();
  /// Everything is well from now on.
  void end();

 private:
  void every(Duration mean, std::function<void()> event);
  void break_node();
  void heal_node(std::size_t node);
  void cut_link();
  void rename();
  void news();
  [[nodiscard]] std::size_t some_node() { return dice_.below(scenario_.cluster.nodes); }
  [[nodiscard]] Host& some_host() { return *hosts_[dice_.below(hosts_.size())]; }

  const Scenario& scenario_;
  Agenda& agenda_;
  Servers& servers_;
  std::vector<std::unique_ptr<Host>>& hosts_;
  Dice dice_;
  bool over_ = false;
};

}  // namespace norikv::simulation
