#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/session.hpp"
#include "simulation/agenda.hpp"
#include "simulation/scenario.hpp"
#include "simulation/servers.hpp"
#include "simulation/trace.hpp"

namespace norikv::simulation {

/// What a client's network tells it; each in a turn of its loop.
class NetworkSink {
 public:
  virtual void on_reply(core::Reply reply) = 0;
  virtual void on_view(core::WatchId id, wire::View view) = 0;
  virtual void on_stream_end(core::StreamEnd end) = 0;

 protected:
  ~NetworkSink() = default;
};

/// One client's connections: requests, replies and topology streams, and what gets lost between them. It keeps the
/// contract of `core::Transport`: each call that was started ends with one reply, each stream with one end.
class Network {
 public:
  Network(const Scenario& scenario, std::size_t client, Agenda& agenda, Trace& trace, Servers& servers,
          NetworkSink& sink);

  void start(core::Call call, std::size_t node, std::shared_ptr<testing::WriteFate> fate);
  void watch(core::WatchId id, std::size_t node, const std::string& token);
  void cancel(core::CallId id);
  void cancel(core::WatchId id);

  // What happens to the connections to one node.
  void cut(std::size_t node);    ///< Nothing gets through ...
  void heal(std::size_t node);   ///< ... until now: what was on its way arrives.
  void reset(std::size_t node);  ///< All of them break.
  void end_stream(std::size_t node, int status);
  void show_stale_view(std::size_t node);
  [[nodiscard]] bool is_cut(std::size_t node) const { return links_[node].cut; }
  /// From now on requests get through.
  void behave() { misbehaves_ = false; }
  /// Something changed that views show.
  void news();

  /// Calls and streams that have not ended.
  [[nodiscard]] std::size_t open() const { return flights_.size() + streams_.size(); }
  [[nodiscard]] std::size_t calls_to(std::size_t node) const;

 private:
  struct Flight {
    wire::Method method{};
    std::size_t node = 0;
    std::shared_ptr<Inquiry> inquiry;
    bool reply_vanishes = false;
    bool reply_breaks = false;
  };
  struct Stream {
    std::size_t node = 0;
    std::uint64_t epoch = 0;
    bool told = false;        ///< A first view was sent.
    std::uint64_t check = 0;  ///< Which of its scheduled looks counts.
    TimePoint last_arrival{};
    wire::View last;
  };
  struct Link {
    bool cut = false;
    bool connected = false;
    std::vector<Step> waiting;  ///< What arrives when the link is healed.
  };

  void deliver(std::size_t node, Step step);
  void arrive(core::CallId id);
  void answered(core::CallId id, core::Reply reply);
  void end(core::CallId id, core::Reply reply);
  void end(core::CallId id, int status, std::string text, core::Sent sent = core::Sent::unknown);
  void end_later(core::CallId id, Duration delay, int status, std::string text, core::Sent sent = core::Sent::unknown);
  void tell_server(const std::shared_ptr<Inquiry>& inquiry);
  void end_stream(core::WatchId id, int status, std::string text);
  void look(core::WatchId id);
  void send_view(core::WatchId id, wire::View view);
  [[nodiscard]] Duration latency() { return scenario_.latency + dice_.up_to(scenario_.jitter); }
  [[nodiscard]] bool misbehave(double probability) { return misbehaves_ && dice_.chance(probability); }

  const Scenario& scenario_;
  std::size_t client_;
  Agenda& agenda_;
  Trace& trace_;
  Servers& servers_;
  NetworkSink& sink_;
  Dice dice_;
  std::map<core::CallId, Flight> flights_;
  std::map<core::WatchId, Stream> streams_;
  std::vector<Link> links_;
  bool misbehaves_ = true;
};

}  // namespace norikv::simulation
