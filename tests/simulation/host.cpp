#include "simulation/host.hpp"

#include <norikv/routing.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace norikv::simulation {
namespace {

std::string text_of(Value value) { return "v" + std::to_string(value); }

// What a reader sees; text that nobody wrote is a value that nobody wrote.
Value value_of(const std::optional<Entry>& entry) {
  if (!entry) return missing;
  Value value = 0;
  const char* const end = entry->value.data() + entry->value.size();
  if (entry->value.empty() || std::from_chars(entry->value.data() + 1, end, value).ptr != end) return UINT64_MAX;
  return value;
}

std::string outcome(const OperationRecord& succeeded) {
  if (succeeded.is_write()) return "ok";
  return succeeded.seen == missing ? "ok, missing" : "ok, " + text_of(succeeded.seen);
}

std::string text_of(const core::Metadata& metadata) {
  std::string text;
  for (const auto& [key, value] : metadata) text += " " + key + "=" + value;
  return text;
}

std::uint64_t number(core::CallId id) { return static_cast<std::uint64_t>(id); }

}  // namespace

Host::Host(const Scenario& scenario, std::size_t index, Agenda& agenda, Trace& trace, Servers& servers)
    : scenario_(scenario),
      index_(index),
      agenda_(agenda),
      trace_(trace),
      judge_(scenario, agenda, index),
      session_(scenario.options, scenario.seed * 31 + index),
      admission_(scenario.options.limits, session_.leader_table(), scenario.options.nodes.size()),
      network_(scenario, index, agenda, trace, servers, *this) {}

void Host::start() {
  post([this] { session_.start(agenda_.now()); });
}

// -- Users
// -------------------------------------------------------------------------------------------------------------

std::uint64_t Host::submit(Ask ask) {
  OperationRecord record;
  record.method = ask.method;
  record.key = ask.key;
  record.shard = shard_of(ask.key, scenario_.options.total_shards);
  record.value = ask.value;
  record.consistency = ask.consistency;
  record.has_idempotency_key = ask.idempotent;
  record.submitted = agenda_.now();
  record.deadline = agenda_.now() + ask.timeout;
  if (ask.version) record.expected = ask.expected;
  const std::size_t bytes = ask.key.size() + 20;
  const auto ticket = admission_.try_admit(bytes, record.shard);
  if (!ticket) {
    record.refused = true;
    OperationRecord& refused = judge_.submitted(std::move(record));
    refuse(refused, std::move(ask.then));
    return refused.number;
  }

  record.id = core::OpId{next_id_++};
  const std::string token =
      ask.idempotent ? "client " + std::to_string(index_) + " operation " + std::to_string(next_id_) : std::string{};
  if (ask.method == wire::Method::put) {
    record.payload = std::make_shared<const std::string>(
        wire::encode(wire::PutRequest{ask.key, text_of(ask.value), 0, token, ask.version}));
  } else if (ask.method == wire::Method::remove) {
    record.payload = std::make_shared<const std::string>(wire::encode(wire::RemoveRequest{ask.key, token}));
  } else {
    record.payload = std::make_shared<const std::string>(wire::encode_get(ask.key));
  }
  OperationRecord& operation = judge_.submitted(std::move(record));
  trace_("client {}: operation {}: {} {} (shard {}){}{}", index_, operation.number, wire::path(operation.method),
         operation.key, operation.shard, operation.value == missing ? "" : " " + text_of(operation.value),
         operation.has_idempotency_key ? " with a key" : "");

  core::Request request;
  request.id = operation.id;
  request.method = operation.method;
  request.shard = operation.shard;
  request.payload = operation.payload;
  request.consistency = operation.consistency;
  request.expected = ask.version;
  request.has_idempotency_key = operation.has_idempotency_key;
  request.ticket = *ticket;
  request.submitted = operation.submitted;
  request.deadline = operation.deadline;
  auto kept = std::make_shared<std::pair<core::Request, core::Callback>>(std::move(request),
                                                                         callback_of(operation, std::move(ask.then)));
  enter([this, kept] { session_.submit(std::move(kept->first), std::move(kept->second), agenda_.now()); });
  return operation.number;
}

