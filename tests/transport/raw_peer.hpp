#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace norikv::test {

/// Where a peer listens; each is dialled by a target of another form.
enum class Form { ipv4, ipv6, name, unix_path };

[[nodiscard]] std::string_view to_string(Form form) noexcept;
/// Those that this machine can do.
[[nodiscard]] std::vector<Form> usable_forms();
/// What a server listens at to be dialled by this form; "127.0.0.1:0" for a name.
[[nodiscard]] std::string listen_text(Form form);
/// The address to dial for a server that got this port (unused with a path).
[[nodiscard]] std::string dial_text(Form form, const std::string& listening, int port);

/// One accepted connection of a raw peer. [its thread]
class RawConnection {
 public:
  explicit RawConnection(int fd) : fd_(fd) {}

  void write(std::string_view bytes);
  /// One HTTP/2 frame, payload included.
  void write_frame(int type, int flags, unsigned stream, std::string_view payload = {});
  /// Reads up to the end of an HTTP/1 head, and no further; what came before the end of the connection.
  std::string read_head();
  /// Reads a client's preface and frames until one of this type came whole (0 DATA, 1 HEADERS, 4 SETTINGS). False at
  /// the end of the connection.
  bool read_until_frame(int type);
  /// Of the frame that was read last.
  [[nodiscard]] const std::string& payload() const noexcept { return payload_; }
  [[nodiscard]] unsigned stream() const noexcept { return stream_; }
  /// Ends our side of the connection, and goes on reading.
  void end_writing();
  /// Reads until the client closes.
  void read_to_end();
  /// Closes with RST instead of FIN.
  void reset();

 private:
  bool read(std::size_t count, std::string& into);

  int fd_;
  bool preface_read_ = false;
  std::string payload_;
  unsigned stream_ = 0;
};

/// A peer that speaks byte by byte what a test tells it: accepts connections on loopback and runs the script on each.
class RawPeer {
 public:
  using Script = std::function<void(RawConnection&)>;

  /// Without a script it listens to nobody: connections are refused, and the port stays its own.
  explicit RawPeer(Form form, Script script = {});
  ~RawPeer();

  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  /// Connections accepted so far. [any thread]
  [[nodiscard]] int accepted() const noexcept { return accepted_; }
  /// Connections whose script has run to its end. [any thread]
  [[nodiscard]] int finished() const noexcept { return finished_; }

 private:
  void accept_all();

  std::string address_;
  std::string path_;
  Script script_;
  int fd_ = -1;
  std::atomic<int> accepted_{0};
  std::atomic<int> finished_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::set<int> open_;
  std::thread thread_;
};

/// HPACK without its tables: a block of headers.
[[nodiscard]] std::string header_block(const std::vector<std::pair<std::string, std::string>>& headers);
/// The whole answer to a request: an empty message, and OK.
void answer_ok(RawConnection& connection, unsigned stream);

/// The server's side of a new HTTP/2 connection, then a request up to its end.
bool take_request(RawConnection& connection);
/// A server's whole life with one request: takes it, answers it, and waits for the end.
void answer_all(RawConnection& connection);

}  // namespace norikv::test
