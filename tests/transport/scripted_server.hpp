#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace norikv::test {

/// What a server says who it is, and whose clients it takes: PEM texts.
struct ServerTls {
  std::string certificate;
  std::string key;
  std::string client_ca{};  ///< Empty = it asks for no client certificate.
};

/// How a scripted call is answered.
struct Answer {
  int status = 0;
  std::string message{};
  std::optional<std::string> body = "";
  std::vector<std::pair<std::string, std::string>> initial_metadata{};
  std::vector<std::pair<std::string, std::string>> trailing_metadata{};
};

/// One request at the server. Owned by the server. [any thread]
class ServerCall {
 public:
  virtual ~ServerCall() = default;
  [[nodiscard]] virtual const std::string& method() const = 0;
  [[nodiscard]] virtual const std::string& request() const = 0;
  [[nodiscard]] virtual std::string metadata(const std::string& key) const = 0;
  /// As the client told it.
  [[nodiscard]] virtual std::chrono::system_clock::time_point deadline() const = 0;

  /// Ends the call.
  virtual void answer(Answer answer) = 0;
  /// Sends one message of a stream, after those that were sent before. `answer` without a body ends the stream behind
  /// them.
  virtual void send(std::string message) = 0;
  /// Messages that went to the client's side of the connection, as far as its flow control lets them.
  [[nodiscard]] virtual std::size_t sent() const = 0;
  /// Whether the call has ended for the server, be it because the client went away.
  [[nodiscard]] virtual bool over() const = 0;
};

/// A gRPC server whose every call is answered by a function, which may also keep the call and answer later. It is
/// driven by a completion queue and one thread, because a callback server would have the stalls that the client is
/// tested for.
class ScriptedServer {
 public:
  /// [server thread] Called when the first message has arrived.
  using Script = std::function<void(ServerCall&)>;

  /// Listens at "127.0.0.1:0", "[::1]:0", "unix:/path" or at a given port.
  explicit ScriptedServer(Script script, const std::string& listen = "127.0.0.1:0",
                          const std::optional<ServerTls>& tls = {});
  ~ScriptedServer();

  /// What a client dials.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] int port() const noexcept { return port_; }
  /// Ends every call and the server, as a process that stops does.
  void stop();

  /// Calls that have arrived.
  [[nodiscard]] std::size_t calls() const;
  /// The n-th call that arrived.
  [[nodiscard]] ServerCall& call(std::size_t index) const;
  /// Distinct TCP connections that carried a call.
  [[nodiscard]] std::size_t connections() const;

 private:
  class Call;
  struct Server;
  void accept();

  Script script_;
  std::unique_ptr<Server> server_;
  std::string address_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Call>> calls_;
  std::set<std::string> peers_;
};

/// Answers every call at once.
[[nodiscard]] ScriptedServer::Script always(Answer answer);
/// Takes calls and stays silent.
[[nodiscard]] ScriptedServer::Script silent();

}  // namespace norikv::test
