#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/options.hpp>

#include "transport/h2/session.hpp"
#include "transport/h2/socket.hpp"
#include "transport/h2/tls.hpp"
#include "transport/h2/tunnel.hpp"

namespace norikv::transport::h2 {

class Connection;

/// What all connections of a transport share. Outlives them.
struct Shared {
  uv_loop_t* loop = nullptr;
  const ConnectionOptions& options;
  Lookups& lookups;
  LostHandles lost{};
  std::string input{};  ///< Where sockets are read into.
  std::string plain{};  ///< What TLS made of it.
  /// What TLS is to make something of: in one piece, so that it makes few records of it.
  Output to_secure{std::string::npos};
  /// Connections that are no more, until nothing of them can be on the stack.
  std::vector<std::unique_ptr<Connection>> graveyard{};
};

/// Who is told what becomes of a connection. Called in callbacks of libuv, in `flush` and in `advance_to`.
class ConnectionOwner {
 public:
  /// It carries requests from now on, or may carry more than before.
  virtual void on_room(Connection& connection) = 0;
  /// The peer wants no new requests on it; those it has go on.
  virtual void on_draining(Connection& connection) = 0;
  /// It is no more; its exchanges have ended before.
  virtual void on_down(Connection& connection, const std::string& why) = 0;
  /// It has something to write: `flush` is to be called in this iteration of the loop.
  virtual void on_output(Connection& connection) = 0;
  virtual void on_kept(Exchange& exchange) = 0;
  /// The exchange has left the connection.
  virtual void on_end(Exchange& exchange, Outcome outcome) = 0;

 protected:
  ~ConnectionOwner() = default;
};

/// One connection, from the first attempt to its end: socket, tunnel, TLS, and the HTTP/2 session. Owned by a `Line`.
/// It is destroyed in none of its own callbacks. [loop thread]
class Connection final : private SocketOwner, private SessionListener {
 public:
  Connection(Shared& shared, ConnectionOwner& owner, const std::string& name, const util::Address& address,
             std::shared_ptr<const Security> security, const Proxy* proxy);

  /// Once. The endpoint is the node's, or the proxy's. An error text, or empty: what becomes of it is told.
  [[nodiscard]] std::string start(const Endpoint& endpoint, TimePoint now);

  [[nodiscard]] bool has_room() const noexcept { return state_ == State::open && session_.has_room(); }
  [[nodiscard]] bool dead() const noexcept { return state_ == State::dead; }
  /// Whether nobody has taken the connection yet.
  [[nodiscard]] bool connecting() const noexcept { return state_ == State::connecting; }
  /// Nothing is on it.
  [[nodiscard]] bool unused() const noexcept { return exchanges_.empty(); }
  /// It was good for a request at least.
  [[nodiscard]] bool carried() const noexcept { return carried_; }

  /// Needs room. False: it has none any more.
  [[nodiscard]] bool open(Exchange& exchange, TimePoint now);
  /// Takes an exchange off before its end.
  void abandon(Exchange& exchange);
  /// Lets the peer send as much again as was taken out of a topology stream.
  void give_back(Exchange& exchange);

  /// Writes everything that waits, in as few calls of the system as it takes.
  void flush();
  /// Drops it without a word to the owner. There must be no exchange on it.
  void drop();

  [[nodiscard]] std::optional<TimePoint> next_deadline() const noexcept;
  void advance_to(TimePoint now);

  /// For whoever keeps a list of those to flush.
  bool listed = false;

 private:
  enum class State : std::uint8_t { connecting, tunnelling, securing, greeting, open, dead };

  // SocketOwner
  void on_connected() override;
  void on_readable() override;
  void on_writable() override;
  void on_socket_error(int error) override;
  void on_broken() override;
  // SessionListener
  void on_greeting() override;
  void on_goaway() override;
  void on_pong() override;
  void on_kept(Exchange& exchange) override { owner_.on_kept(exchange); }
  void on_end(Exchange& exchange, Outcome outcome) override;

  void begin_talk();
  void take(std::string_view bytes);
  void take_plain(std::string_view bytes);
  void make_output();
  /// As `Socket::write`.
  [[nodiscard]] std::ptrdiff_t write_some();
  void lose(std::string why);
  void tell_room();
  void lose_silently(std::string_view how);
  [[nodiscard]] bool greeted() const noexcept { return state_ == State::open; }

  Shared& shared_;
  ConnectionOwner& owner_;
  const std::string& name_;  // the node, as it was configured
  const util::Address& address_;
  const std::shared_ptr<const Security> security_;
  const Proxy* const proxy_;  // null: none
  std::string authority_;
  State state_ = State::connecting;
  Socket socket_;
  Tunnel tunnel_;
  std::unique_ptr<TlsStream> tls_;
  Session session_;
  Output out_;  // to the socket
  Queue exchanges_;
  bool blocked_ = false;  // the socket takes nothing now
  bool broken_ = false;   // there is nothing to wait for
  bool had_room_ = false;
  bool carried_ = false;

  TimePoint attempt_ends_{};
  TimePoint heard_{};                     // last time something came
  std::optional<TimePoint> ping_ends_{};  // when a PING is without an answer for too long
};

}  // namespace norikv::transport::h2
