#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <norikv/version.hpp>

#include "support/catch.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"
#include "transport/test_client.hpp"

// Requests and their replies, the same for every transport.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;
using core::Reply;
using core::Sent;

// gRPC status codes.
constexpr int cancelled = 1;
constexpr int invalid_argument = 3;
constexpr int deadline_exceeded = 4;
constexpr int unavailable = 14;

TransportKind each_kind() { return GENERATE(from_range(transport_kinds())); }

Duration elapsed_since(TimePoint start) { return std::chrono::steady_clock::now() - start; }

TEST_CASE("a request reaches the server as it was encoded, its suffix behind it, and the reply comes back") {
  ScriptedServer server([](ServerCall& call) { call.answer({.body = call.request() + "!"}); });
  TestClient client(each_kind(), {server.address()});
  const Reply reply = client.call(server.address(), {.body = "hello ", .suffix = "world"});
  CHECK(reply.status == 0);
  CHECK(reply.body == "hello world!");
  CHECK(server.call(0).request() == "hello world");
}

TEST_CASE("each method goes to its own path") {
  ScriptedServer server([](ServerCall& call) { call.answer({.body = call.method()}); });
  TestClient client(each_kind(), {server.address()});
  for (const auto method : {wire::Method::put, wire::Method::get, wire::Method::remove})
    CHECK(client.call(server.address(), {.method = method}).body == wire::path(method));
}

TEST_CASE("empty requests and replies are messages too") {
  ScriptedServer server(always({.body = ""}));
  TestClient client(each_kind(), {server.address()});
  const Reply reply = client.call(server.address(), {.body = ""});
  CHECK(reply.status == 0);
  CHECK(reply.body == "");
  CHECK(server.call(0).request().empty());
}

TEST_CASE("a message of 1 MiB goes both ways unharmed") {
  ScriptedServer server([](ServerCall& call) { call.answer({.body = call.request()}); });
  TestClient client(each_kind(), {server.address()});
  std::string large(1024 * 1024, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 >> 3);
  const Reply reply = client.call(server.address(), {.body = large, .suffix = "end"});
  CHECK(reply.status == 0);
  CHECK((reply.body == large + "end"));
}

TEST_CASE("a large payload is shared with the transport instead of copied, and let go of after the reply") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  const auto payload = std::make_shared<const std::string>(1024 * 1024, 'x');
  core::Call call;
  call.address = server.address();
  call.payload = payload;
  call.deadline = std::chrono::steady_clock::now() + 10s;
  const core::CallId id = client.start(std::move(call));
  REQUIRE(client.run_until([&] { return server.calls() == 1; }));
  CHECK(payload.use_count() > 1);
  server.call(0).answer({});
  (void)client.reply_of(id);
  CHECK(client.run_until([&] { return payload.use_count() == 1; }));
}

TEST_CASE("a success without a message has no body") {
  ScriptedServer server(always({.body = std::nullopt}));
  TestClient client(each_kind(), {server.address()});
  const Reply reply = client.call(server.address());
  CHECK(reply.status == 0);
  CHECK_FALSE(reply.body.has_value());
}

TEST_CASE("a refusal carries the server's code and text, no body, and may have been carried out") {
  ScriptedServer server(always({.status = unavailable, .message = "NOT_LEADER", .body = std::nullopt}));
  TestClient client(each_kind(), {server.address()});
  const Reply reply = client.call(server.address());
  CHECK(reply.status == unavailable);
  CHECK(reply.message == "NOT_LEADER");
  CHECK_FALSE(reply.body.has_value());
  CHECK(reply.sent == Sent::unknown);
}

TEST_CASE("a body in front of a refusal is not passed on") {
  ScriptedServer server(always({.status = 13, .message = "broken", .body = "half"}));
  TestClient client(each_kind(), {server.address()});
  const Reply reply = client.call(server.address());
  CHECK(reply.status == 13);
  CHECK_FALSE(reply.body.has_value());
}

TEST_CASE("a status code that does not exist is no success") {
  ScriptedServer server(always({.status = 42, .message = "what", .body = "body"}));
  TestClient client(each_kind(), {server.address()});
  const Reply reply = client.call(server.address());
  CHECK((reply.status == 42 || reply.status == 2));
  CHECK(reply.sent == Sent::unknown);
  CHECK_FALSE(reply.body.has_value());
}

TEST_CASE("a long status text is cut to 1024 bytes") {
  ScriptedServer server(always({.status = 13, .message = std::string(3000, 'm'), .body = std::nullopt}));
  TestClient client(each_kind(), {server.address()});
  CHECK(client.call(server.address()).message == std::string(1024, 'm'));
}

