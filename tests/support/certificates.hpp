#pragma once

#include <string>

namespace norikv::test {

/// A certificate and its private key, as PEM texts.
struct Identity {
  std::string certificate;
  std::string key;
};

/// What tests of TLS need, made by the command `openssl` once per process.
struct Certificates {
  std::string ca;             ///< The authority that everybody believes in ...
  std::string other_ca;       ///< ... and one that nobody asked for.
  Identity server;            ///< By `ca`, for 127.0.0.1, ::1 and localhost.
  Identity foreign_server;    ///< The same by `other_ca`.
  Identity named_server;      ///< By `ca`, for "node.norikv.test" alone.
  Identity expired_server;    ///< As `server`, ended yesterday.
  Identity client;            ///< By `ca`.
  Identity renewed_client;    ///< By `ca` too.
  Identity foreign_client;    ///< By `other_ca`.
  Identity expired_client;    ///< By `ca`, ended yesterday.
  std::string encrypted_key;  ///< The key of `client` behind a passphrase.
};

/// Ends the process if `openssl` is missing or fails.
[[nodiscard]] const Certificates& certificates();

}  // namespace norikv::test
