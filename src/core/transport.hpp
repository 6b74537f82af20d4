#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

#include "core/ids.hpp"
#include "wire/view.hpp"
#include "wire/wire.hpp"

// What the core needs from the network: bytes out, bytes in. All of it on the loop's thread.
namespace norikv::core {

/// What is surely known about a call that failed.
enum class Sent : std::uint8_t {
  not_sent,             ///< Nothing of it left this process.
  refused_unprocessed,  ///< The peer told that it did not process it (GOAWAY above the last stream, REFUSED_STREAM).
  unknown,  ///< It may have been carried out. Always this one when the server itself answered with a status.
};

using Metadata = std::vector<std::pair<std::string, std::string>>;

/// One unary call to start.
struct Call {
  CallId id{};
  std::string address;  ///< A configured node, as it was written.
  wire::Method method{};
  wire::Payload payload;  ///< The encoded request ...
  std::string suffix;     ///< ... and what is appended to it for this node; short.
  TimePoint deadline{};
  Metadata metadata;  ///< Lower-case ASCII keys.
};

/// How a call ended. Every call that was started ends with exactly one reply, cancelled ones included.
struct Reply {
  CallId id{};
  int status = 0;                   ///< gRPC status code; 0 = OK.
  std::string message;              ///< gRPC status message, as sent; at most 1024 bytes of it.
  Sent sent = Sent::unknown;        ///< Only with status != 0.
  std::optional<std::string> body;  ///< Present if a message came, whatever its length. Only with status 0.
  /// Initial and trailing metadata under the keys the core asks about (`wanted_metadata`); each value at most 1024
  /// bytes. Only with status != 0.
  Metadata metadata;
};

/// The reply metadata a transport passes on; all other is dropped unread.
[[nodiscard]] inline bool wanted_metadata(std::string_view key) noexcept {
  return key == "leader-hint" || key == "x-norikv-leader" || key == "grpc-retry-pushback-ms";
}

/// Whether HTTP/2 and gRPC can carry this as a request's metadata.
[[nodiscard]] inline bool may_be_sent(const Metadata& metadata) noexcept {
  return std::ranges::all_of(metadata, [](const auto& entry) {
    const auto& [key, value] = entry;
    const auto legal_in_key = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    };
    const auto legal_in_value = [](char c) { return c >= ' ' && c <= '~'; };
    return !key.empty() && !key.starts_with("grpc-") && std::ranges::all_of(key, legal_in_key) &&
           (key.ends_with("-bin") || std::ranges::all_of(value, legal_in_value));
  });
}

/// How a topology stream ended.
struct StreamEnd {
  WatchId id{};
  int status = 0;  ///< gRPC status code; OK too is an end.
  std::string message;
};

/// What connections are secured with: checked PEM texts. Empty = none.
struct TlsMaterial {
  std::string ca{};
  std::string certificate{};
  std::string key{};
  std::string server_name{};
  /// When `certificate` ends, to explain failures.
  std::optional<std::chrono::system_clock::time_point> certificate_ends{};
};

/// Receives what comes back. [loop thread] Never called from inside a method of the transport.
class TransportSink {
 public:
  virtual void on_reply(Reply reply) = 0;
  /// A view, already decoded. A message that does not decode ends the stream with status 13 (INTERNAL).
  virtual void on_view(WatchId id, wire::LeaderView view) = 0;
  /// The stream is over; nothing comes for this id any more. Every stream that was started ends with exactly one,
  /// cancelled ones included.
  virtual void on_stream_end(StreamEnd end) = 0;

 protected:
  ~TransportSink() = default;
};

/// Carries calls and topology streams. [loop thread] No method blocks, throws, or calls the sink.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual void start(Call call) = 0;
  /// Opens a WatchCluster stream to a node. It has no deadline.
  virtual void watch(WatchId id, const std::string& address, const Metadata& metadata) = 0;
  /// Ends a call or a stream early; its reply or end still comes (and may be a success that was faster). Ids that are
  /// gone are ignored.
  virtual void cancel(CallId id) = 0;
  virtual void cancel(WatchId id) = 0;
  /// Keeps connections to these nodes and drops those to all others once their calls have ended.
  virtual void retain(const std::vector<std::string>& addresses) = 0;
  /// Connections that are made from now on use TLS with this; calls and streams under way end on the ones they have.
  virtual void secure(const TlsMaterial& material) = 0;
  /// Cancels everything that is left; `done` runs in a later turn, after the last reply and stream end were delivered
  /// and every connection was dropped. Nothing may be started after this.
  virtual void close(UniqueFunction<void()> done) = 0;

  /// When `advance_to` is to be called next (heartbeats, calls whose time is up); none = never. Asked after each turn.
  [[nodiscard]] virtual std::optional<TimePoint> next_deadline() const = 0;
  virtual void advance_to(TimePoint now) = 0;
};

}  // namespace norikv::core