TEST_CASE("the metadata that the core asks about is passed on, cut to 1024 bytes, and nothing else") {
  ScriptedServer server(
      always({.status = unavailable,
              .body = std::nullopt,
              .initial_metadata = {{"x-norikv-leader", "a:1"}, {"other", "x"}},
              .trailing_metadata = {
                  {"leader-hint", std::string(2000, 'h')}, {"grpc-retry-pushback-ms", "70"}, {"secret", "x"}}}));
  TestClient client(each_kind(), {server.address()});
  core::Metadata metadata = client.call(server.address()).metadata;
  std::sort(metadata.begin(), metadata.end());
  CHECK(metadata == core::Metadata{{"grpc-retry-pushback-ms", "70"},
                                   {"leader-hint", std::string(1024, 'h')},
                                   {"x-norikv-leader", "a:1"}});
}

TEST_CASE("a trailer of 64 KiB disturbs neither its call nor the connection") {
  ScriptedServer server(always({.body = "done", .trailing_metadata = {{"leader-hint", std::string(65536, 'x')}}}));
  TestClient client(each_kind(), {server.address()});
  for (int i = 0; i < 3; ++i) {
    const Reply reply = client.call(server.address());
    CHECK(reply.body == "done");
    CHECK(reply.metadata.empty());  // only of a failure
  }
  CHECK(server.connections() == 1);
}

TEST_CASE("a trailer beyond every limit may cost the connection, which is made anew") {
  ScriptedServer server([](ServerCall& call) {
    const std::size_t size = call.request() == "huge" ? 4'000'000 : 1;
    call.answer({.trailing_metadata = {{"leader-hint", std::string(size, 'x')}}});
  });
  TestClient client(each_kind(), {server.address()});
  const Reply reply = client.call(server.address(), {.body = "huge"});
  CHECK(reply.status != 0);
  CHECK(reply.sent == Sent::unknown);
  CHECK(client.run_until([&] { return client.call(server.address()).status == 0; }));
}

TEST_CASE("metadata of a call reaches the server") {
  ScriptedServer server([](ServerCall& call) { call.answer({.body = call.metadata("authorization")}); });
  TestClient client(each_kind(), {server.address()});
  CHECK(client.call(server.address(), {.metadata = {{"authorization", "Bearer x"}}}).body == "Bearer x");
}

TEST_CASE("metadata under a key that ends in -bin may be any bytes") {
  ScriptedServer server([](ServerCall& call) { call.answer({.body = call.metadata("own-bin")}); });
  TestClient client(each_kind(), {server.address()});
  for (const std::string& value : {std::string("\0\xff\n,", 4), std::string("a"), std::string("ab"), std::string()})
    CHECK(client.call(server.address(), {.metadata = {{"own-bin", value}}}).body == value);
}

TEST_CASE("metadata that HTTP/2 can't carry is refused before anything is sent") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()});
  const auto [key, value] =
      GENERATE(table<std::string, std::string>({{"Upper", "x"}, {"line", "a\nb"}, {"", "x"}, {"grpc-own", "x"}}));
  const Reply reply = client.call(server.address(), {.metadata = {{key, value}}});
  CHECK(reply.status == invalid_argument);
  CHECK(reply.sent == Sent::not_sent);
  CHECK(server.calls() == 0);
}

TEST_CASE("the server is told who calls") {
  ScriptedServer server([](ServerCall& call) { call.answer({.body = call.metadata("user-agent")}); });
  TestClient client(each_kind(), {server.address()});
  const Reply reply = client.call(server.address());
  CHECK(reply.body.value_or("").starts_with("norikv-cpp/" NORIKV_VERSION_STRING));
}

TEST_CASE("a call ends at its deadline when the server stays silent") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  const TimePoint start = std::chrono::steady_clock::now();
  const Reply reply = client.call(server.address(), {.timeout = 100ms});  // real time: it is what a deadline is about
  CHECK(reply.status == deadline_exceeded);
  CHECK(reply.sent == Sent::unknown);
  // The server counts too, and gRPC 1.51 does so in whole milliseconds of a clock of its own: 0.4 ms early was seen.
  CHECK(elapsed_since(start) >= 99ms);
  CHECK(elapsed_since(start) < 1s);
}

TEST_CASE("the server is told how long a call may take") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  const auto start = std::chrono::system_clock::now();
  const core::CallId id = client.start(server.address(), {.timeout = 100s});
  REQUIRE(client.run_until([&] { return server.calls() == 1; }));
  CHECK(server.call(0).deadline() > start + 99s);
  CHECK(server.call(0).deadline() < std::chrono::system_clock::now() + 101s);
  client.transport().cancel(id);
}

