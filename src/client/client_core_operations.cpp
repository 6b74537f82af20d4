#include <norikv/routing.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include "client/client_core.hpp"
#include "client/submit.hpp"
#include "client/tls.hpp"
#include "client/validation.hpp"

// From the user's call, on any thread, to the session.
namespace norikv::detail {
namespace {

core::Conditional look_first(core::Conditional::Kind kind, std::string_view key) {
  core::Conditional conditional;
  conditional.kind = kind;
  conditional.key = key;
  conditional.look = std::make_shared<const std::string>(wire::encode_get(key));
  return conditional;
}

}  // namespace

std::uint64_t ClientCore::put(std::string_view key, std::string_view value, PutOptions options, PutCallback callback) {
  core::Request request;
  request.method = wire::Method::put;
  request.shard = shard_of(key, options_.total_shards);
  const IdempotencyKey idempotency_key = key_of(options.idempotency_key, options_.writes);
  set_idempotency(request, idempotency_key);
  request.scope = std::move(options.scope);
  request.ticket.bytes = key.size() + value.size() + idempotency_key.text().size();
  const Precondition precondition = options.precondition.value_or(Precondition{});
  request.expected = precondition.version;
  std::optional<Error> wrong = client::check_key(key);
  if (!wrong) wrong = client::check_value(value);
  if (!wrong) wrong = client::check_ttl("PutOptions::ttl", options.ttl);
  if (!wrong && options.precondition) wrong = client::check_precondition("PutOptions::precondition", precondition);
  if (!wrong) wrong = client::check_text("PutOptions::idempotency_key", idempotency_key.text());
  if (!wrong && precondition.is_absent) request.conditional = look_first(core::Conditional::Kind::absent, key);
  const auto encode = [&] {
    return wire::encode(wire::PutRequest{key, value, wire::ttl_in_milliseconds(options.ttl), key_text(idempotency_key),
                                         precondition.version});
  };
  return submit(std::move(request), encode, wrong,
                client::deadline_of(options.timeout, options.deadline, options_.timeout, now()), std::move(callback));
}

std::uint64_t ClientCore::get(std::string_view key, GetOptions options, GetCallback callback) {
  core::Request request;
  request.method = wire::Method::get;
  request.shard = shard_of(key, options_.total_shards);
  request.consistency = options.consistency;
  request.scope = std::move(options.scope);
  std::optional<Error> wrong = client::check_key(key);
  if (!wrong) wrong = client::check_text("GetOptions::consistency_text", options.consistency_text.value_or(""));
  request.consistency_text = std::move(options.consistency_text);
  request.ticket.bytes = key.size();
  return submit(
      std::move(request), [&] { return wire::encode_get(key); }, wrong,
      client::deadline_of(options.timeout, options.deadline, options_.timeout, now()), std::move(callback));
}

std::uint64_t ClientCore::remove(std::string_view key, RemoveOptions options, RemoveCallback callback) {
  core::Request request;
  request.method = wire::Method::remove;
  request.shard = shard_of(key, options_.total_shards);
  const IdempotencyKey idempotency_key = key_of(options.idempotency_key, options_.writes);
  set_idempotency(request, idempotency_key);
  request.scope = std::move(options.scope);
  request.ticket.bytes = key.size() + idempotency_key.text().size();
  const Precondition precondition = options.precondition.value_or(Precondition{});
  request.expected = precondition.version;
  std::optional<Error> wrong = client::check_key(key);
  if (!wrong) wrong = client::check_text("RemoveOptions::idempotency_key", idempotency_key.text());
  if (!wrong && options.precondition) wrong = client::check_remove_precondition(precondition, options.unenforced);
  if (!wrong && options.precondition) request.conditional = look_first(core::Conditional::Kind::unchanged, key);
  const auto encode = [&] {
    return wire::encode(wire::RemoveRequest{key, key_text(idempotency_key), precondition.version});
  };
  return submit(std::move(request), encode, wrong,
                client::deadline_of(options.timeout, options.deadline, options_.timeout, now()), std::move(callback));
}

std::uint64_t ClientCore::update(std::string_view key, UpdateOptions options, UpdateFunction function,
                                 UpdateCallback callback) {
  core::Request request;
  request.method = wire::Method::put;
  request.purpose = OperationKind::update;
  request.shard = shard_of(key, options_.total_shards);
  const IdempotencyKey idempotency_key = key_of(options.idempotency_key, options_.writes);
  set_idempotency(request, idempotency_key);
  request.scope = options.scope;
  request.ticket.bytes = key.size();
  std::optional<Error> wrong = client::check_key(key);
  if (!wrong) wrong = client::check_update(options, static_cast<bool>(function));
  request.conditional = look_first(core::Conditional::Kind::update, key);
  // The callback keeps the function too, so that it is destroyed on the loop's thread even if the request is refused.
  auto kept = std::make_shared<UpdateFunction>(std::move(function));
  request.conditional->update = [kept, scope = options.scope.state_](const std::optional<Entry>& found) {
    const auto over = [&] { return scope != nullptr && scope->ended(); };
    if (over()) return Change::keep();
    Change change = (*kept)(found);
    return over() ? Change::keep() : change;  // it may have ended the scope itself
  };
  callback = [kept = std::move(kept), callback = std::move(callback)](Result<Updated> updated) mutable {
    if (callback) callback(std::move(updated));
  };
  request.conditional->max_rounds = options.max_rounds;
  return submit(
      std::move(request), [] { return std::string{}; }, wrong,
      client::deadline_of(options.timeout, options.deadline, options_.timeout, now()), std::move(callback));
}

bool ClientCore::join(ScopeMember* member, Tied tied) {
  return member == nullptr || member->join(weak_from_this(), this, tied);
}

void ClientCore::turn_away(const core::Request& request, core::Callback callback) {
  admission_.release(request.ticket);
  made_room();
  session_.refuse(std::move(callback), scope_ended(), request.kind(), now());
}

void ClientCore::cancel(std::uint64_t first, std::uint64_t count) {
  if (forked() || first == 0) return;
  enter([this, first, count](Way way) {
    if (way != Way::on_loop) return;
    // The latest first: what waits behind others must not get its turn, and be sent, because those end.
    for (std::uint64_t id = first + count; id-- > first;) session_.cancel(core::OpId{id}, now());
  });
}

void ClientCore::cancel(std::vector<Tied> tied) {
  if (forked()) return;
  enter([this, tied = std::move(tied)](Way way) {
    if (way != Way::on_loop) return;
    for (const Tied& it : tied) {
      if (it.kind == Tied::Kind::readiness) {
        session_.cancel_wait(it.first);
      } else {
        for (std::uint64_t id = it.first + it.count; id-- > it.first;) session_.cancel(core::OpId{id}, now());
      }
    }
  });
}

void ClientCore::wait_ready(ReadyOptions options, ReadyCallback callback) {
  ScopeMember* const member = tie_to(options.scope, callback);
  if (forked()) return fail(callback, closed_by_fork());
  Result<TimePoint> deadline = client::deadline_of(options.timeout, std::nullopt, options_.timeout, now());
  enter([this, member, need = options.need, deadline = std::move(deadline),
         callback = std::move(callback)](Way way) mutable {
    if (way == Way::too_late) return fail(callback, closed());
    if (deadline) {
      const std::uint64_t id = session_.wait_ready(need, *deadline, std::move(callback));
      if (!join(member, {Tied::Kind::readiness, id})) session_.cancel_wait(id);
      return;
    }
    session_.deliveries().emplace_back(
        core::ReadyResult{std::move(callback), tl::make_unexpected(std::move(deadline.error()))});
  });
}

void ClientCore::when_room(std::size_t operations, ReadyCallback callback) {
  if (forked()) return fail(callback, closed_by_fork());
  enter([this, operations, callback = std::move(callback)](Way way) mutable {
    if (way == Way::too_late) return fail(callback, closed());
    if (end_ == End::none) {
      admission_.wait(operations, std::move(callback));
      return made_room();
    }
    session_.deliveries().emplace_back(core::ReadyResult{std::move(callback), tl::make_unexpected(closed())});
  });
}

void ClientCore::drain(Task callback) {
  if (forked()) {
    if (callback) callback();
    return;
  }
  enter([this, callback = std::move(callback)](Way way) mutable {
    if (way == Way::on_loop) return session_.drain(std::move(callback));
    if (callback) callback();
  });
}

void ClientCore::post(Task task) {
  if (forked()) return;
  enter_later([this, task = std::move(task)](Way way) mutable {
    if (way == Way::on_loop && task) run_user_code([&] { task(); });
  });
}

Result<void> ClientCore::set_nodes(std::vector<std::string> nodes) {
  if (forked()) return tl::make_unexpected(closed_by_fork());
  if (std::optional<Error> wrong = client::check_nodes(nodes)) return tl::make_unexpected(std::move(*wrong));
  enter([this, nodes = std::move(nodes)](Way way) {
    if (way == Way::on_loop && end_ == End::none) session_.set_nodes(nodes, now());
  });
  return {};
}

void ClientCore::close(Duration grace, Task callback) {
  grace = std::clamp(grace, Duration{0}, max_duration);
  if (forked()) {
    if (callback) callback();
    return;
  }
  enter([this, grace, callback = std::move(callback)](Way way) mutable {
    if (way == Way::too_late) {
      if (callback) callback();
      return;
    }
    if (callback) close_callbacks_.push_back(std::move(callback));
    begin_close(grace);
  });
}

void ClientCore::set_ref(bool keep_alive) {
  if (forked()) return;
  enter([this, keep_alive](Way way) {
    if (way == Way::on_loop) referenced_ = keep_alive;
  });
}

void ClientCore::on_token(core::AskId id, tl::expected<Token, std::string> answer) {
  if (forked()) return;
  enter([this, id, answer = std::move(answer)](Way way) mutable {
    if (way == Way::on_loop) session_.on_token(id, std::move(answer), now());
  });
}

Result<void> ClientCore::set_tls(const TlsOptions& options) {
  if (forked()) return tl::make_unexpected(closed_by_fork());
  Result<core::TlsMaterial> material = client::load(options);
  if (!material) return tl::make_unexpected(std::move(material.error()));
  Result<void> result;
  enter([this, &result, material = std::move(*material)](Way way) {
    if (way == Way::too_late) {
      result = tl::make_unexpected(closed());  // which is inside this call, unlike the rest
    } else if (end_ == End::none) {
      transport_->secure(material);
      session_.reopen_streams(now());
    }
  });
  return result;
}

void ClientCore::after_input() {
  if (in_turn_) return;  // the turn does all of it at its end
  carry_out_actions();
  share_view();
  set_loop_state();
}

// --- load ---

void ClientCore::filled_up() {
  if (filled_up_.exchange(true, std::memory_order_relaxed)) return;
  enter_later([this](Way way) {
    if (way != Way::on_loop) return;
    report_load();
    made_room();  // what made room meanwhile did not know that anybody has to be told
  });
}

void ClientCore::report_load() {
  session_.defer(
      [this, event = LoadEvent{EventKind::change, !filled_up_.load(std::memory_order_relaxed), admission_.operations(),
                               admission_.bytes()}] { publisher<LoadEvent>().publish(event); });
}

Stats ClientCore::stats() const {
  const core::Counters& counters = session_.counters();
  Stats stats;
  stats.submitted = counters.submitted.value();
  stats.succeeded = counters.succeeded.value();
  stats.failed = counters.failed.value();
  stats.overloaded = counters.overloaded.value();
  stats.cancelled = counters.cancelled.value();
  stats.deadline_exceeded = counters.deadline_exceeded.value();
  stats.maybe_applied = counters.maybe_applied.value();
  stats.attempts = counters.attempts.value();
  stats.retries = counters.retries.value();
  stats.not_leader = counters.not_leader.value();
  stats.probes = counters.probes.value();
  stats.leader_changes = counters.leader_changes.value();
  stats.views = counters.views.value();
  stats.stream_reconnects = counters.stream_reconnects.value();
  stats.write_collisions = counters.write_collisions.value();
  stats.lanes_settling = counters.lanes_settling.value();
  stats.hints_followed = counters.hints_followed.value();
  stats.joined_probes = counters.joined_probes.value();
  stats.hedges = counters.hedges.value();
  stats.budget_waits = counters.budget_waits.value();
  stats.breaker_opens = counters.breaker_opens.value();
  stats.moved_attempts = counters.moved_attempts.value();
  stats.shard_count_mismatches = counters.shard_count_mismatches.value();
  stats.operations = admission_.operations();
  stats.bytes = admission_.bytes();
  stats.reads = counters.reads.snapshot();
  stats.writes = counters.writes.snapshot();
  stats.nodes = node_stats();
  return stats;
}

std::vector<NodeStats> ClientCore::node_stats() const {
  std::vector<NodeStats> nodes;
  if (forked()) return nodes;  // as for `cluster`
  const auto [view, counters] = [this] {
    const std::lock_guard lock{view_mutex_};
    return std::pair{shared_view_, shared_counters_};
  }();
  for (std::size_t i = 0; i < counters.size(); ++i) {
    nodes.push_back(counters[i]->snapshot(view->nodes[i].address));
    nodes.back().health = view->nodes[i].health;
  }
  return nodes;
}

std::shared_ptr<const ClusterView> ClientCore::cluster() const {
  if (forked()) return std::make_shared<const ClusterView>();  // the mutex may be held by a thread that is not here
  const std::lock_guard lock{view_mutex_};
  return shared_view_;
}

}  // namespace norikv::detail
