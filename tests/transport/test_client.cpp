#include "transport/test_client.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "transport/grpc/grpc_transport.hpp"
#ifdef NORIKV_WITH_H2
#include "transport/h2/h2_transport.hpp"
#endif

namespace norikv::test {
namespace {

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "transport test: %s\n", what);
  std::abort();
}

void require(bool holds, const char* otherwise) {
  if (!holds) fail(otherwise);
}

}  // namespace

const std::vector<TransportKind>& transport_kinds() {
  static const std::vector<TransportKind> kinds{
      {"grpc", &transport::make_grpc_transport},
#ifdef NORIKV_WITH_H2
      {"h2", &transport::make_h2_transport},
#endif
  };
  return kinds;
}

TestClient::TestClient(const TransportKind& kind, std::vector<std::string> addresses, ConnectionOptions options,
                       const std::optional<core::TlsMaterial>& tls) {
  uv_loop_init(&loop_);
  int error = 0;
  events_ = loop::EventLoop::create(&loop_, *this, error);
  require(events_ != nullptr, "no event loop");
  transport_ = kind.make(*events_, *this, options, addresses, tls);
}

TestClient::~TestClient() {
  close();
  check_ends();
}

core::CallId TestClient::start(const std::string& address, CallSpec spec) {
  core::Call call;
  call.address = address;
  call.method = spec.method;
  call.payload = std::make_shared<const std::string>(std::move(spec.body));
  call.suffix = std::move(spec.suffix);
  call.deadline = std::chrono::steady_clock::now() + spec.timeout;
  call.metadata = std::move(spec.metadata);
  return start(std::move(call));
}

core::CallId TestClient::start(core::Call call) {
  const core::CallId id{next_id_++};
  call.id = id;
  replies[id];
  inside_transport_ = true;
  transport_->start(std::move(call));
  inside_transport_ = false;
  events_->set_timer(transport_->next_deadline());  // as at the end of a client's turn
  return id;
}

core::WatchId TestClient::watch(const std::string& address, const core::Metadata& metadata) {
  const core::WatchId id{next_id_++};
  ends[id];
  views[id];
  inside_transport_ = true;
  transport_->watch(id, address, metadata);
  inside_transport_ = false;
  events_->set_timer(transport_->next_deadline());
  return id;
}

bool TestClient::run_until(const std::function<bool()>& condition, Duration limit) {
  // The tick is for conditions that other threads make true.
  uv_timer_t tick;
  uv_timer_init(&loop_, &tick);
  uv_timer_start(
      &tick, [](uv_timer_t*) {}, 1, 1);
  const TimePoint end = std::chrono::steady_clock::now() + limit;
  bool holds = condition();
  while (!holds && std::chrono::steady_clock::now() < end) {
    uv_run(&loop_, UV_RUN_ONCE);
    holds = condition();
  }
  bool ticking = true;
  tick.data = &ticking;
  uv_close(reinterpret_cast<uv_handle_t*>(&tick),
           [](uv_handle_t* handle) { *static_cast<bool*>(handle->data) = false; });
  while (ticking) uv_run(&loop_, UV_RUN_NOWAIT);
  return holds;
}

bool TestClient::runs_out(Duration limit) {
  uv_timer_t guard;
  uv_timer_init(&loop_, &guard);
  uv_timer_start(
      &guard, [](uv_timer_t* fired) { uv_stop(fired->loop); },
      static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(limit).count()), 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(&guard));
  const bool held = uv_run(&loop_, UV_RUN_DEFAULT) != 0;
  bool open = true;
  guard.data = &open;
  uv_close(reinterpret_cast<uv_handle_t*>(&guard),
           [](uv_handle_t* handle) { *static_cast<bool*>(handle->data) = false; });
  while (open) uv_run(&loop_, UV_RUN_NOWAIT);
  return !held;
}

core::Reply TestClient::reply_of(core::CallId id) {
  require(run_until([&] { return replied(id); }), "a call got no reply");
  return replies.at(id).front();
}

core::StreamEnd TestClient::end_of(core::WatchId id) {
  require(run_until([&] { return ended(id); }), "a stream got no end");
  return ends.at(id).front();
}

void TestClient::begin_close() {
  require(!std::exchange(closing_, true), "closed twice");
  inside_transport_ = true;
  transport_->close([this] {
    require(!inside_transport_, "done ran inside close");
    check_ends();
    transport_.reset();
    events_->close([this] {
      events_.reset();
      closed_ = true;
    });
  });
  inside_transport_ = false;
}

void TestClient::close() {
  if (std::exchange(loop_closed_, true)) return;
  if (!closing_) begin_close();
  require(run_until([this] { return closed_; }), "a transport did not close");
  require(uv_loop_close(&loop_) == 0, "handles are left in the loop");
}

void TestClient::on_reply(core::Reply reply) {
  require(!inside_transport_, "a reply came from inside a method of the transport");
  replies.at(reply.id).push_back(std::move(reply));
  if (on_anything) on_anything();
}

void TestClient::on_view(core::WatchId id, wire::LeaderView view) {
  require(!inside_transport_, "a view came from inside a method of the transport");
  require(ends.at(id).empty(), "a view came after the end of its stream");
  views.at(id).push_back(std::move(view));
  if (on_anything) on_anything();
}

void TestClient::on_stream_end(core::StreamEnd end) {
  require(!inside_transport_, "a stream's end came from inside a method of the transport");
  ends.at(end.id).push_back(std::move(end));
  if (on_anything) on_anything();
}

void TestClient::on_turn() {
  if (transport_ == nullptr) return;
  transport_->advance_to(std::chrono::steady_clock::now());
  events_->set_timer(transport_->next_deadline());
}

void TestClient::check_ends() const {
  for (const auto& [id, got] : replies) require(got.size() == 1, "a call has not exactly one reply");
  for (const auto& [id, got] : ends) require(got.size() == 1, "a stream has not exactly one end");
}

}  // namespace norikv::test

// c-ares, or how gRPC 1.51 uses it, loses ten bytes whenever "localhost" is resolved.
extern "C" const char* __lsan_default_suppressions() { return "leak:libcares.so\n"; }  // NOLINT
