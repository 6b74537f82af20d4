#include <utility>

#include "core/session.hpp"
#include "util/text.hpp"

namespace norikv::core {
namespace {

constexpr int status_unimplemented = 12;

}  // namespace

void Session::on_view(WatchId id, const wire::View& view, TimePoint now) {
  const auto stream = streams_.find(id);
  if (stream == streams_.end() || closing_) return;
  const std::size_t node = stream->second;
  counters_.views.add();
  const ClusterState::Change change = cluster_.on_view(node, view, now);
  if (change.shard_out_of_range) warn_of_range(node, *change.shard_out_of_range);
  if (change.empty()) cluster_.publish(change);  // the same state, but fresh
  apply(change, now);
  carry_out(node, watches_[node].op.on_view(now), {}, now);
}

void Session::warn_of_range(std::size_t node, std::uint32_t shard) {
  WarningEvent event;
  event.kind = WarningKind::shard_count_mismatch;
  event.node = cluster_.address(node);
  event.shard = shard;
  event.message = event.node + " has a shard " + std::to_string(shard) + ", beyond ClientOptions::total_shards (" +
                  std::to_string(options_.total_shards) + "): operations go to the wrong shards";
  deliveries_.emplace_back(std::move(event));
}

void Session::on_stream_end(const StreamEnd& end, TimePoint now) {
  const auto stream = streams_.find(end.id);
  if (stream == streams_.end()) return;
  const std::size_t node = stream->second;
  streams_.erase(stream);
  Watch& watch = watches_[node];
  watch.stream.reset();
  if (closing_) return;
  const std::string detail = end.message.empty() ? "status " + std::to_string(end.status) : util::one_line(end.message);
  if (watch.op.state() == ConnectionState::connected || watch.op.state() == ConnectionState::silent) {
    deliveries_.emplace_back(
        ConnectionEvent{EventKind::change, cluster_.address(node), ConnectionState::lost, detail, std::nullopt});
  }
  const WatchOp::Step step = watch.op.on_end(now, random_.unit());
  // A server without topology streams is no server that is down.
  if (end.status == status_unimplemented) {
    node_answered(node, now);
  } else {
    const NodeHealth health = watch.op.failures() > 1 ? NodeHealth::down : NodeHealth::suspect;
    if (cluster_.health(node) != NodeHealth::down) {
      apply(cluster_.on_health(node, health, "topology stream of " + cluster_.address(node) + " ended"), now);
    }
  }
  carry_out(node, step, detail, now);
}

void Session::carry_out(std::size_t node, const WatchOp::Step& step, const std::string& detail, TimePoint now) {
  Watch& watch = watches_[node];
  timers_.cancel(watch.timer);
  if (step.wake_at) watch.timer = timers_.schedule(*step.wake_at, {TimerKind::watch, node});
  if (step.open) {
    const WatchId id{next_watch_++};
    if (std::exchange(watch.opened_before, true)) counters_.stream_reconnects.add();
    cluster_.on_stream_opened(node, now);
    streams_.emplace(id, node);
    watch.stream = id;
    actions_.emplace_back(StartWatch{id, cluster_.address(node)});
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
  for (std::size_t node = 0; node < watches_.size(); ++node) {
    events.push_back({EventKind::replay, cluster_.address(node), watches_[node].op.state(), {}, std::nullopt});
  }
  return events;
}

void Session::apply(const ClusterState::Change& change, TimePoint now) {
  if (change.empty()) return;
  TopologyEvent event;
  event.before = cluster_.snapshot();
  cluster_.publish(change);
  event.after = cluster_.snapshot();
  event.cause = change.cause;
  for (const std::size_t node : change.nodes) event.nodes_changed.push_back(cluster_.address(node));
  event.leaders_changed = change.leaders;
  counters_.leader_changes.add(change.leaders.size());
  deliveries_.emplace_back(std::move(event));
  // State first, users last: those who wait are on their way before any observer runs.
  for (const LeaderChange& leader : change.leaders) settle_discovery(leader.shard, now);
  check_ready();
}

void Session::node_answered(std::size_t node, TimePoint now) {
  silent_calls_[node] = 0;
  apply(cluster_.on_health(node, NodeHealth::up, "answer of " + cluster_.address(node)), now);
}

bool Session::is_ready(Need need) const {
  return cluster_.nodes_heard_of() >= (need == Need::any_node ? 1 : cluster_.node_count());
}

void Session::check_ready() {
  for (auto waiter = ready_.begin(); waiter != ready_.end();) {
    const std::uint64_t id = waiter->first;
    const Need need = waiter->second.need;
    ++waiter;
    if (is_ready(need)) end_ready(id, {});
  }
}

void Session::end_ready(std::uint64_t id, Result<void> result) {
  const auto found = ready_.find(id);
  if (found == ready_.end()) return;
  timers_.cancel(found->second.timer);
  deliveries_.emplace_back(ReadyResult{std::move(found->second.callback), std::move(result)});
  ready_.erase(found);
}

}  // namespace norikv::core
