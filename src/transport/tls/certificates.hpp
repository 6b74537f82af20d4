#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <tl/expected.hpp>

// PEM texts, checked before anything is connected. No error holds any of the text.
namespace norikv::transport {

/// Why something is not what it has to be: the end of a sentence that begins with its name.
template <class T>
using Checked = tl::expected<T, std::string>;

/// One certificate at least, and nothing that only looks like one.
[[nodiscard]] Checked<void> check_authorities(const std::string& pem);

/// What is told about a client's own certificate.
struct CertificateFacts {
  std::chrono::system_clock::time_point ends;
};
/// A certificate that TLS would take, and behind it those that lead to its authority.
[[nodiscard]] Checked<CertificateFacts> check_certificate(const std::string& pem);

/// A private key without a passphrase.
[[nodiscard]] Checked<void> check_key(const std::string& pem);

/// That the key belongs to the certificate. Both have passed the checks above.
[[nodiscard]] Checked<void> check_pair(const std::string& certificate, const std::string& key);

}  // namespace norikv::transport
