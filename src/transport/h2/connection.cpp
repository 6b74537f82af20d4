#include "transport/h2/connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "util/text.hpp"

namespace norikv::transport::h2 {
namespace {

// So much is made before it is written, and so much is read or written for one connection in one iteration of the loop:
// others want their turn too.
constexpr std::size_t output_at_once = 256 * 1024;
constexpr std::size_t bytes_per_turn = 2 * 1024 * 1024;
// Of requests whose values are written from where they are, two for each of HTTP/2's usual frames of 16 KiB.
constexpr std::size_t parts_at_once = 2 * output_at_once / (16 * 1024) + 2;

std::string authority_of(const util::Address& address, const Security& security) {
  if (!security.server_name().empty()) return security.server_name();
  return address.kind == util::Address::Kind::unix_socket ? "localhost" : host_and_port(address);
}

std::string error_text(int error) { return std::generic_category().message(error); }

}  // namespace

Connection::Connection(Shared& shared, ConnectionOwner& owner, const std::string& name, const util::Address& address,
                       std::shared_ptr<const Security> security, const Proxy* proxy)
    : shared_(shared),
      owner_(owner),
      name_(name),
      address_(address),
      security_(std::move(security)),
      proxy_(proxy),
      authority_(authority_of(address, *security_)),
      socket_(shared.loop, *this, shared.lost),
      session_(*this) {}

std::string Connection::start(const Endpoint& endpoint, TimePoint now) {
  attempt_ends_ = now + shared_.options.connect_timeout;
  if (security_->tls() && security_->context() == nullptr) {
    state_ = State::dead;
    return security_->error();
  }
  const bool alive_is_checked = shared_.options.keepalive > Duration::zero();
  const int error = socket_.connect(endpoint, alive_is_checked ? shared_.options.keepalive_timeout : Duration::zero());
  if (error == 0) return {};
  state_ = State::dead;
  return error_text(error);
}

// --- the way to a connection that works ---

void Connection::on_connected() {
  if (proxy_ == nullptr) return begin_talk();
  state_ = State::tunnelling;
  out_.append(Tunnel::request(*proxy_, address_));
  owner_.on_output(*this);
}

void Connection::begin_talk() {
  state_ = State::greeting;
  if (security_->tls()) {
    state_ = State::securing;
    tls_ = std::make_unique<TlsStream>(*security_, address_);
    return take({});
  }
  owner_.on_output(*this);
}

void Connection::on_socket_error(int error) { lose(error_text(error)); }

void Connection::on_broken() {
  broken_ = true;
  on_readable();
  if (state_ != State::dead) lose_silently(error_text(ECONNRESET));
}

void Connection::on_greeting() {
  state_ = State::open;
  had_room_ = true;
  heard_ = std::chrono::steady_clock::now();
  owner_.on_room(*this);
}

// --- reading ---

void Connection::on_readable() {
  std::size_t budget = bytes_per_turn;
  while (state_ != State::dead && budget > 0) {
    const std::ptrdiff_t count = socket_.read(shared_.input.data(), shared_.input.size());
    if (count == -EAGAIN) break;
    if (count == 0) return lose_silently("Socket closed");
    if (count < 0) return lose_silently(error_text(static_cast<int>(-count)));
    take(std::string_view(shared_.input).substr(0, static_cast<std::size_t>(count)));
    // Less than there was room for: the socket is empty. What is left comes with the next iteration.
    if (!broken_ && static_cast<std::size_t>(count) < shared_.input.size()) break;
    budget -= std::min(budget, static_cast<std::size_t>(count));
  }
  if (state_ == State::dead) return;
  if (shared_.options.keepalive > Duration::zero()) {
    heard_ = std::chrono::steady_clock::now();
    ping_ends_.reset();
  }
  tell_room();
  if (state_ != State::dead && session_.wants_write()) owner_.on_output(*this);
}

void Connection::take(std::string_view bytes) {
  if (state_ == State::tunnelling) {
    const Tunnel::Result result = tunnel_.receive(bytes);
    if (result == Tunnel::Result::refused) return lose("The proxy refuses: " + tunnel_.error());
    if (result == Tunnel::Result::more) return;
    begin_talk();
    if (bytes.empty() || state_ == State::dead) return;
  }
  if (tls_ == nullptr) return take_plain(bytes);
  std::string& plain = shared_.plain;
  plain.clear();
  const bool was_ready = tls_->ready();
  const TlsStream::Step step = tls_->receive(bytes, plain);
  owner_.on_output(*this);
  if (tls_->ready() && !was_ready) state_ = State::greeting;
  if (!plain.empty()) take_plain(plain);
  if (state_ == State::dead || step == TlsStream::Step::ok) return;
  if (step == TlsStream::Step::closed) return lose_silently("Socket closed");
  flush();  // the alert tells the peer why
  if (state_ != State::dead) lose(tls_->error());
}

void Connection::take_plain(std::string_view bytes) {
  if (session_.receive(bytes)) return;
  // Before it has greeted it may be anything.
  if (!greeted() && security_->tls()) return lose(session_.error());
  lose(greeted() ? session_.error() : silent_end(security_->facts()) + " (" + session_.error() + ")");
}

void Connection::on_goaway() { owner_.on_draining(*this); }

void Connection::on_pong() { ping_ends_.reset(); }

void Connection::on_end(Exchange& exchange, Outcome outcome) {
  exchange.connection = nullptr;
  exchanges_.remove(exchange);
  owner_.on_end(exchange, std::move(outcome));
}

// --- writing ---

bool Connection::open(Exchange& exchange, TimePoint now) {
  if (!session_.open(exchange, security_->tls() ? "https" : "http", authority_, now)) return false;
  exchange.connection = this;
  exchanges_.push_back(exchange);
  carried_ = true;
  had_room_ = session_.has_room();
  owner_.on_output(*this);
  return true;
}

void Connection::abandon(Exchange& exchange) {
  session_.reset(exchange);
  exchange.connection = nullptr;
  exchanges_.remove(exchange);
  owner_.on_output(*this);
}

void Connection::give_back(Exchange& exchange) {
  session_.give_back(exchange);
  if (session_.wants_write()) owner_.on_output(*this);
}

void Connection::make_output() {
  if (state_ == State::tunnelling) return;
  if (tls_ == nullptr) {
    if (!session_.produce(out_, output_at_once)) lose(session_.error());
    return;
  }
  tls_->take_output(out_.bytes());
  if (!tls_->ready()) return;
  Output& plain = shared_.to_secure;
  plain.clear();
  if (!session_.produce(plain, output_at_once)) return lose(session_.error());
  if (tls_->send(plain.bytes()) != TlsStream::Step::ok) return lose(tls_->error());
  tls_->take_output(out_.bytes());
}

std::ptrdiff_t Connection::write_some() {
  std::array<iovec, parts_at_once> parts;
  const std::size_t count = out_.parts(parts);
  return socket_.write({parts.data(), count});
}

void Connection::flush() {
  if (state_ == State::dead || state_ == State::connecting) return;
  if (socket_.taken_away()) return lose("The loop's owner closed the connection's handle");
  std::size_t budget = bytes_per_turn;
  while (!blocked_) {
    if (out_.empty()) make_output();
    if (state_ == State::dead || out_.empty()) break;
    const std::ptrdiff_t count = budget > 0 ? write_some() : -EAGAIN;
    if (count == -EAGAIN) {
      blocked_ = true;
      socket_.want_write(true);
      break;
    }
    // What has arrived before counts: a server that is going away has answered some requests.
    if (count < 0) return broken_ ? lose_silently(error_text(static_cast<int>(-count))) : on_broken();
    out_.take(static_cast<std::size_t>(count));
    budget -= std::min(budget, static_cast<std::size_t>(count));
  }
  if (session_.over()) return lose_silently("HTTP/2 was ended by one of the two sides");
  tell_room();  // streams that were reset are gone now
}

void Connection::tell_room() {
  const bool room = has_room();
  if (room && !std::exchange(had_room_, true)) owner_.on_room(*this);
}

void Connection::on_writable() {
  blocked_ = false;
  socket_.want_write(false);
  owner_.on_output(*this);
}

// --- the end ---

void Connection::lose_silently(std::string_view how) {
  if (greeted()) return lose(std::string(how));
  if (state_ == State::tunnelling) return lose("The proxy ended the connection (" + std::string(how) + ")");
  // Nothing came back from a peer that took the connection: security is the likely cause.
  lose(state_ == State::connecting ? std::string(how) : silent_end(security_->facts()) + " (" + std::string(how) + ")");
}

void Connection::lose(std::string why) {
  state_ = State::dead;
  socket_.close();
  while (!exchanges_.empty()) {
    Exchange& exchange = exchanges_.pop_front();
    exchange.connection = nullptr;
    const core::Sent sent = exchange.on_wire ? core::Sent::unknown : core::Sent::not_sent;
    owner_.on_end(exchange, {Status::unavailable, "The connection to " + name_ + " was lost: " + why, sent});
  }
  owner_.on_down(*this, why);
}

void Connection::drop() {
  state_ = State::dead;
  socket_.close();
}

// --- time ---

std::optional<TimePoint> Connection::next_deadline() const noexcept {
  if (state_ == State::dead) return std::nullopt;
  if (state_ != State::open) return attempt_ends_;
  if (shared_.options.keepalive <= Duration::zero()) return std::nullopt;
  return ping_ends_ ? *ping_ends_ : heard_ + shared_.options.keepalive;
}

void Connection::advance_to(TimePoint now) {
  const std::optional<TimePoint> due = next_deadline();
  if (!due || now < *due) return;
  if (state_ != State::open) {
    const char* const stage = state_ == State::connecting   ? "the connection"
                              : state_ == State::tunnelling ? "the proxy's answer"
                              : state_ == State::securing   ? "the TLS handshake"
                                                            : "the peer's SETTINGS";
    return lose(std::string("No answer within ConnectionOptions::connect_timeout (") +
                util::to_text(shared_.options.connect_timeout) + "), waiting for " + stage);
  }
  if (ping_ends_) return lose("No answer to a PING within ConnectionOptions::keepalive_timeout");
  session_.ping();
  ping_ends_ = now + shared_.options.keepalive_timeout;
  owner_.on_output(*this);
}

}  // namespace norikv::transport::h2
