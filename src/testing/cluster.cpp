#include <norikv/testing/cluster.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <utility>

#include "testing/access.hpp"
#include "testing/engine.hpp"
#include "testing/fault_book.hpp"
#include "testing/fault_state.hpp"
#include "testing/node_server.hpp"
#include "testing/port.hpp"
#include "testing/timer_thread.hpp"

namespace norikv::testing {
namespace {

constexpr std::uint32_t most_nodes = 64;
constexpr std::uint32_t most_shards = 1u << 20;

tl::unexpected<Error> invalid(std::string message) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.message = std::move(message);
  return tl::unexpected(std::move(error));
}

tl::unexpected<Error> taken(std::uint32_t port) {
  Error error;
  error.code = ErrorCode::unavailable;
  error.message = "port " + std::to_string(port) + " of 127.0.0.1 can't be listened on; is another server using it?";
  error.node = local_address(port);
  return tl::unexpected(std::move(error));
}

Result<void> check_number(const char* field, std::uint32_t value, std::uint32_t most) {
  if (value >= 1 && value <= most) return {};
  return invalid(std::string("ClusterConfig::") + field + " is " + std::to_string(value) + "; it must be 1 to " +
                 std::to_string(most));
}

Result<void> check_duration(const char* field, Duration value, Duration least) {
  if (value >= least && value <= max_duration) return {};
  return invalid(std::string("ClusterConfig::") + field + " is " + std::to_string(value.count()) + " ns; it must be " +
                 (least > Duration{0} ? "positive" : "zero or more") + " and at most ten years");
}

Result<void> check(const ClusterConfig& config) {
  return check_number("nodes", config.nodes, most_nodes)
      .and_then([&] { return check_number("total_shards", config.total_shards, most_shards); })
      .and_then([&] { return check_duration("election", config.election, Duration{0}); })
      .and_then([&] { return check_duration("overlap_window", config.overlap_window, Duration{0}); })
      .and_then([&] { return check_duration("view_interval", config.view_interval, Duration{1}); })
      .and_then([&] { return config.tls ? check(*config.tls) : Result<void>{}; })
      .and_then([&]() -> Result<void> {
        if (config.port == 0 || config.port + config.nodes - 1 <= 65535) return {};
        return invalid("ClusterConfig::port is " + std::to_string(config.port) + "; with " +
                       std::to_string(config.nodes) + " nodes the last port would be over 65535");
      });
}

}  // namespace

struct Cluster::Impl {
  Impl(ClusterConfig asked, std::deque<ReservedPort> reserved, const ModelConfig& model)
      : config(asked),
        access(config.tls, config.tokens),
        ports(std::move(reserved)),
        engine(model, std::chrono::steady_clock::now(), timer) {
    const NodeParts parts{config.shapes, engine, faults, timer, access};
    for (NodeIndex node = 0; node < config.nodes; ++node) servers.emplace_back(parts, node, ports[node].number());
  }
  ~Impl() {
    // First the timer: its tasks use the rest.
    timer.stop();
    for (NodeIndex node = 0; node < config.nodes; ++node) stop(node);
  }

  void stop(NodeIndex node) {
    const std::lock_guard lock(lifecycle);
    engine.stop(node);
    servers[node].kill();
  }
  [[nodiscard]] bool has(NodeIndex node) const noexcept { return node < config.nodes; }

  template <class Undo>
  static Fault fault(const std::shared_ptr<Impl>& self, Undo undo, FaultBook::Hits hits = {});
  static Fault inject(const std::shared_ptr<Impl>& self, Requests requests, FaultEffect effect);
  static Fault falsify_views(const std::shared_ptr<Impl>& self, NodeIndex node, ViewFault fault);

  ClusterConfig config;
  Access access;
  std::deque<ReservedPort> ports;
  TimerThread timer;
  FaultBook faults;
  Engine engine;
  std::mutex lifecycle;  ///< One stop, restart or isolation at a time.
  std::deque<NodeServer> servers;
};

Result<Cluster> Cluster::start(ClusterConfig config) {
  if (auto checked = check(config); !checked) return tl::unexpected(std::move(checked.error()));
  ModelConfig model{config, {}};
  std::deque<ReservedPort> ports;
  for (NodeIndex node = 0; node < config.nodes; ++node) {
    const auto wanted = static_cast<std::uint16_t>(config.port == 0 ? 0 : config.port + node);
    std::optional<ReservedPort> port = ReservedPort::take(wanted);
    if (!port) return taken(wanted);
    model.ports.push_back(port->number());
    ports.push_back(std::move(*port));
  }
  auto impl = std::make_shared<Impl>(config, std::move(ports), model);
  for (NodeIndex node = 0; node < config.nodes; ++node) {
    if (!impl->servers[node].start()) return taken(model.ports[node]);
  }
  return Cluster(std::move(impl));
}

