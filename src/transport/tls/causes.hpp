#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Why a connection came to nothing where security is the likely cause, in the words of the options. Pure.
namespace norikv::transport {

/// What the configuration says about a connection that failed: it rules causes out.
struct SecurityFacts {
  enum class Certificate : std::uint8_t { none, valid, ended };

  bool tls = false;
  bool own_ca = false;  ///< Otherwise the system's authorities count.
  Certificate certificate = Certificate::none;
  std::string server_name{};  ///< Empty = the dialled host.
};

/// The server's certificate is for somebody else.
[[nodiscard]] std::string not_the_name(const SecurityFacts& facts);

/// The server said in TLS that it has nothing to do with the name that it was asked for (SNI).
[[nodiscard]] std::string unknown_name(const SecurityFacts& facts);

/// The server's certificate did not pass, and nothing tells authority and time apart.
[[nodiscard]] std::string bad_server_certificate(const SecurityFacts& facts);

/// The server said in TLS that it does not take the client's certificate.
[[nodiscard]] std::string refused_certificate(const SecurityFacts& facts);

/// The connection ended without a word. With TLS 1.3 the client's side of the handshake is over before the server has
/// judged the client's certificate; a server without TLS often closes too.
[[nodiscard]] std::string silent_end(const SecurityFacts& facts);

/// What came is no TLS.
inline constexpr std::string_view speaks_no_tls =
    "the server speaks no TLS on this port, and ClientOptions::tls is set";

/// What came of ALPN.
inline constexpr std::string_view speaks_no_http2 = "the server does not agree to speak HTTP/2 (ALPN)";

/// Before a version was chosen, the server said that it has none of ours.
inline constexpr std::string_view speaks_old_tls = "the server has no version of TLS from 1.2 on";

/// Before a cipher was chosen, the server broke the handshake off.
inline constexpr std::string_view nothing_in_common =
    "the server refuses the TLS handshake: the two sides may have no cipher, curve or signature in common";

}  // namespace norikv::transport