void Host::refuse(OperationRecord& operation, Then then) {
  if (admission_.operations() == 0) judge_.fail("admission", operation, "an empty client is full");
  auto callback = std::make_shared<core::Callback>(callback_of(operation, std::move(then)));
  const OperationKind kind = operation.method == wire::Method::put   ? OperationKind::put
                             : operation.method == wire::Method::get ? OperationKind::get
                                                                     : OperationKind::remove;
  post([this, callback, kind] {
    Error error;
    error.code = ErrorCode::overloaded;
    session_.refuse(std::move(*callback), std::move(error), kind, agenda_.now());
  });
}

void Host::in_callback(const std::function<void()>& run) {
  try {
    run();
  } catch (Violation& violation) {
    caught_ = std::move(violation);
  }
}

template <class Result, class Keep>
void Host::tell(OperationRecord& operation, const Then& then, Result& result, Keep keep) {
  in_callback([&] {
    if (result) keep(*result);
    trace_("client {}: operation {} ends: {}", index_, operation.number,
           result ? outcome(operation) : result.error().describe());
    judge_.told(operation, result ? std::nullopt : std::optional(std::move(result.error())));
    if (then) then(operation);
  });
}

core::Callback Host::callback_of(OperationRecord& operation, Then then) {
  OperationRecord* const record = &operation;
  switch (operation.method) {
    case wire::Method::put:
      return PutCallback{[this, record, then = std::move(then)](Result<Written> result) {
        tell(*record, then, result, [record](const Written& written) { record->version = written.version; });
      }};
    case wire::Method::remove:
      return RemoveCallback{[this, record, then = std::move(then)](Result<Removed> result) {
        tell(*record, then, result, [record](const Removed& removed) { record->version = removed.version; });
      }};
    default:
      return GetCallback{[this, record, then = std::move(then)](Result<std::optional<Entry>> result) {
        tell(*record, then, result, [record](const std::optional<Entry>& entry) {
          record->seen = value_of(entry);
          if (entry) record->version = entry->version;
        });
      }};
  }
}

void Host::cancel(std::uint64_t number_of) {
  OperationRecord& operation = judge_.operation(number_of);
  if (operation.refused) return;
  judge_.cancelled(operation);
  trace_("client {}: operation {} is cancelled", index_, number_of);
  enter([this, id = operation.id] { session_.cancel(id, agenda_.now()); });
}

Host::Called& Host::expect_call(std::string what) {
  called_.push_back({std::move(what), 0});
  return called_.back();
}

void Host::drain() {
  Called* const called = &expect_call("drain");
  // A barrier comes behind everything that was submitted before it.
  const std::vector<std::uint64_t> before = judge_.pending_operations();
  enter([this, called, before] {
    session_.drain([this, called, before] {
      in_callback([&] {
        if (++called->times > 1) judge_.fail("callback-twice", "a barrier was called back twice");
        for (const std::uint64_t operation : before) {
          if (judge_.operation(operation).pending() && !judge_.operation(operation).refused)
            judge_.fail("drain", judge_.operation(operation), "a barrier overtook it");
        }
      });
    });
  });
}

void Host::wait_ready(Need need, Duration timeout) {
  Called* const called = &expect_call("wait_ready");
  const TimePoint deadline = agenda_.now() + timeout;
  enter([this, called, need, deadline] {
    session_.wait_ready(need, deadline, [this, called, deadline](Result<void> result) {
      in_callback([&] {
        if (++called->times > 1) judge_.fail("callback-twice", "wait_ready was called back twice");
        if (!result && result.error().code == ErrorCode::deadline_exceeded && agenda_.now() < deadline)
          judge_.fail("wrong-end", "wait_ready ran out of time too early");
      });
    });
  });
}

// What a subscriber sees first is the state at its place among the events.
void Host::subscribe() {
  Called* const called = &expect_call("subscribe");
  enter([this, called] {
    session_.defer([this, called, view = session_.cluster()] {
      in_callback([&] {
        if (++called->times > 1) judge_.fail("callback-twice", "a replay came twice");
        judge_.replay(*view);
      });
    });
  });
}

