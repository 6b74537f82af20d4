#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/h2/connection.hpp"
#include "transport/h2/dial_plan.hpp"
#include "util/random.hpp"

namespace norikv::transport::h2 {

/// Who owns lines. Called in callbacks of libuv, and inside the methods of a line.
class LineOwner {
 public:
  virtual void on_kept(Exchange& exchange) = 0;
  /// The exchange has left the line.
  virtual void on_end(Exchange& exchange, Outcome outcome) = 0;
  /// `flush` of this connection is to be called in this iteration of the loop.
  virtual void on_output(Connection& connection) = 0;
  /// Whether the loop is held for other reasons than ours: only then may a look-up of a name hold it too.
  [[nodiscard]] virtual bool loop_is_held() const = 0;

 protected:
  ~LineOwner() = default;
};

/// The way to one node: at most one connection that takes requests, made when a request first needs it, and those that
/// are left to end. Requests wait here for a connection or for room on it. Owned by the transport. [loop thread]
///
/// The node's addresses are dialled as `DialPlan` says. The first one where a peer greets is the connection, and the
/// other attempts are dropped: an address that is taken by somebody who is no node does not stand in the way of one
/// that is slow. When all have failed there is a pause in which requests fail at once. A connection that worked and is
/// lost is made anew by the next request.
class Line final : private ConnectionOwner, private LookupOwner {
 public:
  Line(Shared& shared, LineOwner& owner, std::string name, std::shared_ptr<const Security> security);
  ~Line();

  void submit(Exchange& exchange, TimePoint now);
  /// Takes an exchange back before its end.
  void take_back(Exchange& exchange);

  /// No new requests come; those it has go on.
  void retire() noexcept { retired_ = true; }
  /// Lets go of what is not needed any more. True: the line itself.
  [[nodiscard]] bool tidy();
  /// Drops everything. It has no exchange.
  void drop();

  /// Whether it waits until the loop is held.
  [[nodiscard]] bool wants_lookup() const noexcept { return stage_ == Stage::wants_lookup; }
  void try_lookup();

  [[nodiscard]] std::optional<TimePoint> next_deadline() const noexcept;
  void advance_to(TimePoint now);

 private:
  enum class Stage : std::uint8_t { idle, wants_lookup, looking_up, connected_or_trying };
  using Connections = std::vector<std::unique_ptr<Connection>>;

  // ConnectionOwner
  void on_room(Connection& connection) override;
  void on_draining(Connection& connection) override;
  void on_down(Connection& connection, const std::string& why) override;
  void on_output(Connection& connection) override { owner_.on_output(connection); }
  void on_kept(Exchange& exchange) override { owner_.on_kept(exchange); }
  void on_end(Exchange& exchange, Outcome outcome) override;
  // LookupOwner
  void on_lookup(std::vector<Endpoint> found, std::string error) override;

  /// Where connections go first: the proxy, or the node.
  [[nodiscard]] const util::Address& first_stop() const noexcept;
  void begin();
  void dial_next();
  void attempt_failed(const std::string& why);
  /// When the next address is to be dialled beside those that are.
  [[nodiscard]] std::optional<TimePoint> next_dial() const noexcept;
  void choose(Connections::iterator greeted);
  void bury(std::unique_ptr<Connection> connection);
  void give_up(const std::string& why);
  void fail(Exchange& exchange);

  Shared& shared_;
  LineOwner& owner_;
  const std::string name_;
  const util::Address address_;
  const std::shared_ptr<const Security> security_;
  const ProxyChoice proxy_;
  bool retired_ = false;

  Stage stage_ = Stage::idle;
  DialPlan plan_;  // has the addresses of the last look-up
  Lookup* lookup_ = nullptr;
  Connections trying_;    // attempts; empty once there is `current_`
  std::string failures_;  // of the attempts that are over
  std::unique_ptr<Connection> current_;
  Connections draining_;
  Queue waiting_;

  Duration pause_{0};  // the last one
  TimePoint next_attempt_{};
  std::string last_error_;
  util::Random random_;
};

}  // namespace norikv::transport::h2