Cluster::Cluster(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Cluster::Cluster(Cluster&&) noexcept = default;
Cluster& Cluster::operator=(Cluster&&) noexcept = default;
Cluster::~Cluster() = default;

std::vector<std::string> Cluster::addresses() const {
  std::vector<std::string> addresses;
  for (const ReservedPort& port : impl_->ports) addresses.push_back(local_address(port.number()));
  return addresses;
}

const ClusterConfig& Cluster::config() const noexcept { return impl_->config; }

ClientOptions Cluster::client_options() const {
  ClientOptions options;
  options.nodes = addresses();
  options.total_shards = impl_->config.total_shards;
  return options;
}

void Cluster::seed(std::string_view key, std::string_view value) { impl_->engine.seed(key, value); }

std::optional<std::string> Cluster::stored(std::string_view key) const { return impl_->engine.stored(key); }

std::optional<std::uint32_t> Cluster::leader(std::uint32_t shard) const { return impl_->engine.leader(shard); }

bool Cluster::move_leader(std::uint32_t shard, std::uint32_t node) { return impl_->engine.move_leader(shard, node); }

void Cluster::stop(std::uint32_t node) {
  if (impl_->has(node)) impl_->stop(node);
}

bool Cluster::restart(std::uint32_t node) {
  if (!impl_->has(node)) return false;
  const std::lock_guard lock(impl_->lifecycle);
  if (impl_->servers[node].running()) return true;
  // First the engine: a request that comes the moment the port is open finds a node that answers.
  impl_->engine.restart(node);
  if (impl_->servers[node].start()) return true;
  impl_->engine.stop(node);
  return false;
}

Result<void> Cluster::set_tls(ServerTls tls) {
  return check(tls).map([&] { impl_->access.secure(tls); });
}

void Cluster::require_tokens(std::optional<RequiredTokens> tokens) { impl_->access.require(std::move(tokens)); }

void Cluster::freeze(std::uint32_t node) {
  if (impl_->has(node)) impl_->engine.freeze(node);
}

void Cluster::thaw(std::uint32_t node) {
  if (impl_->has(node)) impl_->engine.thaw(node);
}

/// A fault that a lambda undoes as long as the cluster is there.
template <class Undo>
Fault Cluster::Impl::fault(const std::shared_ptr<Impl>& self, Undo undo, FaultBook::Hits hits) {
  return Fault(std::make_unique<Fault::State>(Fault::State{std::move(hits), [weak = std::weak_ptr(self), undo] {
                                                             if (const auto alive = weak.lock()) undo(*alive);
                                                           }}));
}

Fault Cluster::Impl::inject(const std::shared_ptr<Impl>& self, Requests requests, FaultEffect effect) {
  auto hits = std::make_shared<std::atomic<std::uint64_t>>(0);
  const FaultId id = self->faults.add(std::move(requests), std::move(effect), hits);
  return fault(
      self, [id](Impl& impl) { impl.faults.remove(id); }, std::move(hits));
}

Fault Cluster::delay(Duration time, Requests requests) {
  return Impl::inject(impl_, std::move(requests), DelayRequest{time});
}

Fault Cluster::read_slowly(Duration pause, Requests requests) {
  return Impl::inject(impl_, std::move(requests), ReadLate{pause});
}

Fault Cluster::drop_connection(Moment moment, Requests requests) {
  return Impl::inject(impl_, std::move(requests), DropConnection{moment});
}

Fault Cluster::compress_replies(Requests requests) { return Impl::inject(impl_, std::move(requests), CompressReply{}); }

Fault Cluster::reply_with(ScriptedReply reply, Requests requests) {
  return Impl::inject(impl_, std::move(requests), std::move(reply));
}

Fault Cluster::Impl::falsify_views(const std::shared_ptr<Impl>& self, NodeIndex node, ViewFault fault) {
  if (!self->has(node)) return Impl::fault(self, [](Impl&) {});
  self->engine.falsify_views(node, [&](ViewFaults& faults) { faults.push_back(fault); });
  return Impl::fault(self, [node, fault](Impl& impl) {
    impl.engine.falsify_views(node, [&](ViewFaults& faults) {
      if (const auto found = std::find(faults.begin(), faults.end(), fault); found != faults.end()) faults.erase(found);
    });
  });
}

Fault Cluster::set_epoch_back(std::uint32_t node, std::uint64_t by) {
  return Impl::falsify_views(impl_, node, {by, {}, {}});
}

Fault Cluster::claim_id(std::uint32_t node, std::uint32_t other) {
  return Impl::falsify_views(impl_, node, {0, node_id(node), node_id(other)});
}

Fault Cluster::isolate(std::uint32_t node, Isolation how) {
  if (!impl_->has(node)) return Impl::fault(impl_, [](Impl&) {});
  const std::lock_guard lock(impl_->lifecycle);
  impl_->servers[node].isolate(how);
  return Impl::fault(impl_, [node, how](Impl& impl) {
    const std::lock_guard healing(impl.lifecycle);
    impl.servers[node].reconnect(how);
  });
}

void Cluster::go_away(std::uint32_t node) {
  if (impl_->has(node)) impl_->servers[node].go_away();
}

void Cluster::end_streams(std::uint32_t node) {
  if (impl_->has(node)) impl_->engine.end_streams(node);
}

Cluster::Counters Cluster::counters() const { return impl_->engine.counters(); }

std::uint32_t Cluster::max_overlapping_writes(std::uint32_t shard) const {
  return impl_->engine.max_overlapping_writes(shard);
}

std::uint32_t Cluster::max_overlapping_vector_writes() const { return impl_->engine.max_overlapping_vector_writes(); }

}  // namespace norikv::testing