void Host::close(Duration grace) {
  trace_("client {}: is closed", index_);
  closing_ = true;
  const TimePoint ends = agenda_.now() + grace;
  enter([this, grace, ends] {
    judge_.closing(std::max(ends, agenda_.now() + grace));
    session_.close(grace, agenda_.now());
  });
  wake(agenda_.now());
}

// -- The loop
// ----------------------------------------------------------------------------------------------------------

void Host::on_reply(core::Reply reply) {
  post([this, reply = std::move(reply)]() mutable {
    trace_("client {}: call {} is answered: status {} {}{}{}", index_, number(reply.id), reply.status, reply.message,
           text_of(reply.metadata), reply.sent == core::Sent::unknown ? "" : " (not carried out)");
    judge_.replied(reply);
    session_.on_reply(std::move(reply), agenda_.now());
  });
}

void Host::on_view(core::WatchId id, wire::View view) {
  post([this, id, view = std::move(view)] {
    if (closing_) return session_.on_view(id, view, agenda_.now());
    const std::shared_ptr<const ClusterView> before = session_.cluster();
    session_.on_view(id, view, agenda_.now());
    if (replaced_.count(id) != 0) {
      if (session_.cluster() != before) judge_.fail("incarnation", "a stream that was given up has still a say");
      return;
    }
    judge_.view_shown(streams_.at(id), !std::exchange(spoken_[id], true), view, *before, *session_.cluster());
  });
}

void Host::on_stream_end(core::StreamEnd end) {
  post([this, end = std::move(end)] { session_.on_stream_end(end, agenda_.now()); });
}

// A call on the loop's thread starts directly, unless it would overtake something.
void Host::enter(std::function<void()> change) {
  if (!in_turn_ && (agenda_.now() < asleep_until_ || !inbox_.empty())) return post(std::move(change));
  input(change);
  if (in_turn_) return;
  carry_out();
  if (!session_.deliveries().empty()) wake(agenda_.now());
  if (const auto next = session_.next_deadline()) wake(*next);
}

void Host::post(std::function<void()> change) {
  inbox_.push_back(std::move(change));
  wake(agenda_.now());
}

// Actions are judged after each input, when it is still known what the client believed, and carried out later.
void Host::input(const std::function<void()>& change) {
  const std::shared_ptr<const ClusterView> before = session_.cluster();
  change();
  for (core::Action& action : session_.take_actions()) {
    OperationRecord* operation = nullptr;
    if (const auto* call = std::get_if<core::Call>(&action))
      operation = judge_.started(*call, node_of(call->address), *before, *session_.cluster());
    if (const auto* given_up = std::get_if<core::CancelCall>(&action)) judge_.given_up(given_up->id);
    if (const auto* replaced = std::get_if<core::CancelWatch>(&action)) replaced_.insert(replaced->id);
    actions_.push_back({std::move(action), operation});
  }
  judge_.believes(*before, *session_.cluster());
  if (trace_.on()) trace_beliefs(*before, *session_.cluster());
}

void Host::trace_beliefs(const ClusterView& before, const ClusterView& after) {
  for (std::uint32_t shard = 0; shard < after.shards.size(); ++shard) {
    const ShardView& is = after.shards[shard];
    if (is.leader == before.shards[shard].leader && is.source == before.shards[shard].source) continue;
    trace_("client {}: believes that node {} leads shard {} ({})", index_, is.leader, shard, to_string(is.source));
  }
}

void Host::wake(TimePoint at) {
  at = std::max({at, agenda_.now(), asleep_until_});
  if (turn_at_ && *turn_at_ <= at) return;
  turn_at_ = at;
  agenda_.at(at, [this, turn_number = ++turn_number_] {
    if (turn_number == turn_number_) turn();
  });
}

void Host::oversleep(Duration time) {
  trace_("client {}: its loop stands still", index_);
  asleep_until_ = agenda_.now() + time;
  if (std::exchange(turn_at_, std::nullopt)) wake(asleep_until_);
}

void Host::turn() {
  turn_at_.reset();
  in_turn_ = true;
  for (std::deque<std::function<void()>> batch = std::exchange(inbox_, {}); !batch.empty(); batch.pop_front())
    input(batch.front());
  input([this] { session_.advance_to(agenda_.now()); });
  carry_out();
  deliver_some();
  carry_out();
  in_turn_ = false;
  if (!session_.deliveries().empty() || !inbox_.empty()) wake(agenda_.now());
  if (const auto next = session_.next_deadline()) wake(*next);
  if (inbox_.empty()) judge_.after_turn(session_);
}

