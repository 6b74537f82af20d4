#include <utility>

#include "core/grpc_status.hpp"
#include "core/session.hpp"
#include "util/text.hpp"

namespace norikv::core {
namespace {

constexpr std::size_t max_reason = 1000;  // of many nodes the first ones tell enough

// What is said about a stream by a node that is there, or by somebody in front of it: it may well take requests.
bool refuses_stream(int status) {
  switch (status) {
    case grpc_status::not_found:
    case grpc_status::already_exists:
    case grpc_status::permission_denied:
    case grpc_status::failed_precondition:
    case grpc_status::out_of_range:
    case grpc_status::unimplemented:
    case grpc_status::unauthenticated:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Session::on_view(WatchId id, wire::LeaderView view, TimePoint now) {
  const auto stream = streams_.find(id);
  if (stream == streams_.end() || closing_) return;
  const std::size_t node = stream->second;
  // A stream to a node that was removed, and may be back with a new one.
  if (!nodes_[node].watch || nodes_[node].watch->stream != id) return;
  counters_.views.add();
  on_news_of(node, cluster_.on_view(node, std::move(view), now), now);
  if (!nodes_[node].watch) return;
  tokens_.on_accepted(nodes_[node].watch->token);
  carry_out(node, nodes_[node].watch->op.on_view(now), {}, now);
}

void Session::on_news_of(std::size_t node, const ClusterState::Change& change, TimePoint now) {
  if (change.shard_out_of_range) {
    warn_of_shard_count(node, *change.shard_out_of_range,
                        "it has a shard beyond them: operations go to the wrong shards");
  }
  if (change.shard_not_listed) {
    warn_of_shard_count(node, *change.shard_not_listed,
                        "it carried out a write to this shard and does not have it: the server seems to have fewer, "
                        "and writes that meet in one of them are not kept apart");
  }
  if (change.empty()) cluster_.publish(change);  // the same state, but fresh
  apply(change, now);
  release_confirmed(now);
  // Never in this turn: time has to pass first.
  timers_.cancel(nodes_[node].view_timer);
  if (cluster_.amid_view(node)) nodes_[node].view_timer = timers_.schedule(now + Duration{1}, {TimerKind::view, node});
}

void Session::warn_of_shard_count(std::size_t node, std::uint32_t shard, std::string_view what) {
  counters_.shard_count_mismatches.add();
  WarningEvent event;
  event.kind = WarningKind::shard_count_mismatch;
  event.node = cluster_.address(node);
  event.shard = shard;
  event.message = "ClientOptions::total_shards is " + std::to_string(options_.total_shards) +
                  ", which is not the number of " + event.node + ", seen at shard " + std::to_string(shard) + ": ";
  event.message += what;
  deliveries_.emplace_back(std::move(event));
}

void Session::on_stream_end(const StreamEnd& end, TimePoint now) {
  const auto stream = streams_.find(end.id);
  if (stream == streams_.end()) return;
  const std::size_t node = stream->second;
  streams_.erase(stream);
  // A node that was removed, and may be back with a new stream.
  if (!nodes_[node].watch || nodes_[node].watch->stream != end.id) return;
  Watch& watch = *nodes_[node].watch;
  watch.stream.reset();
  if (closing_) return;
  std::string message = end.message;
  tokens_.redact(message);
  const std::string detail = message.empty() ? "status " + std::to_string(end.status) : util::one_line(message);
  watch.trouble = detail;
  if (watch.op.state() == ConnectionState::connected || watch.op.state() == ConnectionState::silent) {
    deliveries_.emplace_back(
        ConnectionEvent{EventKind::change, cluster_.address(node), ConnectionState::lost, detail, std::nullopt});
  }
  if (end.status == grpc_status::unauthenticated) {
    watch.refused_token = watch.token;
    tokens_.on_refused(watch.token, now, random_.unit());
  }
  const WatchOp::Step step = watch.op.on_end(now, random_.unit());
  if (refuses_stream(end.status)) {
    // No answer for the breaker: whether requests are answered is for a request to show.
    apply(cluster_.on_health(node, NodeHealth::up, "answer of " + cluster_.address(node)), now);
  } else {
    const NodeHealth health = watch.op.failures() > 1 ? NodeHealth::down : NodeHealth::suspect;
    if (cluster_.health(node) != NodeHealth::down) {
      apply(cluster_.on_health(node, health, "topology stream of " + cluster_.address(node) + " ended"), now);
    }
  }
  carry_out(node, step, detail, now);
  release_confirmed(now);
}

void Session::carry_out(std::size_t node, const WatchOp::Step& step, const std::string& detail, TimePoint now) {
  Watch& watch = *nodes_[node].watch;
  timers_.cancel(watch.timer);
  if (step.wake_at) watch.timer = timers_.schedule(*step.wake_at, {TimerKind::watch, node});
  // What the old one still says, its end included, counts no more.
  if (step.open && watch.stream) actions_.emplace_back(CancelWatch{*std::exchange(watch.stream, std::nullopt)});
  if (step.open && !may_send(watch.refused_token, now)) {
    watch.awaits_token = true;
    timers_.cancel(watch.timer);  // it is not the node that is silent
    watch_token_source(now);
  } else if (step.open) {
    const WatchId id{next_watch_++};
    if (std::exchange(watch.opened_before, true)) counters_.stream_reconnects.add();
    cluster_.on_stream_opened(node, now);
    timers_.cancel(nodes_[node].view_timer);  // what the old one was telling is over
    streams_.emplace(id, node);
    watch.stream = id;
    StartWatch start{id, cluster_.address(node)};
    watch.token = add_token(start.metadata, now);
    actions_.emplace_back(std::move(start));
  }
  if (!step.news) return;
  deliveries_.emplace_back(
      ConnectionEvent{EventKind::change, cluster_.address(node), *step.news, detail, step.retry_in});
  if (*step.news == ConnectionState::silent) {
    apply(cluster_.on_health(node, NodeHealth::suspect, "silence of " + cluster_.address(node)), now);
  }
}

std::vector<ConnectionEvent> Session::connection_states() const {
  std::vector<ConnectionEvent> events;
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    const std::optional<Watch>& watch = nodes_[node].watch;
    if (watch) events.push_back({EventKind::replay, cluster_.address(node), watch->op.state(), {}, std::nullopt});
  }
  return events;
}

void Session::reopen_streams(TimePoint now) {
  if (!started_ || closing_) return;
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    std::optional<Watch>& watch = nodes_[node].watch;
    // One that waits after a failure is tried too: its cause may be gone.
    if (watch && !watch->awaits_token) carry_out(node, watch->op.start(now), {}, now);
  }
}

void Session::set_nodes(const std::vector<std::string>& addresses, TimePoint now) {
  if (!closing_) apply(cluster_.set_nodes(addresses, now), now);
}

void Session::apply(const ClusterState::Change& change, TimePoint now) {
  if (change.empty()) return;
  const std::shared_ptr<const ClusterView> before = cluster_.snapshot();
  cluster_.publish(change);
  if (cluster_.snapshot()->generation == before->generation) return;  // nothing that users are told of
  TopologyEvent event;
  event.before = before;
  event.after = cluster_.snapshot();
  event.cause = change.cause;
  for (const std::size_t node : change.nodes) event.nodes_changed.push_back(cluster_.address(node));
  for (const std::size_t node : change.added) event.nodes_added.push_back(cluster_.address(node));
  for (const std::size_t node : change.removed) event.nodes_removed.push_back(cluster_.address(node));
  event.leaders_changed = change.leaders;
  counters_.leader_changes.add(change.leaders.size());
  deliveries_.emplace_back(std::move(event));
  if (nodes_.size() < cluster_.slot_count()) nodes_.resize(cluster_.slot_count());
  // State first, users last: those who wait are on their way before any observer runs.
  if (!change.added.empty() || !change.removed.empty()) actions_.emplace_back(Retain{cluster_.addresses()});
  for (const std::size_t node : change.removed) remove_node(node, now);
  for (const std::size_t node : change.added) add_node(node, now);
  if (!change.leaders.empty()) watch_moved_calls(change, now);
  for (const LeaderChange& leader : change.leaders) settle_discovery(leader.shard, now);
  nodes_changed_ = nodes_changed_ || !change.nodes.empty();
  if (!change.leaders.empty()) reroute_queued(change, now);
  if (!change.removed.empty()) forget_nodes(now);
  check_ready();
}

void Session::add_node(std::size_t node, TimePoint now) {
  router_.forget(node);
  count_breaker(node);
  nodes_[node].dialect = Dialect::server;
  nodes_[node].silent_calls = 0;
  if (closing_ || !options_.connection.watch_topology) return;
  nodes_[node].watch.emplace(Watch{WatchOp{options_.connection}, {}, {}, false, false, 0, 0});
  if (started_) carry_out(node, nodes_[node].watch->op.start(now), {}, now);
}

void Session::remove_node(std::size_t node, TimePoint now) {
  timers_.cancel(nodes_[node].view_timer);
  if (std::optional<Watch>& watch = nodes_[node].watch) {
    timers_.cancel(watch->timer);
    if (watch->stream) actions_.emplace_back(CancelWatch{*watch->stream});
    deliveries_.emplace_back(ConnectionEvent{EventKind::change, cluster_.address(node), ConnectionState::lost,
                                             "the node was removed", std::nullopt});
    watch.reset();
  }
  // Requests on their way may end; what waits for the node goes elsewhere.
  const std::deque<Queued> waiting = std::exchange(nodes_[node].queue, {});
  count_queue(node);
  for (const Queued& queued : waiting) find(queued.id)->queued_at.reset();
  for (const Queued& queued : waiting) {
    if (RequestOp* op = find(queued.id)) route(*op, now);
  }
}

/// Gives up the slots of nodes that are long gone. What still names one keeps it until a later node is removed.
void Session::forget_nodes(TimePoint now) {
  std::vector<std::size_t> gone = cluster_.long_gone();
  if (gone.empty()) return;
  std::vector<bool> named(nodes_.size());
  for (const auto& [id, op] : operations_) op.mark_nodes(named);
  for (const auto& [id, call] : calls_) named[call.node] = true;
  for (const auto& [id, node] : streams_) named[node] = true;
  std::erase_if(gone, [&](std::size_t node) {
    std::deque<TimePoint>& settling = nodes_[node].settling;
    while (!settling.empty() && settling.front() <= now) settling.pop_front();
    return named[node] || !settling.empty() || !nodes_[node].queue.empty();
  });
  for (const std::size_t node : gone) {
    timers_.cancel(nodes_[node].slot_timer);
    nodes_[node] = Node{};
  }
  cluster_.give_up(gone);
}

void Session::node_answered(std::size_t node, TimePoint now) {
  nodes_[node].silent_calls = 0;
  Breaker& breaker = router_.breaker(node);
  const bool was_closed = breaker.state() == Breaker::State::closed;
  breaker.on_answer();
  if (!was_closed) count_breaker(node);
  if (cluster_.health(node) == NodeHealth::up) return;  // nearly always: no text for nothing
  apply(cluster_.on_health(node, NodeHealth::up, "answer of " + cluster_.address(node)), now);
}

bool Session::is_ready(Need need) const {
  return cluster_.nodes_heard_of() >= (need == Need::any_node ? 1 : cluster_.node_count());
}

void Session::check_ready() {
  if (ready_.empty()) return;
  for (auto waiter = ready_.begin(); waiter != ready_.end();) {
    const std::uint64_t id = waiter->first;
    const Need need = waiter->second.need;
    ++waiter;
    if (is_ready(need)) end_ready(id, {});
  }
}

std::string Session::why_not_ready() const {
  std::string why = "not enough nodes answered in time";
  if (!tokens_.failure().empty()) why += "; " + tokens_.failure();
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    const std::optional<Watch>& watch = nodes_[node].watch;
    if (!watch || watch->trouble.empty() || cluster_.health(node) == NodeHealth::up) continue;
    why += "; " + cluster_.address(node) + ": " + watch->trouble;
    if (why.size() > max_reason) return why + " ...";
  }
  return why;
}

void Session::end_ready(std::uint64_t id, Result<void> result) {
  const auto found = ready_.find(id);
  if (found == ready_.end()) return;
  timers_.cancel(found->second.timer);
  deliveries_.emplace_back(ReadyResult{std::move(found->second.callback), std::move(result)});
  ready_.erase(found);
}

}  // namespace norikv::core
