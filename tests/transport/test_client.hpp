#pragma once

#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <norikv/options.hpp>

#include "core/transport.hpp"
#include "loop/event_loop.hpp"

namespace norikv::test {

/// One transport under test: the same cases run for all of them.
struct TransportKind {
  const char* name;
  std::unique_ptr<core::Transport> (*make)(loop::EventLoop&, core::TransportSink&, const ConnectionOptions&,
                                           const std::vector<std::string>&, const std::optional<core::TlsMaterial>&);
};

[[nodiscard]] const std::vector<TransportKind>& transport_kinds();

/// What a call needs that is not always the same.
struct CallSpec {
  std::string body = "request";
  std::string suffix{};
  Duration timeout = std::chrono::seconds{10};
  core::Metadata metadata{};
  wire::Method method = wire::Method::put;
};

/// A transport on a uv loop of its own, and everything that it reports. Its destructor closes both and ends the process
/// if a call or a stream did not end exactly once, or if the loop does not close cleanly.
class TestClient final : public core::TransportSink, public loop::TurnHandler {
 public:
  TestClient(const TransportKind& kind, std::vector<std::string> addresses, ConnectionOptions options = {},
             const std::optional<core::TlsMaterial>& tls = {});
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  core::CallId start(const std::string& address, CallSpec spec = {});
  core::CallId start(core::Call call);
  core::WatchId watch(const std::string& address, const core::Metadata& metadata = {});
  [[nodiscard]] core::Transport& transport() noexcept { return *transport_; }

  /// Turns the loop until the condition holds. False if it did not within the limit.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition, Duration limit = std::chrono::seconds{10});
  /// Turns the loop once without waiting.
  void turn() { uv_run(&loop_, UV_RUN_NOWAIT); }

  /// Runs the loop as its owner does, until nothing holds it. False if something did for the whole time.
  [[nodiscard]] bool runs_out(Duration limit = std::chrono::seconds{10});

  /// Waits for a reply.
  core::Reply reply_of(core::CallId id);
  core::Reply call(const std::string& address, CallSpec spec = {}) { return reply_of(start(address, std::move(spec))); }
  core::StreamEnd end_of(core::WatchId id);

  [[nodiscard]] bool replied(core::CallId id) const { return !replies.at(id).empty(); }
  [[nodiscard]] bool ended(core::WatchId id) const { return !ends.at(id).empty(); }

  /// Calls `close` of the transport; then it, the loop and its handles go as they end.
  void begin_close();
  [[nodiscard]] bool closed() const noexcept { return closed_; }
  void close();

  std::map<core::CallId, std::vector<core::Reply>> replies;
  std::map<core::WatchId, std::vector<core::StreamEnd>> ends;
  std::map<core::WatchId, std::vector<wire::LeaderView>> views;
  /// Called in `on_view` and `on_reply`.
  std::function<void()> on_anything;

 private:
  void on_reply(core::Reply reply) override;
  void on_view(core::WatchId id, wire::LeaderView view) override;
  void on_stream_end(core::StreamEnd end) override;
  void on_turn() override;
  void check_ends() const;

  uv_loop_t loop_{};
  std::unique_ptr<loop::EventLoop> events_;
  std::unique_ptr<core::Transport> transport_;
  std::uint64_t next_id_ = 1;
  bool inside_transport_ = false;
  bool closing_ = false;
  bool closed_ = false;
  bool loop_closed_ = false;
};

}  // namespace norikv::test