std::size_t Host::node_of(const std::string& address) const {
  const std::vector<std::string>& nodes = scenario_.options.nodes;
  const auto found = std::find(nodes.begin(), nodes.end(), address);
  if (found == nodes.end()) judge_.fail("address", "a request goes to " + address);
  return static_cast<std::size_t>(found - nodes.begin());
}

void Host::carry_out() {
  for (Started& started : std::exchange(actions_, {})) {
    if (auto* call = std::get_if<core::Call>(&started.action)) {
      const std::size_t node = node_of(call->address);
      const OperationRecord* const operation = started.operation;
      trace_("client {}: call {} to node {}: {} {}", index_, number(call->id), node, wire::path(call->method),
             operation == nullptr ? "as a probe" : "for operation " + std::to_string(operation->number));
      network_.start(std::move(*call), node, judge_.fate_of(call->id));
    } else if (auto* watch = std::get_if<core::StartWatch>(&started.action)) {
      const std::size_t node = node_of(watch->address);
      streams_[watch->id] = node;
      network_.watch(watch->id, node);
    } else if (auto* given_up = std::get_if<core::CancelCall>(&started.action)) {
      network_.cancel(given_up->id);
    } else if (auto* ended = std::get_if<core::CancelWatch>(&started.action)) {
      network_.cancel(ended->id);
    }
  }
}

void Host::deliver_some() {
  for (std::size_t i = 0; i < scenario_.options.limits.callbacks_per_turn && !session_.deliveries().empty(); ++i) {
    core::Delivery delivery = std::move(session_.deliveries().front());
    session_.deliveries().pop_front();
    if (auto* completion = std::get_if<core::Completion>(&delivery)) {
      deliver(*completion);
    } else if (auto* ready = std::get_if<core::ReadyResult>(&delivery)) {
      ready->callback(std::move(ready->result));
    } else if (auto* deferred = std::get_if<core::Deferred>(&delivery)) {
      deferred->task();
    } else if (auto* event = std::get_if<TopologyEvent>(&delivery)) {
      judge_.topology(*event);
    } else if (auto* warning = std::get_if<WarningEvent>(&delivery)) {
      judge_.warning(*warning);
    }
    if (caught_) throw std::move(*caught_);
  }
}

void Host::deliver(core::Completion& completion) {
  if (completion.ticket) admission_.release(*completion.ticket);
  core::Outcome& outcome = completion.outcome;
  if (auto* put = std::get_if<PutCallback>(&completion.callback)) {
    (*put)(std::move(outcome).map([](core::Success&& success) { return Written{std::get<Version>(success)}; }));
  } else if (auto* get = std::get_if<GetCallback>(&completion.callback)) {
    (*get)(std::move(outcome).map(
        [](core::Success&& success) { return std::get<std::optional<Entry>>(std::move(success)); }));
  } else if (auto* remove = std::get_if<RemoveCallback>(&completion.callback)) {
    (*remove)(std::move(outcome).map([](core::Success&& success) { return Removed{std::get<Version>(success)}; }));
  }
}

// -- The end
// -----------------------------------------------------------------------------------------------------------

void Host::check_given_back() {
  const core::Session::Held held = session_.held();
  const auto nothing = [this](std::size_t left, const char* what) {
    if (left > 0) judge_.fail("left-behind", std::to_string(left) + " " + what + " are left after the close");
  };
  if (!session_.closed()) judge_.fail("left-behind", "it does not come to an end");
  nothing(held.operations, "operations");
  nothing(held.calls, "calls");
  nothing(held.searches, "searches");
  nothing(held.timers, "timers");
  nothing(held.queued, "operations in queues of nodes");
  nothing(network_.open(), "calls and streams of the network");
  nothing(admission_.operations(), "places of operations");
  nothing(admission_.bytes(), "admitted bytes");
  for (const Called& called : called_) {
    if (called.times == 0) judge_.fail("callback-missing", called.what + " was never called back");
  }
}

}  // namespace norikv::simulation
