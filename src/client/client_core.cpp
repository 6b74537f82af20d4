#include "client/client_core.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <utility>

#include "client/fork.hpp"
#include "client/tls.hpp"
#include "client/validation.hpp"
#include "transport/grpc/grpc_transport.hpp"
#include "util/random.hpp"
#ifdef NORIKV_WITH_H2
#include "transport/h2/h2_transport.hpp"
#include "util/earlier.hpp"
#endif

namespace norikv::detail {
namespace {

TimePoint now() { return std::chrono::steady_clock::now(); }

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

// One operation is four of them and a callback: a start, an attempt with its end, an end.
constexpr std::size_t observations_per_callback = 4;

/// The options are checked: what they ask for is in this build.
auto transport_maker([[maybe_unused]] TransportKind kind) {
#ifdef NORIKV_WITH_H2
  if (kind == TransportKind::h2) return &transport::make_h2_transport;
#endif
  return &transport::make_grpc_transport;
}

// Runs `run` once, inside the user's hook if there is one.
void run_around(const std::function<void(const std::function<void()>&)>& hook, const std::function<void()>& run) {
  if (!hook) return run();
  bool ran = false;
  hook([&] {
    if (!std::exchange(ran, true)) run();
  });
  // A hook that forgets its duty must not cost anyone a callback.
  if (!ran) run();
}

}  // namespace

Result<std::shared_ptr<ClientCore>> ClientCore::create(uv_loop_s* loop, LoopKind kind, ClientOptions options) {
  if (std::optional<Error> error = client::check(options)) return tl::make_unexpected(std::move(*error));
  std::optional<core::TlsMaterial> tls;
  if (options.tls) {
    Result<core::TlsMaterial> loaded = client::load(*options.tls);
    if (!loaded) return tl::make_unexpected(std::move(loaded.error()));
    tls = std::move(*loaded);
    options.tls = TlsOptions{};  // the key has to be in one place only
  }
  std::shared_ptr<ClientCore> core{new ClientCore(std::move(options), kind)};
  int error = 0;
  core->loop_ = loop::EventLoop::create(loop, *core, error);
  if (core->loop_ == nullptr) {
    return tl::make_unexpected(
        client::make_error(ErrorCode::unavailable, "libuv gives no handle (error " + std::to_string(error) + ")"));
  }
  if (core->options_.observer != nullptr) core->loop_->measure();
  if (kind == LoopKind::owned) core->loop_->hold(true);
  const auto make_transport = transport_maker(core->options_.connection.transport);
  core->transport_ = make_transport(*core->loop_, *core, core->options_.connection, core->options_.nodes, tls);
  core->self_ = core;
  return core;
}

ClientCore::ClientCore(ClientOptions options, LoopKind kind)
    : options_(std::move(options)),
      number_(next_number()),
      kind_(kind),
      fork_generation_(client::fork_generation()),
      session_(options_, util::system_seed()),
      admission_(options_.limits, session_.leader_table(), options_.nodes.size()),
      shared_view_(session_.cluster()),
      shared_counters_(session_.node_counters()) {}

bool ClientCore::forked() const noexcept { return client::fork_generation() != fork_generation_; }

// --- turns ---

void ClientCore::on_turn() {
  const TimePoint time = now();
  in_turn_ = true;
  if (!std::exchange(started_, true) && end_ == End::none) session_.start(time);
  session_.advance_to(time);
  if (transport_ != nullptr) {
    if (const auto due = transport_->next_deadline(); due && *due <= time) transport_->advance_to(time);
  }
  carry_out_actions();
  share_view();
  deliver_some();
  carry_out_actions();
  share_view();
  in_turn_ = false;
  set_loop_state();
  continue_close();
}

void ClientCore::on_reply(core::Reply reply) { session_.on_reply(std::move(reply), now()); }
void ClientCore::on_view(core::WatchId id, wire::LeaderView view) { session_.on_view(id, std::move(view), now()); }
void ClientCore::on_stream_end(core::StreamEnd end) { session_.on_stream_end(end, now()); }

void ClientCore::carry_out_actions() {
  for (core::Action& action : session_.take_actions()) {
    if (auto* call = std::get_if<core::Call>(&action)) transport_->start(std::move(*call));
    if (auto* watch = std::get_if<core::StartWatch>(&action))
      transport_->watch(watch->id, watch->address, watch->metadata);
    if (auto* cancelled = std::get_if<core::CancelCall>(&action)) transport_->cancel(cancelled->id);
    if (auto* cancelled = std::get_if<core::CancelWatch>(&action)) transport_->cancel(cancelled->id);
    if (auto* kept = std::get_if<core::Retain>(&action)) {
      transport_->retain(kept->addresses);
      admission_.set_nodes(kept->addresses.size());
    }
  }
}

void ClientCore::share_view() {
  const std::shared_ptr<const ClusterView>& latest = session_.cluster();
  if (shared_view_ == latest) return;                                   // only this thread writes it
  const bool changed = shared_view_->generation != latest->generation;  // else the nodes are the same
  const std::lock_guard lock{view_mutex_};
  shared_view_ = latest;
  if (changed) shared_counters_ = session_.node_counters();
}

void ClientCore::set_loop_state() {
  if (end_ == End::over) return;
  std::optional<TimePoint> next = session_.next_deadline();
  if (transport_ != nullptr) next = util::earlier(next, transport_->next_deadline());
  loop_->set_timer(next);
  loop_->hold(session_.busy() || referenced_ || kind_ == LoopKind::owned || end_ != End::none);
  if (!session_.deliveries().empty()) loop_->wake();
}

// --- deliveries ---

void ClientCore::deliver_some() {
  if (session_.deliveries().empty() && options_.observer == nullptr) return;
  run_user_code([this] {
    observe_start();
    const std::size_t limit = options_.limits.callbacks_per_turn;
    std::size_t callbacks = 0, observations = 0;
    while (!session_.deliveries().empty() && callbacks < limit && observations / observations_per_callback < limit) {
      ++(std::holds_alternative<core::Observation>(session_.deliveries().front()) ? observations : callbacks);
      deliver_first();
    }
    observe_turn();
  });
}

void ClientCore::deliver_first() {
  // Taken out first: the callback may bring about more.
  core::Delivery delivery = std::move(session_.deliveries().front());
  session_.deliveries().pop_front();
  deliver(delivery);
}

void ClientCore::run_user_code(const std::function<void()>& run) { run_around(options_.around_callbacks, run); }

void ClientCore::deliver(core::Delivery& delivery) {
  std::visit([this](auto& it) { deliver(it); }, delivery);
}

void ClientCore::deliver(core::Completion& completion) {
  if (completion.ticket) {
    admission_.release(*completion.ticket);
    made_room();
  }
  core::tell(completion.callback, std::move(completion.outcome));
}

void ClientCore::deliver(core::ReadyResult& ready) {
  if (ready.callback) ready.callback(std::move(ready.result));
}

void ClientCore::deliver(core::Deferred& deferred) {
  if (deferred.task) deferred.task();
}

void ClientCore::deliver(core::Decide& decide) {
  if (session_.undecided(decide.operation) == nullptr) return;
  Result<Change> change = decide.update(decide.found);
  core::Ticket* ticket = session_.undecided(decide.operation);  // the function may have cancelled the operation
  if (ticket != nullptr && change->value()) admission_.grow(*ticket, change->value()->size());
  if (std::optional<Error> wrong = client::check_change(*change)) change = tl::make_unexpected(std::move(*wrong));
  const std::string key = decide.wants_idempotency_key ? util::random_token() : std::string{};
  session_.on_decided(std::move(decide), std::move(change), key, now());
}

void ClientCore::deliver(TopologyEvent& event) {
  for (const LeaderChange& change : event.leaders_changed) {
    log(LogLevel::debug, [&] {
      return "shard " + std::to_string(change.shard) + ": leader " +
             (change.before.empty() ? "unknown" : change.before) + " -> " +
             (change.after.empty() ? "unknown" : change.after) + " (" + event.cause + ")";
    });
  }
  publisher<TopologyEvent>().publish(event);
  if (event.leaders_changed.empty() || publisher<LeadershipEvent>().empty()) return;
  publisher<LeadershipEvent>().publish({EventKind::change, std::move(event.leaders_changed)});
}

void ClientCore::deliver(ConnectionEvent& event) {
  const bool bad = event.state != ConnectionState::connecting && event.state != ConnectionState::connected;
  log(bad ? LogLevel::info : LogLevel::debug, [&] {
    return "topology stream of " + event.node + ": " + std::string{to_string(event.state)} +
           (event.detail.empty() ? "" : " (" + event.detail + ")");
  });
  publisher<ConnectionEvent>().publish(event);
}

void ClientCore::deliver(WarningEvent& event) {
  log(LogLevel::warning, [&] { return event.message; });
  publisher<WarningEvent>().publish(event);
}

void ClientCore::deliver(core::AskToken& request) {
  const core::AskId id = request.ask.id;
  if (!session_.awaits(id)) return;
  options_.tokens.source(request.ask.reason,
                         TokenReply{[weak = weak_from_this(), id](tl::expected<Token, std::string> answer) {
                           if (const auto core = weak.lock()) core->on_token(id, std::move(answer));
                         }});
}

void ClientCore::made_room() {
  if (filled_up_.load(std::memory_order_relaxed) && admission_.has_recovered()) {
    filled_up_.store(false, std::memory_order_relaxed);
    report_load();
  }
  while (ReadyCallback satisfied = admission_.take_satisfied()) {
    session_.deliveries().emplace_back(core::ReadyResult{std::move(satisfied), {}});
  }
}

// --- the end ---

void ClientCore::begin_close(Duration grace) {
  if (end_ == End::none) end_ = End::closing;
  while (ReadyCallback waiter = admission_.take_waiter()) {
    session_.deliveries().emplace_back(core::ReadyResult{
        std::move(waiter), tl::make_unexpected(client::make_error(ErrorCode::closed, "the client was closed"))});
  }
  session_.close(grace, now());
  // The turn that delivers the last callback goes on from here; without one there still has to be a turn.
  loop_->wake();
}

void ClientCore::continue_close() {
  if (end_ != End::closing || !session_.closed() || !session_.deliveries().empty()) return;
  end_ = End::dropping_connections;
  transport_->close([this] { loop_->close([this] { finish_close(); }); });
}

void ClientCore::finish_close() {
  // The handles are gone and the mailbox is sealed: what is left, and what these callbacks still bring about, is
  // delivered here.
  in_turn_ = true;
  run_user_code([this] {
    std::apply([](auto&... publisher) { (publisher.end(), ...); }, publishers_);
    while (!session_.deliveries().empty()) deliver_first();
    observe_end();
    while (!session_.deliveries().empty()) deliver_first();
  });
  end_ = End::over;
  transport_.reset();
  std::vector<Task> callbacks = std::move(close_callbacks_);
  const std::function<void(const std::function<void()>&)> around = options_.around_callbacks;
  // The callbacks are the last touch: if nobody else holds this object it is gone before them.
  std::shared_ptr<ClientCore> self = std::move(self_);
  self.reset();
  run_around(around, [&callbacks] {
    for (Task& callback : std::exchange(callbacks, {})) callback();
  });
}

}  // namespace norikv::detail
