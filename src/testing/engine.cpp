#include "testing/engine.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace norikv::testing {
namespace {

/// How soon a waiting request notices that its client has gone: gRPC's sync server tells only who asks.
constexpr Duration call_check = std::chrono::milliseconds{100};

TimePoint now() { return std::chrono::steady_clock::now(); }

Refusal gone() { return {StatusCode::cancelled, "The call is over"}; }

}  // namespace

Engine::Engine(ModelConfig config, TimePoint start) : nodes_(config.cluster.nodes) {
  model_ = make_model(std::move(config), start);
}

template <class T>
Answer<T> Engine::counted(Answer<T> answer) {
  if (!answer && is_not_leader(answer.error())) ++counters_.not_leader;
  return answer;
}

void Engine::wait(Lock& lock, Node& node, TimePoint until) {
  node.changed.wait_until(lock, std::min(until, now() + call_check));
}

Refusal Engine::stay_silent(Lock& lock, const CallContext& call) {
  lock.unlock();
  // The server is being shut down and breaks the connection in a moment; an answer before that would be one too many.
  for (int tries = 0; tries < 2000 && !call.cancelled(); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return gone();
}

Answer<void> Engine::wait_to_speak(Lock& lock, Node& node, const CallContext& call) {
  while (node.running && node.frozen) {
    wait(lock, node, TimePoint::max());
    if (node.running && call.cancelled()) return tl::unexpected(gone());
  }
  if (!node.running) return tl::unexpected(stay_silent(lock, call));
  return {};
}

Answer<Version> Engine::write(NodeIndex index, const CallContext& call, Write write) {
  Lock lock(mutex_);
  if (auto speaks = wait_to_speak(lock, nodes_[index], call); !speaks) return tl::unexpected(speaks.error());
  Answer<WriteStart> started = model_->begin_write(index, std::move(write), now());
  if (!started) return counted<Version>(tl::unexpected(std::move(started.error())));
  if (started->repeated) return *started->repeated;
  return counted(wait_for_commit(lock, started->ticket, call));
}

Answer<Version> Engine::wait_for_commit(Lock& lock, const WriteTicket& ticket, const CallContext& call) {
  Node& node = nodes_[ticket.node];
  const TimePoint deadline = call.deadline();
  for (bool waited = false;; waited = true) {
    if (!node.running || (waited && call.cancelled())) {
      model_->abandon_write(ticket, now());
      return tl::unexpected(node.running ? gone() : stay_silent(lock, call));
    }
    TimePoint until = TimePoint::max();
    if (!node.frozen) {
      const TimePoint asked = now();
      WriteProgress progress = model_->poll_write(ticket, asked);
      if (progress.answer) return std::move(*progress.answer);
      if (deadline <= asked) {
        model_->abandon_write(ticket, asked);
        return tl::unexpected(timeout_expired());
      }
      until = std::min(progress.ask_again, deadline);
    }
    wait(lock, node, until);
  }
}

Answer<std::optional<Entry>> Engine::read(NodeIndex index, const CallContext& call, std::string_view key,
                                          std::string_view consistency) {
  Lock lock(mutex_);
  if (auto speaks = wait_to_speak(lock, nodes_[index], call); !speaks) return tl::unexpected(speaks.error());
  return counted(model_->read(index, key, consistency, now()));
}

std::optional<wire::View> Engine::next_view(NodeIndex index, const CallContext& call,
                                            std::optional<std::uint64_t> sent) {
  Lock lock(mutex_);
  Node& node = nodes_[index];
  while (true) {
    if (!wait_to_speak(lock, node, call) || call.cancelled()) return std::nullopt;
    const TimePoint asked = now();
    if (!sent || model_->view_epoch(index, asked) != *sent) return model_->view(index, asked);
    wait(lock, node, model_->next_view(index, asked));
  }
}

Answer<wire::Shard> Engine::snapshot_shard(NodeIndex index, const CallContext& call, std::uint32_t shard) {
  Lock lock(mutex_);
  if (auto speaks = wait_to_speak(lock, nodes_[index], call); !speaks) return tl::unexpected(speaks.error());
  return model_->snapshot_shard(index, shard, now());
}

Answer<void> Engine::speak(NodeIndex index, const CallContext& call) {
  Lock lock(mutex_);
  return wait_to_speak(lock, nodes_[index], call);
}

void Engine::wake_all() {
  for (Node& node : nodes_) node.changed.notify_all();
}

void Engine::stop(NodeIndex index) {
  const Lock lock(mutex_);
  if (!nodes_[index].running) return;
  nodes_[index].running = false;
  nodes_[index].frozen = false;
  model_->stop(index, now());
  wake_all();
}

void Engine::restart(NodeIndex index) {
  const Lock lock(mutex_);
  if (nodes_[index].running) return;
  nodes_[index].running = true;
  model_->restart(index, now());
  wake_all();
}

void Engine::freeze(NodeIndex index) {
  const Lock lock(mutex_);
  if (!nodes_[index].running || nodes_[index].frozen) return;
  nodes_[index].frozen = true;
  model_->freeze(index, now());
  wake_all();
}

void Engine::thaw(NodeIndex index) {
  const Lock lock(mutex_);
  if (!nodes_[index].frozen) return;
  nodes_[index].frozen = false;
  model_->thaw(index, now());
  wake_all();
}

bool Engine::move_leader(std::uint32_t shard, NodeIndex node) {
  const Lock lock(mutex_);
  const bool moved = model_->move_leader(shard, node, now());
  wake_all();
  return moved;
}

void Engine::seed(std::string_view key, std::string_view value) {
  const Lock lock(mutex_);
  model_->seed(key, value, now());
}

std::optional<std::string> Engine::stored(std::string_view key) {
  const Lock lock(mutex_);
  return model_->stored(key, now());
}

std::optional<NodeIndex> Engine::leader(std::uint32_t shard) {
  const Lock lock(mutex_);
  return model_->leader(shard, now());
}

void Engine::count_arrival(NodeIndex node, Request request, std::string_view peer) {
  const Lock lock(mutex_);
  switch (request) {
    case Request::put:
      ++counters_.puts;
      break;
    case Request::get:
      ++counters_.gets;
      break;
    case Request::remove:
      ++counters_.removes;
      break;
    case Request::watch:
      ++counters_.watches;
      break;
    case Request::admin:
      break;
  }
  if (!nodes_[node].peers.contains(peer)) nodes_[node].peers.emplace(peer);
}

Cluster::Counters Engine::counters() {
  const Lock lock(mutex_);
  Cluster::Counters counters = counters_;
  counters.applied_writes = model_->applied_writes(now());
  counters.lost_writes = model_->lost_writes();
  for (const Node& node : nodes_) counters.connections += node.peers.size();
  return counters;
}

std::uint32_t Engine::max_overlapping_writes(std::uint32_t shard) {
  const Lock lock(mutex_);
  return model_->max_overlapping_writes(shard);
}

}  // namespace norikv::testing
