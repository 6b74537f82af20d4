#include "simulation/host.hpp"

#include <algorithm>
#include <utility>

namespace norikv::simulation {
namespace {

using namespace std::chrono_literals;

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
      network_(scenario, index, agenda, trace, servers, *this),
      servers_(servers),
      source_dice_(scenario.seed, 400 + index) {}

void Host::start() {
  post([this] { session_.start(agenda_.now()); });
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
    if (session_closing_) return session_.on_view(id, view, agenda_.now());
    const std::shared_ptr<const ClusterView> before = session_.cluster();
    session_.on_view(id, view, agenda_.now());
    if (replaced_.count(id) != 0) {
      if (session_.cluster() != before) judge_.fail("incarnation", "a stream that was given up has still a say");
      return;
    }
    if (find_node(*before, streams_.at(id)) == nullptr) return;  // it was removed meanwhile
    judge_.stream_speaks(id);
    judge_.view_shown(streams_.at(id), !std::exchange(spoken_[id], true), view, *before, *session_.cluster());
  });
}

void Host::on_stream_end(core::StreamEnd end) {
  post([this, end = std::move(end)] {
    // The end of one that was given up tells nothing.
    if (end.status == 16 && replaced_.count(end.id) == 0) judge_.stream_refused(end.id);
    session_.on_stream_end(end, agenda_.now());
  });
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
  const std::size_t delivered = session_.deliveries().size();
  change();
  for (std::size_t i = delivered; i < session_.deliveries().size(); ++i) {
    if (const auto* request = std::get_if<core::AskToken>(&session_.deliveries()[i]))
      judge_.source_needed(request->ask);
  }
  for (core::Action& action : session_.take_actions()) {
    OperationRecord* operation = nullptr;
    if (const auto* call = std::get_if<core::Call>(&action))
      operation = judge_.started(*call, node_of(call->address), *before, *session_.cluster());
    if (const auto* watch = std::get_if<core::StartWatch>(&action)) {
      judge_.watches(node_of(watch->address), *session_.cluster());
      judge_.stream_opens(*watch);
    }
    if (const auto* retain = std::get_if<core::Retain>(&action)) judge_.retains(retain->addresses, *session_.cluster());
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
    trace_("client {}: believes that node {} leads shard {} ({})", index_, believed_leader(after, shard), shard,
           to_string(is.source));
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
  const std::optional<std::size_t> node = node_of_address(address);
  if (!node || *node >= scenario_.cluster.nodes) judge_.fail("address", "a request goes to " + address);
  return *node;
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
      network_.watch(watch->id, node, token_in(watch->metadata));
    } else if (auto* retain = std::get_if<core::Retain>(&started.action)) {
      admission_.set_nodes(retain->addresses.size());
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
    } else if (auto* decide = std::get_if<core::Decide>(&delivery)) {
      deliver(*decide);
    } else if (auto* event = std::get_if<TopologyEvent>(&delivery)) {
      judge_.topology(*event);
    } else if (auto* warning = std::get_if<WarningEvent>(&delivery)) {
      judge_.warning(*warning);
    } else if (const auto* request = std::get_if<core::AskToken>(&delivery)) {
      deliver(*request);
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
  } else if (auto* update = std::get_if<UpdateCallback>(&completion.callback)) {
    (*update)(std::move(outcome).map([](core::Success&& success) { return std::get<Updated>(std::move(success)); }));
  }
}

void Host::deliver(core::Decide& decide) {
  if (session_.undecided(decide.operation) == nullptr) return;
  Result<Change> change = decide.update(decide.found);
  if (caught_) return;                                                // what it does not keep is thrown behind it
  core::Ticket* const ticket = session_.undecided(decide.operation);  // the function may have cancelled it
  if (ticket != nullptr && change->value()) admission_.grow(*ticket, change->value()->size());
  const std::string key =
      decide.wants_idempotency_key ? "client " + std::to_string(index_) + " key " + std::to_string(++keys_drawn_) : "";
  input([&] { session_.on_decided(std::move(decide), std::move(change), key, agenda_.now()); });
}

void Host::deliver(const core::AskToken& request) {
  const core::AskId id = request.ask.id;
  if (!session_.awaits(id)) return;
  trace_("client {}: its token source is asked: {}", index_, to_string(request.ask.reason));
  const TokenLife& life = scenario_.tokens;
  if (source_misbehaves_ && source_dice_.chance(life.silent)) return;
  const Duration latency =
      source_dice_.up_to(source_misbehaves_ ? life.latency : std::min<Duration>(life.latency, 50ms));
  agenda_.after(latency, [this, id] {
    post([this, id, answer = some_token()] {
      trace_("client {}: its token source {}", index_, answer ? "gives " + answer->text : "fails: " + answer.error());
      judge_.source_answers(id, answer);
      session_.on_token(id, answer, agenda_.now());
    });
  });
}

tl::expected<Token, std::string> Host::some_token() {
  const TokenLife& life = scenario_.tokens;
  if (source_misbehaves_ && source_dice_.chance(life.fails)) return tl::unexpected<std::string>("no token today");
  Token token = servers_.authority().issue(life.lifetime);
  if (!source_misbehaves_ || !source_dice_.chance(life.useless)) return token;
  const std::uint64_t kind = source_dice_.below(3);
  if (kind == 0) token.text.clear();
  if (kind == 1) token.text += '\n';
  if (kind == 2) token.expires = agenda_.now();
  return token;
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