TEST_CASE("a crowd of calls whose time is up ends, and the server notices") {
  constexpr std::size_t crowd = 100;
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  std::vector<core::CallId> ids;
  for (std::size_t i = 0; i < crowd; ++i) ids.push_back(client.start(server.address(), {.timeout = 100s}));
  REQUIRE(client.run_until([&] { return server.calls() == crowd; }));
  const TimePoint late = std::chrono::steady_clock::now() + 101s;
  for (auto due = client.transport().next_deadline(); due && *due <= late; due = client.transport().next_deadline())
    client.transport().advance_to(late);
  for (const core::CallId id : ids) CHECK(client.reply_of(id).status == deadline_exceeded);
  CHECK(client.run_until([&] { return server.call(0).over() && server.call(crowd - 1).over(); }));
}

TEST_CASE("a deadline in the past still ends in a reply, and nothing is sent") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()});
  const Duration timeout = GENERATE(values<Duration>({-1h, -1ns, 0ns}));
  const Reply reply = client.call(server.address(), {.timeout = timeout});
  CHECK(reply.status == deadline_exceeded);
  CHECK(reply.sent == Sent::not_sent);
  REQUIRE(client.call(server.address()).status == 0);
  CHECK(server.calls() == 1);
}

TEST_CASE("a deadline that never comes is one") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()});
  core::Call call;
  call.address = server.address();
  call.payload = std::make_shared<const std::string>();
  call.deadline = TimePoint::max();
  CHECK(client.reply_of(client.start(std::move(call))).status == 0);
}

TEST_CASE("a call that is cancelled in flight ends at once, and the server notices") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  const core::CallId id = client.start(server.address());
  REQUIRE(client.run_until([&] { return server.calls() == 1; }));
  client.transport().cancel(id);
  const Reply reply = client.reply_of(id);
  CHECK(reply.status == cancelled);
  CHECK(reply.sent == Sent::unknown);
  CHECK(client.run_until([&] { return server.call(0).over(); }));
}

TEST_CASE("a call that is cancelled right after its start ends with a reply") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  const core::CallId id = client.start(server.address());
  client.transport().cancel(id);
  CHECK(client.reply_of(id).status == cancelled);
}

TEST_CASE("cancelling a call that has ended, or one that never was, does nothing") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()});
  const core::CallId id = client.start(server.address());
  (void)client.reply_of(id);
  client.transport().cancel(id);
  client.transport().cancel(core::CallId{12345});
  client.transport().cancel(core::WatchId{12345});
  CHECK(client.call(server.address()).status == 0);
  CHECK(client.replies.at(id).size() == 1);
}

TEST_CASE("a call to an address that is no node of this client ends with a reply, not sent") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()});
  const Reply reply = client.call("127.0.0.1:1");
  CHECK(reply.status == unavailable);
  CHECK(reply.sent == Sent::not_sent);
}

TEST_CASE("a reply beyond the largest accepted size is no success, and may have been carried out") {
  ScriptedServer server(always({.body = std::string(2000, 'x')}));
  TestClient client(each_kind(), {server.address()}, {.max_reply_size = 1000});
  const Reply reply = client.call(server.address());
  CHECK(reply.status != 0);
  CHECK(reply.sent == Sent::unknown);
}

TEST_CASE("a peer that does not speak gRPC is an unreachable one") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    connection.read_to_end();
  });
  TestClient client(each_kind(), {peer.address()}, {.connect_timeout = 200ms});
  CHECK(client.call(peer.address(), {.timeout = 5s}).status == unavailable);
}

TEST_CASE("a thousand calls in flight get one reply each, whatever the order of the answers") {
  ScriptedServer server([](ServerCall& call) { call.answer({.body = call.request()}); });
  TestClient client(each_kind(), {server.address()});
  std::map<core::CallId, std::string> sent;
  for (int i = 0; i < 1000; ++i) {
    const std::string body = "request " + std::to_string(i);
    sent.emplace(client.start(server.address(), {.body = body}), body);
  }
  for (const auto& [id, body] : sent) REQUIRE(client.reply_of(id).body == body);
}

TEST_CASE("a reply may start the next call") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()});
  int left = 20;
  client.on_anything = [&] {
    if (--left > 0) client.start(server.address());
  };
  client.start(server.address());
  CHECK(client.run_until([&] { return left == 0; }));
}

}  // namespace
}  // namespace norikv::test
