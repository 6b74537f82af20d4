#pragma once

#include <openssl/ossl_typ.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/transport.hpp"
#include "transport/tls/causes.hpp"
#include "util/address.hpp"

namespace norikv::transport::h2 {

/// How connections are secured, shared by those that are secured alike. Immutable but for what OpenSSL counts in it.
class Security {
 public:
  /// Plain text.
  Security() = default;
  explicit Security(const core::TlsMaterial& material);
  ~Security();
  Security(const Security&) = delete;
  Security& operator=(const Security&) = delete;

  [[nodiscard]] bool tls() const noexcept { return facts_.tls; }
  [[nodiscard]] SSL_CTX* context() const noexcept { return context_; }
  /// Why there is no context; empty = there is.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  /// Empty = the dialled host.
  [[nodiscard]] const std::string& server_name() const noexcept { return facts_.server_name; }
  /// To explain a connection that failed at this moment.
  [[nodiscard]] SecurityFacts facts() const;

 private:
  SSL_CTX* context_ = nullptr;
  std::string error_;
  SecurityFacts facts_;
  std::optional<std::chrono::system_clock::time_point> certificate_ends_;
};

/// The TLS of one connection without its socket: bytes in, bytes out. Owned by a `Connection`.
class TlsStream {
 public:
  TlsStream(const Security& security, const util::Address& address);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  enum class Step : std::uint8_t { ok, closed, failed };

  /// Goes on with the handshake, if it is not over, and appends what came in to `plain`. `failed`: `error` tells why.
  [[nodiscard]] Step receive(std::string_view bytes, std::string& plain);
  /// Encrypts. Only after the handshake.
  [[nodiscard]] Step send(std::string_view plain);
  /// Moves what is to be sent to the end of `out`.
  void take_output(std::string& out);

  [[nodiscard]] bool ready() const noexcept { return ready_; }
  /// The cause, and OpenSSL's own word on it.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  [[nodiscard]] Step handshake();
  [[nodiscard]] Step fail(int result);
  [[nodiscard]] std::string explain() const;

  const Security& security_;
  SSL* ssl_ = nullptr;
  BIO* in_ = nullptr;   // owned by ssl_
  BIO* out_ = nullptr;  // owned by ssl_
  bool ready_ = false;
  std::string error_;
};

}  // namespace norikv::transport::h2
