#pragma once

#include <sys/types.h>

#include <string>
#include <thread>
#include <vector>

#include "support/certificates.hpp"
#include "support/folder.hpp"
#include "transport/raw_peer.hpp"

namespace norikv::test {

/// A TLS server that does what our own can't be made to do: `openssl s_server`, in a process of its own that is gone
/// with this object, and after a minute in any case. Behind the TLS a script speaks, as with a `RawPeer`, on the first
/// connection that gets there.
class OpensslServer {
 public:
  /// Whether there is a command `openssl`.
  [[nodiscard]] static bool available();

  /// Listens on loopback. Options may name `ca.pem`, `cert.pem` and `key.pem`.
  OpensslServer(const Identity& identity, const std::vector<std::string>& options, RawPeer::Script script);
  ~OpensslServer();
  OpensslServer(const OpensslServer&) = delete;
  OpensslServer& operator=(const OpensslServer&) = delete;

  [[nodiscard]] const std::string& address() const noexcept { return address_; }

 private:
  void start(const std::vector<std::string>& options);
  void serve(const RawPeer::Script& script);
  /// What it says up to the end of the first line that has `words`; empty if it ends before.
  [[nodiscard]] std::string line_with(std::string_view words) const;

  Folder folder_;
  pid_t process_ = -1;
  int talk_ = -1;  // what it reads and writes
  std::string address_;
  std::thread thread_;
};

}  // namespace norikv::test
