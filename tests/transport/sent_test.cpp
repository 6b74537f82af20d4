#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"
#include "transport/test_client.hpp"

// What is known about a call that failed: was it sent? gRPC's answer hangs on `ClientContext::peer`, whose behaviour
// nobody promises. If a new gRPC makes one of these fail, `UnaryCall::sent` has to be thought through again, before a
// write is repeated that took effect. The h2 transport sees more, so that it may be more certain, never less.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;
using core::Sent;

constexpr int cancelled = 1;
constexpr int deadline_exceeded = 4;
constexpr int unavailable = 14;

constexpr int rst_stream = 3;
constexpr int goaway = 7;
const std::string goaway_of_all{"\0\0\0\0\0\0\0\0", 8};  // last stream 0, NO_ERROR
const std::string refused_stream{"\0\0\0\x07", 4};

TransportKind each_kind() { return GENERATE(from_range(transport_kinds())); }
bool is_grpc(const TransportKind& kind) { return std::string_view(kind.name) == "grpc"; }

// Checks one failure under every form of address, as the form decides what the peer is called.
void check_peer(const RawPeer::Script& script, int status, Sent over_grpc, Sent over_h2, CallSpec spec = {}) {
  const TransportKind kind = each_kind();
  const Sent sent = is_grpc(kind) ? over_grpc : over_h2;
  for (const Form form : usable_forms()) {
    INFO(kind.name << " " << to_string(form));
    RawPeer peer(form, script);
    TestClient client(kind, {peer.address()}, {.connect_timeout = 300ms});
    const core::Reply reply = client.call(peer.address(), spec);
    INFO(reply.message);
    CHECK(reply.status == status);
    CHECK(reply.sent == sent);
  }
}

TEST_CASE("sent: a refused connection is not sent") { check_peer({}, unavailable, Sent::not_sent, Sent::not_sent); }

TEST_CASE("sent: a connection that is closed at once is not sent") {
  check_peer([](RawConnection&) {}, unavailable, Sent::not_sent, Sent::not_sent);
}

TEST_CASE("sent: a connection that is closed before the peer's SETTINGS is not sent") {
  check_peer([](RawConnection& connection) { connection.read_until_frame(4); }, unavailable, Sent::not_sent,
             Sent::not_sent);
}

TEST_CASE("sent: a connection that is reset before the peer's SETTINGS is not sent") {
  check_peer(
      [](RawConnection& connection) {
        connection.read_until_frame(4);
        connection.reset();
      },
      unavailable, Sent::not_sent, Sent::not_sent);
}

TEST_CASE("sent: a peer that accepts and stays silent is not sent") {
  check_peer([](RawConnection& connection) { connection.read_to_end(); }, unavailable, Sent::not_sent, Sent::not_sent);
}

TEST_CASE("sent: a peer that speaks HTTP/1 is not sent") {
  check_peer(
      [](RawConnection& connection) {
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        connection.read_to_end();
      },
      unavailable, Sent::not_sent, Sent::not_sent);
}

TEST_CASE("sent: a connection that is closed after the request is unknown") {
  check_peer([](RawConnection& connection) { take_request(connection); }, unavailable, Sent::unknown, Sent::unknown);
}

TEST_CASE("sent: a connection that is reset after the request is unknown") {
  check_peer(
      [](RawConnection& connection) {
        take_request(connection);
        connection.reset();
      },
      unavailable, Sent::unknown, Sent::unknown);
}

TEST_CASE("sent: a name that does not resolve is not sent") {
  // Too long for DNS, so that the machine's resolver is not asked.
  const std::string address = std::string(70, 'x') + ":7447";
  TestClient client(each_kind(), {address});
  const core::Reply reply = client.call(address);
  INFO(reply.message);
  CHECK(reply.status == unavailable);
  CHECK(reply.sent == Sent::not_sent);
}

// gRPC then calls the target the peer, as if there had been no connection.
TEST_CASE("sent: a connection that is closed amid a large request is unknown") {
  check_peer(
      [](RawConnection& connection) {
        connection.write_frame(4, 0, 0);
        connection.read_until_frame(1);
      },
      unavailable, Sent::unknown, Sent::unknown, {.body = std::string(1024 * 1024, 'x')});
}

TEST_CASE("sent: GOAWAY after the request says that nothing was processed, which gRPC does not pass on") {
  check_peer(
      [](RawConnection& connection) {
        take_request(connection);
        connection.write_frame(goaway, 0, 0, goaway_of_all);
        connection.read_to_end();
      },
      unavailable, Sent::unknown, Sent::refused_unprocessed);
}

