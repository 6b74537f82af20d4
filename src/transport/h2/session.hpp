#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "transport/h2/exchange.hpp"
#include "transport/h2/memory.hpp"

struct nghttp2_session;

namespace norikv::transport::h2 {

/// What a `Session` tells. Called inside `receive` and `produce`; the session must not be destroyed there.
class SessionListener {
 public:
  /// The peer's first SETTINGS came: it speaks HTTP/2.
  virtual void on_greeting() = 0;
  /// The peer takes no more streams on this connection.
  virtual void on_goaway() = 0;
  /// Anything that shows that the peer is there after a PING.
  virtual void on_pong() = 0;
  /// Bytes of a topology stream came, which the exchange keeps.
  virtual void on_kept(Exchange& exchange) = 0;
  /// The session is through with the exchange.
  virtual void on_end(Exchange& exchange, Outcome outcome) = 0;

 protected:
  ~SessionListener() = default;
};

/// One HTTP/2 connection without its socket: bytes in, bytes out. Owned by a `Connection`; wraps nghttp2.
///
/// It opens no more streams than the peer allows, so that nothing waits where its owner can't see it: whoever has a
/// request asks `has_room` first.
class Session {
 public:
  explicit Session(SessionListener& listener);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// False: the connection is beyond help, and `error` tells why.
  [[nodiscard]] bool receive(std::string_view bytes);
  /// Appends what is to be sent to `out`, until it holds `enough`. False: beyond help.
  [[nodiscard]] bool produce(Output& out, std::size_t enough);
  [[nodiscard]] bool wants_write() const noexcept;
  /// Nothing is to be sent or received any more: a side has ended it.
  [[nodiscard]] bool over() const noexcept;
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

  /// Whether `open` may be called.
  [[nodiscard]] bool has_room() const noexcept;
  [[nodiscard]] bool greeted() const noexcept { return greeted_; }
  [[nodiscard]] std::size_t streams() const noexcept { return streams_; }

  /// Sends a request. False if no stream can be opened any more; the exchange is untouched then.
  [[nodiscard]] bool open(Exchange& exchange, std::string_view scheme, std::string_view authority, TimePoint now);
  /// Forgets an exchange and tells the peer so.
  void reset(Exchange& exchange);
  /// Lets the peer send as much again as was taken out of a topology stream.
  void give_back(Exchange& exchange);
  void ping();

 private:
  struct Callbacks;
  void end(Exchange& exchange, Outcome outcome);
  void fail(Exchange& exchange, Outcome outcome);
  void take_data(Exchange& exchange, std::string_view bytes);

  SessionListener& listener_;
  Memory memory_;
  nghttp2_session* session_ = nullptr;
  Output* out_ = nullptr;   // where `produce` puts bodies ...
  std::size_t enough_ = 0;  // ... until it holds so much
  std::string error_;
  std::size_t streams_ = 0;  // that are open for us
  bool greeted_ = false;
  bool going_away_ = false;
};

}  // namespace norikv::transport::h2
