#include "simulation/network.hpp"

#include <utility>

namespace norikv::simulation {
namespace {

using namespace std::chrono_literals;
using core::Sent;

constexpr int cancelled = 1;
constexpr int deadline_exceeded = 4;
constexpr int unavailable = 14;
constexpr int unauthenticated = 16;

std::uint64_t number(core::CallId id) { return static_cast<std::uint64_t>(id); }
std::uint64_t number(core::WatchId id) { return static_cast<std::uint64_t>(id); }

}  // namespace

Network::Network(const Scenario& scenario, std::size_t client, Agenda& agenda, Trace& trace, Servers& servers,
                 NetworkSink& sink)
    : scenario_(scenario),
      client_(client),
      agenda_(agenda),
      trace_(trace),
      servers_(servers),
      sink_(sink),
      dice_(scenario.seed, 100 + client),
      links_(scenario.cluster.nodes) {}

// -- Calls
// -------------------------------------------------------------------------------------------------------------

void Network::start(core::Call call, std::size_t node, std::shared_ptr<testing::WriteFate> fate) {
  const core::CallId id = call.id;
  const Faults& faults = scenario_.faults;
  Flight& flight = flights_[id];
  flight.method = call.method;
  flight.node = node;
  flight.inquiry = std::make_shared<Inquiry>();
  Inquiry& inquiry = *flight.inquiry;
  inquiry.method = call.method;
  inquiry.bytes = *call.payload + call.suffix;
  inquiry.token = token_in(call.metadata);
  inquiry.deadline = call.deadline;
  inquiry.fate = std::move(fate);
  // What runs out first, the client's time or the server's, is a matter of chance.
  if (dice_.chance(0.3)) inquiry.deadline -= dice_.up_to(2ms);
  inquiry.answer = [this, id](core::Reply reply) { answered(id, std::move(reply)); };
  agenda_.at(call.deadline, [this, id] { end(id, deadline_exceeded, "Deadline Exceeded"); });

  Link& link = links_[node];
  if (!servers_.running(node)) return end_later(id, latency(), unavailable, "connection refused", Sent::not_sent);
  if (link.cut && !link.connected)
    return end_later(id, scenario_.options.connection.connect_timeout, unavailable, "no connection", Sent::not_sent);
  if (misbehave(faults.not_sent)) return end_later(id, latency(), unavailable, "no connection", Sent::not_sent);
  link.connected = true;
  if (misbehave(faults.refused_unprocessed))
    return end_later(id, latency(), unavailable, "GOAWAY", Sent::refused_unprocessed);
  if (misbehave(faults.broken_before)) return end_later(id, latency(), unavailable, "connection reset");
  if (misbehave(faults.vanished_before)) return;
  flight.reply_vanishes = misbehave(faults.vanished_after);
  if (misbehave(faults.broken_after)) {
    if (dice_.chance(0.5)) {
      flight.reply_breaks = true;
    } else {
      end_later(id, latency() + dice_.up_to(200ms), unavailable, "connection reset");
    }
  }
  agenda_.after(latency(), [this, id, node] { deliver(node, [this, id] { arrive(id); }); });
}

// What crosses a link that is cut waits until it is healed.
void Network::deliver(std::size_t node, Step step) {
  if (links_[node].cut) return links_[node].waiting.push_back(std::move(step));
  step();
}

void Network::arrive(core::CallId id) {
  const auto flight = flights_.find(id);
  // Given up on the way: its end follows it in the same connection, and nobody begins it.
  if (flight == flights_.end() || flight->second.inquiry->client_gone) return;
  if (!servers_.running(flight->second.node)) return end(id, unavailable, "connection reset");
  trace_("client {}: call {} arrives at node {}", client_, number(id), flight->second.node);
  servers_.arrive(flight->second.node, flight->second.inquiry);
}

void Network::answered(core::CallId id, core::Reply reply) {
  const auto found = flights_.find(id);
  if (found == flights_.end()) return;
  const Flight& flight = found->second;
  if (flight.reply_vanishes) return;
  if (flight.reply_breaks) return end_later(id, latency(), unavailable, "connection reset");
  reply.id = id;
  agenda_.after(latency(), [this, id, node = flight.node, reply = std::move(reply)]() mutable {
    deliver(node, [this, id, reply = std::move(reply)]() mutable { end(id, std::move(reply)); });
  });
}

void Network::end(core::CallId id, core::Reply reply) {
  const auto found = flights_.find(id);
  if (found == flights_.end()) return;
  const std::shared_ptr<Inquiry> inquiry = std::move(found->second.inquiry);
  flights_.erase(found);
  tell_server(inquiry);
  reply.id = id;
  sink_.on_reply(std::move(reply));
}

void Network::end(core::CallId id, int status, std::string text, Sent sent) {
  core::Reply reply;
  reply.status = status;
  reply.message = std::move(text);
  reply.sent = sent;
  end(id, std::move(reply));
}

void Network::end_later(core::CallId id, Duration delay, int status, std::string text, Sent sent) {
  agenda_.after(delay,
                [this, id, status, text = std::move(text), sent]() mutable { end(id, status, std::move(text), sent); });
}

// A call that ended here ends over there a little later.
void Network::tell_server(const std::shared_ptr<Inquiry>& inquiry) {
  agenda_.after(latency(), [inquiry] { inquiry->client_gone = true; });
}

void Network::cancel(core::CallId id) {
  const auto found = flights_.find(id);
  if (found == flights_.end()) return;  // its reply is on its way to the client
  trace_("client {}: call {} is given up", client_, number(id));
  tell_server(found->second.inquiry);
  // A reply that is faster still counts.
  end_later(id, dice_.chance(0.8) ? Duration{0} : dice_.up_to(5ms), cancelled, "CANCELLED");
}

std::size_t Network::calls_to(std::size_t node) const {
  std::size_t count = 0;
  for (const auto& [id, flight] : flights_) count += flight.node == node ? 1 : 0;
  return count;
}

// -- Streams
// -----------------------------------------------------------------------------------------------------------

void Network::watch(core::WatchId id, std::size_t node, const std::string& token) {
  streams_[id].node = node;
  trace_("client {}: stream {} to node {} is opened", client_, number(id), node);
  const auto refuse = [this, id] { end_stream(id, unavailable, "connection refused"); };
  if (!servers_.running(node)) return agenda_.after(latency(), refuse);
  if (links_[node].cut && !links_[node].connected)
    return agenda_.after(scenario_.options.connection.connect_timeout, refuse);
  if (misbehave(scenario_.faults.not_sent)) return agenda_.after(latency(), refuse);
  links_[node].connected = true;
  agenda_.after(latency(), [this, id, node, token] {
    const bool there = servers_.running(node) && !servers_.frozen(node);
    if (std::optional<std::string> refusal = there ? servers_.refusal_of(token) : std::nullopt)
      return end_stream(id, unauthenticated, std::move(*refusal));
    look(id);
  });
}

// Whether the server has a view that the stream has not told.
void Network::look(core::WatchId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  const std::size_t node = stream.node;
  if (!servers_.running(node)) return end_stream(id, unavailable, "connection reset");
  ++stream.check;
  TimePoint again = agenda_.now() + 100ms;
  if (!servers_.frozen(node)) {
    if (const std::uint64_t epoch = servers_.view_epoch(node); !stream.told || epoch != stream.epoch) {
      stream.told = true;
      stream.epoch = epoch;
      send_view(id, servers_.view(node));
    }
    again = servers_.next_view(node);
  }
  agenda_.at(again, [this, id, check = stream.check] {
    const auto still = streams_.find(id);
    if (still != streams_.end() && still->second.check == check) look(id);
  });
}

void Network::news() {
  std::vector<core::WatchId> ids;
  for (const auto& [id, stream] : streams_) {
    if (stream.told) ids.push_back(id);
  }
  for (const core::WatchId id : ids) look(id);
}

void Network::send_view(core::WatchId id, wire::View view) {
  Stream& stream = streams_.at(id);
  stream.last = view;
  // Within a stream nothing overtakes.
  stream.last_arrival = std::max(agenda_.now() + latency(), stream.last_arrival);
  agenda_.at(stream.last_arrival, [this, id, node = stream.node, view = std::move(view)]() mutable {
    deliver(node, [this, id, view = std::move(view)]() mutable {
      if (streams_.count(id) != 0) sink_.on_view(id, std::move(view));
    });
  });
}

void Network::show_stale_view(std::size_t node) {
  for (auto& [id, stream] : streams_) {
    if (stream.node != node || !stream.told || stream.last.epoch == 0) continue;
    wire::View old = stream.last;
    old.epoch = dice_.below(old.epoch);
    for (wire::Shard& shard : old.shards) {
      for (wire::Replica& replica : shard.replicas) replica.leader = !replica.leader;
    }
    const wire::View last = stream.last;
    send_view(id, std::move(old));
    stream.last = last;
  }
}

void Network::end_stream(core::WatchId id, int status, std::string text) {
  if (streams_.erase(id) == 0) return;
  trace_("client {}: stream {} ends, status {} {}", client_, number(id), status, text);
  sink_.on_stream_end({id, status, std::move(text)});
}

void Network::end_stream(std::size_t node, int status) {
  std::vector<core::WatchId> ids;
  for (const auto& [id, stream] : streams_) {
    if (stream.node == node) ids.push_back(id);
  }
  for (const core::WatchId id : ids) end_stream(id, status, status == 0 ? "" : "the stream is over");
}

void Network::cancel(core::WatchId id) {
  agenda_.after(dice_.up_to(1ms), [this, id] { end_stream(id, cancelled, "CANCELLED"); });
}

// -- Links
// -------------------------------------------------------------------------------------------------------------

void Network::cut(std::size_t node) {
  trace_("client {}: nothing gets through to node {}", client_, node);
  links_[node].cut = true;
}

void Network::heal(std::size_t node) {
  if (!std::exchange(links_[node].cut, false)) return;
  trace_("client {}: node {} is reached again", client_, node);
  for (Step& step : std::exchange(links_[node].waiting, {})) step();
}

void Network::reset(std::size_t node) {
  trace_("client {}: connections to node {} break", client_, node);
  links_[node].connected = false;
  links_[node].waiting.clear();
  std::vector<core::CallId> ids;
  for (const auto& [id, flight] : flights_) {
    if (flight.node == node) ids.push_back(id);
  }
  for (const core::CallId id : ids) end_later(id, dice_.up_to(1ms), unavailable, "connection reset");
  end_stream(node, unavailable);
}

}  // namespace norikv::simulation
