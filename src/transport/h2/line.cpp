#include "transport/h2/line.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "util/earlier.hpp"
#include "util/random.hpp"

namespace norikv::transport::h2 {
namespace {

TimePoint now() { return std::chrono::steady_clock::now(); }

// As gRPC's: each pause is so much longer than the one before, and a fifth longer or shorter by chance.
constexpr double growth = 1.6;
constexpr double jitter = 0.2;

util::Address parsed(const std::string& name) {
  // The client checks its addresses; one that does not parse is a name that is not found.
  return util::parse_address(name).value_or(util::Address{util::Address::Kind::name, name, 0});
}

}  // namespace

Line::Line(Shared& shared, LineOwner& owner, std::string name, std::shared_ptr<const Security> security)
    : shared_(shared),
      owner_(owner),
      name_(std::move(name)),
      address_(parsed(name_)),
      security_(std::move(security)),
      proxy_(shared.options.use_http_proxy ? proxy_of_environment(address_) : std::nullopt),
      random_(util::system_seed()) {}

Line::~Line() {
  if (lookup_ != nullptr) lookup_->forget();
}

// --- exchanges ---

void Line::submit(Exchange& exchange, TimePoint now) {
  exchange.line = this;
  if (stage_ == Stage::idle && now < next_attempt_) return fail(exchange);
  if (current_ != nullptr && waiting_.empty() && current_->has_room()) {
    if (current_->open(exchange, now)) return;
    on_draining(*current_);
  }
  waiting_.push_back(exchange);
  if (stage_ == Stage::idle || stage_ == Stage::wants_lookup) begin();
}

void Line::take_back(Exchange& exchange) {
  if (exchange.connection != nullptr) {
    exchange.connection->abandon(exchange);
  } else {
    waiting_.remove(exchange);
  }
  exchange.line = nullptr;
}

void Line::fail(Exchange& exchange) {
  exchange.line = nullptr;
  owner_.on_end(exchange, {Status::unavailable, last_error_, core::Sent::not_sent});
}

void Line::on_end(Exchange& exchange, Outcome outcome) {
  exchange.line = nullptr;
  owner_.on_end(exchange, std::move(outcome));
}

// --- attempts ---

const util::Address& Line::first_stop() const noexcept { return *proxy_ ? (*proxy_)->address : address_; }

void Line::begin() {
  plan_.restart();
  failures_.clear();
  if (!proxy_) return give_up(proxy_.error());
  if (first_stop().kind != util::Address::Kind::name) {
    plan_.assign(endpoints_of(first_stop()));
    return dial_next();
  }
  if (waiting_.calls() > 0 || owner_.loop_is_held()) {
    stage_ = Stage::looking_up;
    lookup_ = Lookup::start(shared_.loop, first_stop(), *this, shared_.lookups);
    if (lookup_ == nullptr) give_up("libuv refuses the look-up of the name");
  } else if (!plan_.empty()) {
    dial_next();  // better an old answer than none
  } else {
    stage_ = Stage::wants_lookup;
  }
}

void Line::try_lookup() {
  if (stage_ == Stage::wants_lookup && owner_.loop_is_held()) begin();
}

void Line::on_lookup(std::vector<Endpoint> found, std::string error) {
  lookup_ = nullptr;
  if (found.empty()) return give_up("The name could not be looked up: " + error);
  plan_.assign(std::move(found));
  dial_next();
}

void Line::dial_next() {
  stage_ = Stage::connected_or_trying;
  ConnectionOwner& self = *this;
  const TimePoint at = now();
  auto attempt = std::make_unique<Connection>(shared_, self, name_, address_, security_, *proxy_ ? &**proxy_ : nullptr);
  const std::string error = attempt->start(plan_.take(at), at);
  if (error.empty()) {
    trying_.push_back(std::move(attempt));
    return owner_.on_output(*trying_.back());  // nothing yet, but the loop learns of its deadlines
  }
  bury(std::move(attempt));
  attempt_failed(error);
}

void Line::attempt_failed(const std::string& why) {
  // The last one need not be the one that explains it: another address may have had the wrong certificate.
  if (failures_.find(why) == std::string::npos) failures_ += (failures_.empty() ? "" : "; ") + why;
  if (plan_.has_next() && !waiting_.empty()) return dial_next();
  if (trying_.empty()) give_up(failures_);
}

std::optional<TimePoint> Line::next_dial() const noexcept {
  const auto connecting = [](const std::unique_ptr<Connection>& attempt) { return attempt->connecting(); };
  // One that was taken is not silent.
  if (trying_.empty() || waiting_.empty() || !std::ranges::all_of(trying_, connecting)) return std::nullopt;
  return plan_.next_at();
}

void Line::choose(Connections::iterator greeted) {
  current_ = std::move(*greeted);
  trying_.erase(greeted);
  for (auto& other : trying_) bury(std::move(other));
  trying_.clear();
  failures_.clear();
}

void Line::bury(std::unique_ptr<Connection> connection) {
  connection->drop();
  shared_.graveyard.push_back(std::move(connection));
}

void Line::give_up(const std::string& why) {
  stage_ = Stage::idle;
  const Backoff& options = shared_.options.reconnect;
  const auto longer = std::chrono::duration_cast<Duration>(pause_ * growth);
  pause_ = std::min(std::max(longer, options.base), options.cap);
  const double factor = 1 + jitter * (2 * random_.unit() - 1);
  next_attempt_ = now() + std::chrono::duration_cast<Duration>(pause_ * factor);
  last_error_ = "No connection to " + name_;
  if (proxy_ && *proxy_) last_error_ += " through the proxy " + host_and_port((*proxy_)->address);
  last_error_ += ": " + why;
  while (!waiting_.empty()) fail(waiting_.pop_front());
}

// --- what becomes of connections ---

void Line::on_room(Connection& connection) {
  const auto attempt = std::ranges::find(trying_, &connection, &std::unique_ptr<Connection>::get);
  if (attempt != trying_.end()) choose(attempt);
  if (&connection != current_.get()) return;
  pause_ = Duration::zero();
  next_attempt_ = {};
  const TimePoint at = now();
  while (!waiting_.empty() && connection.has_room()) {
    Exchange& exchange = waiting_.pop_front();
    if (connection.open(exchange, at)) continue;
    waiting_.push_back(exchange);
    return on_draining(connection);
  }
}

void Line::on_draining(Connection& connection) {
  if (&connection != current_.get()) return;
  draining_.push_back(std::move(current_));
  stage_ = Stage::idle;
  if (!waiting_.empty()) begin();
}

void Line::on_down(Connection& connection, const std::string& why) {
  if (&connection == current_.get()) {
    shared_.graveyard.push_back(std::move(current_));
    stage_ = Stage::idle;
    if (!connection.carried()) return attempt_failed(why);
    if (!waiting_.empty()) begin();
    return;
  }
  for (Connections* const list : {&trying_, &draining_}) {
    const auto found = std::ranges::find(*list, &connection, &std::unique_ptr<Connection>::get);
    if (found == list->end()) continue;
    shared_.graveyard.push_back(std::move(*found));
    list->erase(found);
    if (list == &trying_) attempt_failed(why);
    return;
  }
}

bool Line::tidy() {
  std::erase_if(draining_, [this](std::unique_ptr<Connection>& connection) {
    if (!connection->unused()) return false;
    bury(std::move(connection));
    return true;
  });
  if (!retired_ || !waiting_.empty() || !draining_.empty()) return false;
  if (current_ != nullptr && !current_->unused()) return false;
  drop();
  return true;
}

void Line::drop() {
  if (lookup_ != nullptr) std::exchange(lookup_, nullptr)->forget();
  if (current_ != nullptr) bury(std::move(current_));
  for (Connections* const list : {&trying_, &draining_}) {
    for (auto& connection : *list) bury(std::move(connection));
    list->clear();
  }
  stage_ = Stage::idle;
}

// --- time ---

std::optional<TimePoint> Line::next_deadline() const noexcept {
  std::optional<TimePoint> next = next_dial();
  const auto count = [&](const std::unique_ptr<Connection>& connection) {
    next = util::earlier(next, connection->next_deadline());
  };
  if (current_ != nullptr) count(current_);
  for (const auto& connection : trying_) count(connection);
  for (const auto& connection : draining_) count(connection);
  return next;
}

void Line::advance_to(TimePoint now) {
  if (current_ != nullptr) current_->advance_to(now);
  // One that ends leaves its list, and the next attempt is put behind it.
  for (std::size_t i = trying_.size(); i-- > 0;) trying_[i]->advance_to(now);
  for (std::size_t i = draining_.size(); i-- > 0;) draining_[i]->advance_to(now);
  if (const auto due = next_dial(); due && now >= *due) dial_next();
}

}  // namespace norikv::transport::h2
