#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <norikv/testing/faults.hpp>
#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

namespace norikv::testing {

enum class Encoding : std::uint8_t { identity, gzip };

/// The end of a call, as bytes.
struct RpcReply {
  int status = 0;
  std::string message{};
  std::optional<std::string> body{};  ///< None = no message.
  Metadata initial_metadata{};
  Metadata trailing_metadata{};
  Encoding encoding = Encoding::identity;
};

/// One call at the server. [any thread] Answers to a call that is over go nowhere.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// "/norikv.v1.Kv/Put"
  [[nodiscard]] virtual const std::string& path() const = 0;
  /// "ipv4:127.0.0.1:12345"
  [[nodiscard]] virtual std::string peer() const = 0;
  [[nodiscard]] virtual std::string metadata(const std::string& key) const = 0;
  /// When the time that the client sent along is over; `TimePoint::max()` = never.
  [[nodiscard]] virtual TimePoint deadline() const = 0;
  /// The bytes of the request's message.
  [[nodiscard]] virtual const std::string& request() const = 0;

  /// Ends the call. Once.
  virtual void answer(RpcReply reply) = 0;
  /// Sends one message of a stream. `sent` is called when there is room for the next one; never if the call ended.
  virtual void send(std::string message, UniqueFunction<void()> sent) = 0;
  /// `over` is called once the call has ended, be it because the client went away; at once if it has.
  virtual void on_over(UniqueFunction<void()> over) = 0;
};

}  // namespace norikv::testing
