#include "testing/engine.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace norikv::testing {
namespace {

TimePoint now() { return std::chrono::steady_clock::now(); }

// A request's id tells its node.
constexpr std::uint64_t node_bits = 8;
RequestId request_id(std::uint64_t number, NodeIndex node) { return RequestId{number << node_bits | node}; }
NodeIndex node_of(RequestId id) {
  return static_cast<NodeIndex>(static_cast<std::uint64_t>(id) & ((1u << node_bits) - 1));
}

}  // namespace

/// A request that may have to wait. All of it under the engine's mutex.
class Engine::Request {
 public:
  explicit Request(NodeIndex asked) : node(asked) {}
  virtual ~Request() = default;
  /// Goes on as far as it can. When to look again; none = it has ended.
  virtual std::optional<TimePoint> step(Engine& engine, RequestId id, TimePoint time, Outbox& outbox) = 0;
  virtual void abandon(Engine&) {}

  const NodeIndex node;
  TimePoint next_look = TimePoint::max();  ///< The earliest that the timer knows of.

 protected:
  template <class T>
  static std::nullopt_t answer(Engine& engine, Outbox& outbox, Done<T>& done, Answer<T> answer) {
    if (!answer && is_not_leader(answer.error())) ++engine.counters_.not_leader;
    outbox.emplace_back([done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
    return std::nullopt;
  }
};

/// A request that the model answers at once, as soon as the node speaks.
template <class T, class Ask>
class Engine::Question final : public Request {
 public:
  Question(NodeIndex asked, Ask ask, Done<T> done) : Request(asked), ask_(std::move(ask)), done_(std::move(done)) {}

  std::optional<TimePoint> step(Engine& engine, RequestId, TimePoint time, Outbox& outbox) override {
    if (engine.nodes_[node].frozen) return TimePoint::max();
    return answer<T>(engine, outbox, done_, ask_(*engine.model_, time));
  }

 private:
  Ask ask_;
  Done<T> done_;
};

class Engine::WriteRequest final : public Request {
 public:
  WriteRequest(NodeIndex asked, TimePoint deadline, Write write, Done<Version> done)
      : Request(asked), deadline_(deadline), write_(std::move(write)), done_(std::move(done)) {}

  std::optional<TimePoint> step(Engine& engine, RequestId, TimePoint time, Outbox& outbox) override {
    if (engine.nodes_[node].frozen) return TimePoint::max();
    if (!ticket_) {
      Answer<WriteStart> started = engine.model_->begin_write(node, std::move(write_), time);
      if (!started) return answer<Version>(engine, outbox, done_, tl::unexpected(std::move(started.error())));
      if (started->repeated) return answer<Version>(engine, outbox, done_, *started->repeated);
      ticket_ = started->ticket;
    }
    WriteProgress progress = engine.model_->poll_write(*ticket_, time);
    if (progress.answer) return answer<Version>(engine, outbox, done_, std::move(*progress.answer));
    if (deadline_ <= time) {
      abandon(engine);
      return answer<Version>(engine, outbox, done_, tl::unexpected(timeout_expired()));
    }
    return std::min(progress.ask_again, deadline_);
  }

  void abandon(Engine& engine) override {
    if (ticket_) engine.model_->abandon_write(*ticket_, now());
  }

 private:
  TimePoint deadline_;
  Write write_;
  Done<Version> done_;
  std::optional<WriteTicket> ticket_;
};

/// A request of the Vector service: handled when the node speaks, answered when it is due.
template <class Message>
class Engine::VectorRequest final : public Request {
 public:
  using Reply = VectorReply<Message>;
  VectorRequest(NodeIndex asked, TimePoint deadline, Message message, Done<Reply> done)
      : Request(asked), deadline_(deadline), message_(std::move(message)), done_(std::move(done)) {}

  std::optional<TimePoint> step(Engine& engine, RequestId, TimePoint time, Outbox& outbox) override {
    if (engine.nodes_[node].frozen) return TimePoint::max();
    if (!handled_) {
      handled_ = engine.vectors_->handle({node, engine.model_->leader(0, time), time}, message_);
      due_ = engine.vectors_->answer_due();
    }
    if (due_ <= time) return answer<Reply>(engine, outbox, done_, std::move(*handled_));
    if (deadline_ <= time) return answer<Reply>(engine, outbox, done_, tl::unexpected(timeout_expired()));
    return std::min(due_, deadline_);
  }

 private:
  TimePoint deadline_;
  Message message_;
  Done<Reply> done_;
  std::optional<Answer<Reply>> handled_;
  TimePoint due_{};
};

class Engine::Stream final : public Request {
 public:
  Stream(NodeIndex asked, ViewSink view, UniqueFunction<void()> ended)
      : Request(asked), view_(std::make_shared<ViewSink>(std::move(view))), ended_(std::move(ended)) {}

  std::optional<TimePoint> step(Engine& engine, RequestId id, TimePoint time, Outbox& outbox) override {
    const Node& told = engine.nodes_[node];
    if (told.frozen) return TimePoint::max();
    if (ending_) {
      outbox.push_back(std::move(ended_));
      return std::nullopt;
    }
    if (sending_) return TimePoint::max();
    const State state{engine.model_->view_epoch(node, time), told.view_changes};
    if (state == sent_) return engine.model_->next_view(node, time);
    sent_ = state;
    sending_ = true;
    outbox.emplace_back(
        [sink = view_, id, view = falsified(engine.model_->view(node, time), told.view_faults)] { (*sink)(id, view); });
    return TimePoint::max();
  }

  void sent() noexcept { sending_ = false; }
  void end() noexcept { ending_ = true; }

 private:
  struct State {
    std::uint64_t epoch = 0;
    std::uint64_t changes = 0;
    friend bool operator==(const State&, const State&) = default;
  };
  std::shared_ptr<ViewSink> view_;  ///< Shared with a view that is on its way out.
  UniqueFunction<void()> ended_;
  std::optional<State> sent_;
  bool sending_ = false;
  bool ending_ = false;
};

Engine::Engine(ModelConfig config, TimePoint start, TimerThread& timer) : timer_(timer), nodes_(config.cluster.nodes) {
  if (config.cluster.vectors != VectorService::none) vectors_.emplace(config.cluster, start);
  model_ = make_model(std::move(config), start);
}

Engine::~Engine() = default;

void Engine::give_out(Outbox& outbox) {
  for (UniqueFunction<void()>& answer : outbox) answer();
}

bool Engine::go_on(RequestId id, Request& request, Outbox& outbox) {
  const TimePoint time = now();
  const std::optional<TimePoint> look = request.step(*this, id, time, outbox);
  if (!look) return false;
  if (request.next_look <= time) request.next_look = TimePoint::max();
  if (*look < request.next_look) {
    request.next_look = *look;
    timer_.at(*look, [this, id] { on_time(id); });
  }
  return true;
}

void Engine::go_on_all(Outbox& outbox) {
  for (Node& node : nodes_) {
    std::erase_if(node.requests, [&](const auto& each) { return !go_on(each.first, *each.second, outbox); });
  }
}

template <class F>
void Engine::happen(F&& happening) {
  Outbox outbox;
  std::unique_lock lock(mutex_);
  happening();
  go_on_all(outbox);
  lock.unlock();
  give_out(outbox);
}

RequestId Engine::start(NodeIndex node, std::unique_ptr<Request> request) {
  Outbox outbox;
  std::unique_lock lock(mutex_);
  const RequestId id = request_id(++last_request_, node);
  // A stopped node says nothing. Its connections break in a moment.
  if (nodes_[node].running && go_on(id, *request, outbox)) nodes_[node].requests.emplace(id, std::move(request));
  lock.unlock();
  give_out(outbox);
  return id;
}

void Engine::on_time(RequestId id) {
  Outbox outbox;
  std::unique_lock lock(mutex_);
  auto& requests = nodes_[node_of(id)].requests;
  const auto found = requests.find(id);
  if (found == requests.end()) return;
  if (!go_on(id, *found->second, outbox)) requests.erase(found);
  lock.unlock();
  give_out(outbox);
}

RequestId Engine::write(NodeIndex node, TimePoint deadline, Write write, Done<Version> done) {
  return start(node, std::make_unique<WriteRequest>(node, deadline, std::move(write), std::move(done)));
}

template <class T, class Ask>
RequestId Engine::ask(NodeIndex node, Ask question, Done<T> done) {
  return start(node, std::make_unique<Question<T, Ask>>(node, std::move(question), std::move(done)));
}

RequestId Engine::read(NodeIndex node, std::string key, std::string consistency, Done<std::optional<Entry>> done) {
  return ask(
      node,
      [node, key = std::move(key), consistency = std::move(consistency)](ClusterModel& model, TimePoint time) {
        return model.read(node, key, consistency, time);
      },
      std::move(done));
}

RequestId Engine::snapshot_shard(NodeIndex node, std::uint32_t shard, Done<wire::Shard> done) {
  return ask(
      node, [node, shard](ClusterModel& model, TimePoint time) { return model.snapshot_shard(node, shard, time); },
      std::move(done));
}

template <class Message>
RequestId Engine::vectors(NodeIndex node, TimePoint deadline, Message request, Done<VectorReply<Message>> done) {
  return start(node, std::make_unique<VectorRequest<Message>>(node, deadline, std::move(request), std::move(done)));
}

template RequestId Engine::vectors(NodeIndex, TimePoint, v1::CreateVectorIndexRequest,
                                   Done<v1::CreateVectorIndexResponse>);
template RequestId Engine::vectors(NodeIndex, TimePoint, v1::DropVectorIndexRequest, Done<v1::DropVectorIndexResponse>);
template RequestId Engine::vectors(NodeIndex, TimePoint, v1::VectorInsertRequest, Done<v1::VectorInsertResponse>);
template RequestId Engine::vectors(NodeIndex, TimePoint, v1::VectorDeleteRequest, Done<v1::VectorDeleteResponse>);
template RequestId Engine::vectors(NodeIndex, TimePoint, v1::VectorSearchRequest, Done<v1::VectorSearchResponse>);
template RequestId Engine::vectors(NodeIndex, TimePoint, v1::VectorGetRequest, Done<v1::VectorGetResponse>);

RequestId Engine::speak(NodeIndex node, Done<void> done) {
  return ask(
      node, [](ClusterModel&, TimePoint) { return Answer<void>(); }, std::move(done));
}

RequestId Engine::watch(NodeIndex node, ViewSink view, UniqueFunction<void()> ended) {
  return start(node, std::make_unique<Stream>(node, std::move(view), std::move(ended)));
}

void Engine::sent(RequestId id) {
  Outbox outbox;
  std::unique_lock lock(mutex_);
  auto& requests = nodes_[node_of(id)].requests;
  const auto found = requests.find(id);
  if (found == requests.end()) return;
  static_cast<Stream&>(*found->second).sent();
  if (!go_on(id, *found->second, outbox)) requests.erase(found);
  lock.unlock();
  give_out(outbox);
}

void Engine::forget(RequestId id) {
  std::unique_ptr<Request> forgotten;  // What it holds is destroyed outside of the mutex.
  const std::lock_guard lock(mutex_);
  auto& requests = nodes_[node_of(id)].requests;
  const auto found = requests.find(id);
  if (found == requests.end()) return;
  forgotten = std::move(found->second);
  requests.erase(found);
  forgotten->abandon(*this);
}

void Engine::stop(NodeIndex index) {
  RequestMap dropped;
  happen([&] {
    Node& node = nodes_[index];
    if (!node.running) return;
    node.running = false;
    node.frozen = false;
    model_->stop(index, now());
    dropped.swap(node.requests);
    for (auto& [id, request] : dropped) request->abandon(*this);
  });
}

void Engine::restart(NodeIndex index) {
  happen([&] {
    if (nodes_[index].running) return;
    nodes_[index].running = true;
    model_->restart(index, now());
    if (vectors_) vectors_->restart(index);
  });
}

void Engine::freeze(NodeIndex index) {
  happen([&] {
    if (!nodes_[index].running || nodes_[index].frozen) return;
    nodes_[index].frozen = true;
    model_->freeze(index, now());
  });
}

void Engine::thaw(NodeIndex index) {
  happen([&] {
    if (!nodes_[index].frozen) return;
    nodes_[index].frozen = false;
    model_->thaw(index, now());
  });
}

bool Engine::move_leader(std::uint32_t shard, NodeIndex node) {
  bool moved = false;
  happen([&] { moved = model_->move_leader(shard, node, now()); });
  return moved;
}

void Engine::end_streams(NodeIndex index) {
  happen([&] {
    for (auto& [id, request] : nodes_[index].requests) {
      if (auto* stream = dynamic_cast<Stream*>(request.get())) stream->end();
    }
  });
}

void Engine::falsify_views(NodeIndex index, const std::function<void(ViewFaults&)>& change) {
  happen([&] {
    change(nodes_[index].view_faults);
    ++nodes_[index].view_changes;
  });
}

void Engine::seed(std::string_view key, std::string_view value) {
  const std::lock_guard lock(mutex_);
  model_->seed(key, value, now());
}

std::optional<std::string> Engine::stored(std::string_view key) {
  const std::lock_guard lock(mutex_);
  return model_->stored(key, now());
}

std::optional<NodeIndex> Engine::leader(std::uint32_t shard) {
  const std::lock_guard lock(mutex_);
  return model_->leader(shard, now());
}

void Engine::count_arrival(NodeIndex node, Method method, std::string_view peer) {
  const std::lock_guard lock(mutex_);
  if (method == Method::put) ++counters_.puts;
  if (method == Method::get) ++counters_.gets;
  if (method == Method::remove) ++counters_.removes;
  if (method == Method::watch) ++counters_.watches;
  if (method == Method::vector) ++counters_.vectors;
  if (!nodes_[node].peers.contains(peer)) nodes_[node].peers.emplace(peer);
}

void Engine::count_unauthenticated() {
  const std::lock_guard lock(mutex_);
  ++counters_.unauthenticated;
}

Cluster::Counters Engine::counters() {
  const std::lock_guard lock(mutex_);
  Cluster::Counters counters = counters_;
  counters.applied_writes = model_->applied_writes(now());
  counters.lost_writes = model_->lost_writes();
  for (const Node& node : nodes_) counters.connections += node.peers.size();
  return counters;
}

std::uint32_t Engine::max_overlapping_writes(std::uint32_t shard) {
  const std::lock_guard lock(mutex_);
  return model_->max_overlapping_writes(shard);
}

std::uint32_t Engine::max_overlapping_vector_writes() {
  const std::lock_guard lock(mutex_);
  return vectors_ ? vectors_->max_overlapping_writes() : 0;
}

}  // namespace norikv::testing
