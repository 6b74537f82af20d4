#include "simulation/users.hpp"

#include <utility>

namespace norikv::simulation {
namespace {

using namespace std::chrono_literals;

// With at most so many operations the histories stay within what the search can hold.
constexpr std::size_t max_asked = 120;

}  // namespace

Users::Users(const Scenario& scenario, Host& host, Agenda& agenda, Values& values)
    : scenario_(scenario),
      host_(host),
      agenda_(agenda),
      values_(values),
      dice_(scenario.seed, 200 + host.index()),
      ttl_dice_(scenario.seed, 300 + host.index()),
      key_dice_(scenario.seed, 500 + host.index()) {
  for (std::size_t key = 0; key < scenario.keys; ++key) keys_.push_back("k" + std::to_string(key));
}

void Users::start() {
  agenda_.after(dice_.pause(scenario_.think), [this] { act(); });
}

void Users::act() {
  if (stopped_ || host_.closing() || asked_ >= max_asked) return;
  agenda_.after(dice_.pause(scenario_.think), [this] { act(); });
  const std::uint64_t kind = dice_.below(20);
  if (kind == 0) return burst();
  if (kind == 1) return cancel_some();
  if (kind == 2) return something_else();
  ask(some_key());
}

void Users::burst() {
  const std::uint64_t count = dice_.between(2, 12);
  const bool one_key = dice_.chance(0.3);
  const std::string& key = some_key();
  for (std::uint64_t i = 0; i < count; ++i) ask(one_key ? key : some_key());
}

void Users::ask(const std::string& key) {
  ++asked_;
  Host::Ask request = some_request(key);
  request.then = [this](const OperationRecord& ended) { follow_up(ended); };
  const bool users_key = request.users_key;
  const std::uint64_t number = host_.submit(std::move(request));
  if (users_key && !host_.judge().operation(number).refused) keyed_.push_back(number);
}

// What a callback does. Half of the users go on at once, some do worse.
void Users::follow_up(const OperationRecord& ended) {
  remember(ended);
  if (stopped_ || asked_ >= max_asked) return;
  const std::uint64_t kind = dice_.below(30);
  if (kind < 5) ask(ended.key);
  if (kind == 6) cancel_some();
  if (kind == 7) host_.drain();
  if (kind == 8) host_.subscribe();
}

void Users::remember(const OperationRecord& read) {
  if (read.method != wire::Method::get || !read.succeeded()) return;
  if (read.seen == missing) {
    seen_.erase(read.key);
  } else {
    seen_[read.key] = {read.seen, read.version};
  }
}

Host::Ask Users::some_request(const std::string& key) {
  Host::Ask request;
  request.key = key;
  request.timeout = some_timeout();
  const std::uint64_t kind = dice_.below(10);
  if (kind < 5) {
    request.method = wire::Method::get;
    if (dice_.chance(0.3)) request.consistency = static_cast<Consistency>(dice_.below(4));
    return request;
  }
  request.idempotent = scenario_.idempotency && dice_.chance(0.4);
  request.method = kind < 9 ? wire::Method::put : wire::Method::remove;
  if (dice_.chance(scenario_.looks)) {
    look_first(request);
    choose_key(request);
    return request;
  }
  choose_key(request);
  if (request.method == wire::Method::remove) return request;
  request.value = values_.next();
  request.ttl = some_ttl();
  const auto seen = seen_.find(key);
  if (scenario_.conditions && seen != seen_.end() && dice_.chance(0.4)) {
    request.version = seen->second.version;
    request.expected = seen->second.value;
  }
  return request;
}

void Users::look_first(Host::Ask& write) {
  const auto seen = seen_.find(write.key);
  if (write.method == wire::Method::remove) {
    if (seen == seen_.end()) return;
    write.looks = Looks::unchanged;
    write.version = seen->second.version;
    write.expected = seen->second.value;
  } else if (dice_.chance(0.25)) {
    write.looks = Looks::absent;
    write.value = values_.next();
    write.ttl = some_ttl();
  } else {
    write.looks = Looks::update;
    write.max_rounds = dice_.chance(0.3) ? static_cast<std::uint32_t>(dice_.between(1, 2)) : 8;
    write.decide = [this](const OperationRecord& update) { return decide(update); };
  }
}

// An update's function may use the client, too.
std::optional<Host::Stored> Users::decide(const OperationRecord& update) {
  const std::uint64_t kind = dice_.below(40);
  if (kind == 0) host_.cancel(update.number);
  if (kind == 1 && !stopped_) ask(update.key);
  if (kind < 6) return std::nullopt;
  return Host::Stored{values_.next(), some_ttl()};
}

// An update can't have a key of its user's: each round stores something else.
void Users::choose_key(Host::Ask& write) {
  if (!write.idempotent || write.looks == Looks::update || !key_dice_.chance(scenario_.reused)) return;
  write.users_key = true;
  if (!keyed_.empty() && key_dice_.chance(0.5)) write.key_of = keyed_[key_dice_.below(keyed_.size())];
}

std::optional<Duration> Users::some_ttl() {
  if (!ttl_dice_.chance(scenario_.mortal)) return std::nullopt;
  return ttl_dice_.up_to(ttl_dice_.chance(0.2) ? 3ms : ttl_dice_.chance(0.5) ? 300ms : 3s);
}

Duration Users::some_timeout() {
  if (dice_.chance(0.02)) return Duration{1};
  if (dice_.chance(0.15)) return dice_.up_to(300ms);
  return scenario_.typical_timeout;
}

void Users::cancel_some() {
  const std::vector<std::uint64_t>& pending = host_.judge().pending_operations();
  if (!pending.empty()) host_.cancel(pending[dice_.below(pending.size())]);
}

void Users::something_else() {
  switch (dice_.below(3)) {
    case 0:
      return host_.drain();
    case 1:
      return host_.wait_ready(dice_.chance(0.5) ? Need::any_node : Need::all_nodes, dice_.up_to(2s));
    default:
      return host_.subscribe();
  }
}

void Users::try_everything(Duration timeout) {
  for (const std::string& key : keys_) {
    Host::Ask write;
    write.method = wire::Method::put;
    write.key = key;
    write.value = values_.next();
    write.timeout = timeout;
    trials_.push_back(host_.submit(std::move(write)));
    if (scenario_.looks > 0) {
      Host::Ask update;
      update.method = wire::Method::put;
      update.key = key;
      update.looks = Looks::update;
      update.max_rounds = 8;
      update.decide = [this](const OperationRecord&) { return Host::Stored{values_.next(), {}}; };
      update.timeout = timeout;
      trials_.push_back(host_.submit(std::move(update)));
    }
    Host::Ask read;
    read.method = wire::Method::get;
    read.key = key;
    read.timeout = timeout;
    trials_.push_back(host_.submit(std::move(read)));
  }
}

void Users::check_recovered() const {
  for (const std::uint64_t number : trials_) {
    const OperationRecord& trial = host_.judge().operation(number);
    if (trial.refused || (trial.error && trial.error->code == ErrorCode::overloaded)) continue;
    if (trial.error)
      host_.judge().fail("recovery", trial, "nothing is wrong any more, and it failed: " + trial.error->describe());
  }
}

}  // namespace norikv::simulation
