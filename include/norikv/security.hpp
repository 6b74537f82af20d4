#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include <norikv/export.hpp>
#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

namespace norikv {

/// Certificates or a key in the PEM format: a text, or the name of a file that holds one. Neither = none; both is an
/// error. A file is read once, inside `Client::create` or `Client::set_tls`.
struct Pem {
  std::string text{};
  std::string file{};
};

/// How connections are secured. Texts and keys stay in this process: none of them is ever logged or part of an error.
struct TlsOptions {
  /// The authorities whose signature makes a server's certificate valid. None = those the system trusts.
  Pem ca{};
  /// The client's own certificate, behind it those that lead to its authority, for servers that ask for one. Not
  /// without `key`.
  Pem certificate{};
  /// The private key of `certificate`, without a passphrase.
  Pem key{};
  /// The name that the server's certificate has to hold, instead of the host under which the node is dialled.
  std::string server_name{};
};

/// A bearer token.
struct Token {
  std::string text;  ///< ASCII without control characters, at most 8192 bytes.
  /// When it ends; none = it stays until a server refuses it. From a lifetime: `std::chrono::steady_clock::now() +
  /// lifetime`.
  std::optional<TimePoint> expires{};
};

/// Why a token is asked for.
enum class TokenReason : std::uint8_t {
  first,     ///< There is none yet: none was given so far, or the last one has ended.
  expiring,  ///< The one in use ends soon (`TokenOptions::refresh_before`); it is used until then.
  refused,   ///< A server refused the one in use.
};

[[nodiscard]] constexpr std::string_view to_string(TokenReason reason) noexcept {
  switch (reason) {
    case TokenReason::first:
      return "first";
    case TokenReason::expiring:
      return "expiring";
    case TokenReason::refused:
      return "refused";
  }
  return "unknown";
}

/// The answer that a token source owes: call `succeed` or `fail` once, now or later, from any thread. Copies stand for
/// the same answer; the first call counts and all others do nothing. When the last copy goes without a call, that is
/// `fail`. Harmless once the client is closed.
class TokenReply {
 public:
  using Answer = UniqueFunction<void(tl::expected<Token, std::string>)>;

  /// For tests of a token source: `answer` is called exactly once, in the thread that answers.
  NORIKV_EXPORT explicit TokenReply(Answer answer);

  /// A token that HTTP/2 can't carry, or that has ended already, counts as a failure.
  NORIKV_EXPORT void succeed(Token token) const;
  /// No token can be had now. `why` becomes part of errors and logs. Operations that wait end with `unauthenticated`
  /// and this text, so a source that wants to try again does that before it answers. The next request for a token comes
  /// after a pause.
  NORIKV_EXPORT void fail(std::string why) const;

 private:
  class State;
  std::shared_ptr<State> state_;
};

/// Where tokens come from. Called on the loop's thread, one request at a time, and only when an operation or a topology
/// stream needs a token. It must not block; it may answer inside the call.
using TokenSource = std::function<void(TokenReason reason, TokenReply reply)>;

/// How the client says who it is: a token with every request and every topology stream. A token is kept until it ends
/// or is refused. When a server refuses one (UNAUTHENTICATED), the operation asks for another and is sent once more.
struct TokenOptions {
  TokenSource source{};  ///< None = no tokens.
  /// Send tokens over connections without TLS, where everybody on the way can read them. Otherwise `source` without
  /// `ClientOptions::tls` is refused.
  bool allow_plaintext = false;
  std::string metadata_key = "authorization";  ///< Lower case: letters, digits, "-", "_" and ".".
  std::string prefix = "Bearer ";              ///< Goes in front of the token; may be empty.
  /// A token is renewed this long before it ends, but not before half of its time has passed.
  Duration refresh_before = std::chrono::seconds{30};
  /// A source that has not answered for this long is asked again, and its late answer is ignored.
  Duration answer_timeout = std::chrono::seconds{30};
};

}  // namespace norikv
