#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/transport.hpp"
#include "transport/h2/grpc_protocol.hpp"
#include "transport/h2/inflate.hpp"
#include "transport/h2/output.hpp"

namespace norikv::transport::h2 {

class Line;
class Connection;

inline constexpr const char* cut_short_text = "The server's answer ended amid a message";

/// How a request or a stream ended.
struct Outcome {
  int status = Status::ok;
  std::string message{};
  core::Sent sent = core::Sent::unknown;
};

/// One request and what has come back for it: a call, or a topology stream. Owned by the transport; it is in one line,
/// which it waits in or has left for a connection.
struct Exchange {
  enum class Kind : std::uint8_t { call, watch };

  explicit Exchange(std::size_t largest_message) noexcept : reader(largest_message) {}

  // The request.
  Kind kind = Kind::call;
  std::uint64_t id = 0;
  const std::string* path = nullptr;
  wire::Payload payload{};
  std::string suffix{};
  core::Metadata metadata{};
  TimePoint deadline = TimePoint::max();

  // Where it is: waiting, or on a connection, or (with neither) ended.
  Line* line = nullptr;
  Connection* connection = nullptr;
  Exchange* before = nullptr;  // of those that wait
  Exchange* behind = nullptr;
  std::int32_t stream = 0;
  bool on_wire = false;  ///< Its headers are among the bytes that are sent.
  bool ended = false;    ///< Only a stream is kept after its end, until that was told.
  bool muted = false;    ///< Nothing that still comes is passed on.

  // What is sent in front of the payload, and how much of all three has gone.
  std::array<char, prefix_size> prefix{};
  std::size_t body_sent = 0;

  // The answer.
  int http_status = 0;
  bool grpc_content = false;
  Encoding encoding = Encoding::identity;
  std::optional<int> grpc_status{};
  std::string message{};
  core::Metadata reply_metadata{};
  std::optional<std::string> body{};
  std::optional<Outcome> failure{};  ///< A message of it can't be read, whatever the peer still says.
  MessageReader reader;

  // Of a topology stream. Messages are taken out of its bytes one by one, each when the one before is decoded; what
  // waits meanwhile is bounded by the stream's window, which is given back for what was taken.
  std::string unread{};
  std::size_t unread_begin = 0;
  std::size_t taken = 0;                       ///< Bytes whose window is not given back yet.
  bool has_unread = false;                     ///< There may be a view that was not told.
  std::unique_ptr<wire::ViewDecoder> decoder;  ///< Of the view that was taken last, until it is told.
  std::size_t undecoded = 0;                   ///< About so much of that view.

  [[nodiscard]] std::size_t body_size() const noexcept { return prefix_size + payload->size() + suffix.size(); }

  /// A header of the answer, in front or behind.
  void take_header(std::string_view name, std::string_view value);
  /// Appends the next bytes of the request; at most `body_left`.
  void append_body(Output& to, std::size_t count);
  [[nodiscard]] std::size_t body_left() const noexcept { return body_size() - body_sent; }
  /// Whether what comes are messages of gRPC: an HTML page of some proxy is not put together, its status tells.
  [[nodiscard]] bool has_messages() const noexcept { return http_status == 200 && grpc_content; }
  /// Reads on, up to the end of the next message. None: it is not whole yet, or there is a `failure`.
  [[nodiscard]] std::optional<std::string> next_message(std::string_view& bytes);
  /// Appends to `unread`.
  void keep(std::string_view bytes);
  /// The next message out of `unread`. None: as for `next_message`, and nothing is left of it.
  [[nodiscard]] std::optional<std::string> next_kept_message();
  /// What the whole answer says.
  [[nodiscard]] Outcome conclude();
};

/// Those that wait, oldest first. Constant time everywhere.
class Queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] Exchange* front() const noexcept { return first_; }
  void push_back(Exchange& exchange) noexcept;
  void remove(Exchange& exchange) noexcept;
  Exchange& pop_front() noexcept;
  /// Unary calls among them.
  [[nodiscard]] std::size_t calls() const noexcept { return calls_; }

 private:
  Exchange* first_ = nullptr;
  Exchange* last_ = nullptr;
  std::size_t calls_ = 0;
};

}  // namespace norikv::transport::h2