TEST_CASE("sent: GOAWAY and the end of the connection after the request say the same") {
  check_peer(
      [](RawConnection& connection) {
        take_request(connection);
        connection.write_frame(goaway, 0, 0, goaway_of_all);
      },
      unavailable, Sent::unknown, Sent::refused_unprocessed);
}

TEST_CASE("sent: REFUSED_STREAM says that nothing was processed, which gRPC does not pass on") {
  check_peer(
      [](RawConnection& connection) {
        take_request(connection);
        connection.write_frame(rst_stream, 0, 1, refused_stream);
        connection.read_to_end();
      },
      unavailable, Sent::unknown, Sent::refused_unprocessed);
}

TEST_CASE("sent: a deadline on a connection that never came to be is unknown to gRPC") {
  check_peer([](RawConnection& connection) { connection.read_to_end(); }, deadline_exceeded, Sent::unknown,
             Sent::not_sent, {.timeout = 50ms});
}

TEST_CASE("sent: a deadline after the request is unknown") {
  check_peer(
      [](RawConnection& connection) {
        take_request(connection);
        connection.read_to_end();
      },
      deadline_exceeded, Sent::unknown, Sent::unknown, {.timeout = 100ms});
}

// Checks one failure against a server that got the request.
void check_server(const std::function<void(TestClient&, ScriptedServer&, core::CallId)>& fail, int status, Sent sent) {
  const TransportKind kind = each_kind();
  for (const Form form : usable_forms()) {
    INFO(kind.name << " " << to_string(form));
    ScriptedServer server(silent(), listen_text(form));
    const std::string address = dial_text(form, server.address(), server.port());
    TestClient client(kind, {address});
    const core::CallId id = client.start(address);
    REQUIRE(client.run_until([&] { return server.calls() == 1; }));
    fail(client, server, id);
    const core::Reply reply = client.reply_of(id);
    CHECK(reply.status == status);
    CHECK(reply.sent == sent);
  }
}

TEST_CASE("sent: a server that stops with the call in flight is unknown") {
  check_server([](TestClient&, ScriptedServer& server, core::CallId) { server.stop(); }, unavailable, Sent::unknown);
}

TEST_CASE("sent: UNAVAILABLE that the server itself answers is unknown") {
  check_server([](TestClient&, ScriptedServer& server,
                  core::CallId) { server.call(0).answer({.status = unavailable, .body = std::nullopt}); },
               unavailable, Sent::unknown);
}

TEST_CASE("sent: a text that a server copied from gRPC's own does not count") {
  check_server(
      [](TestClient&, ScriptedServer& server, core::CallId) {
        server.call(0).answer(
            {.status = unavailable, .message = "failed to connect to all addresses", .body = std::nullopt});
      },
      unavailable, Sent::unknown);
}

TEST_CASE("sent: a call that is cancelled in flight is unknown") {
  check_server([](TestClient& client, ScriptedServer&, core::CallId id) { client.transport().cancel(id); }, cancelled,
               Sent::unknown);
}

TEST_CASE("sent: a call that is cancelled at once is unknown to gRPC") {
  RawPeer refusing(Form::ipv4);
  const TransportKind kind = each_kind();
  TestClient client(kind, {refusing.address()});
  const core::CallId id = client.start(refusing.address());
  client.transport().cancel(id);
  const core::Reply reply = client.reply_of(id);
  // The refusal of the connection may be faster.
  const Sent sent = is_grpc(kind) ? Sent::unknown : Sent::not_sent;
  CHECK(((reply.status == cancelled && reply.sent == sent) ||
         (reply.status == unavailable && reply.sent == Sent::not_sent)));
}

TEST_CASE("sent: calls after the server went are not sent") {
  const TransportKind kind = each_kind();
  for (const Form form : usable_forms()) {
    INFO(kind.name << " " << to_string(form));
    ScriptedServer server(always({}), listen_text(form));
    const std::string address = dial_text(form, server.address(), server.port());
    TestClient client(kind, {address});
    REQUIRE(client.call(address).status == 0);
    server.stop();
    // The end of the connection travels on its own: a call in front of it may still meet it.
    REQUIRE(client.run_until([&] { return client.call(address).sent == Sent::not_sent; }));
    const core::Reply reply = client.call(address);
    CHECK(reply.status == unavailable);
    CHECK(reply.sent == Sent::not_sent);
  }
}

}  // namespace
}  // namespace norikv::test
