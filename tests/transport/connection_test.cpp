#include <chrono>
#include <set>
#include <string>

#include "support/catch.hpp"
#include "support/lateness.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"
#include "transport/test_client.hpp"

// Connections to nodes, the same for every transport.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;

constexpr int unavailable = 14;

TransportKind each_kind() { return GENERATE(from_range(transport_kinds())); }

TEST_CASE("a node is reached under every form of address") {
  for (const Form form : usable_forms()) {
    INFO(to_string(form));
    ScriptedServer server(always({}), listen_text(form));
    const std::string address = dial_text(form, server.address(), server.port());
    TestClient client(each_kind(), {address});
    CHECK(client.call(address).status == 0);
  }
}

TEST_CASE("several connections per node are several connections, used in turn") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()}, {.per_node = 3});
  for (int i = 0; i < 3; ++i) REQUIRE(client.call(server.address()).status == 0);
  CHECK(server.connections() == 3);
  for (int i = 0; i < 9; ++i) REQUIRE(client.call(server.address()).status == 0);
  CHECK(server.connections() == 3);
}

TEST_CASE("all calls share one connection by default") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()});
  for (int i = 0; i < 5; ++i) REQUIRE(client.call(server.address()).status == 0);
  CHECK(server.connections() == 1);
}

TEST_CASE("two clients of one process do not share a connection") {
  ScriptedServer server(always({}));
  TestClient one(each_kind(), {server.address()});
  TestClient two(each_kind(), {server.address()});
  REQUIRE(one.call(server.address()).status == 0);
  REQUIRE(two.call(server.address()).status == 0);
  CHECK(server.connections() == 2);
}

TEST_CASE("a node that comes back on its port is reached again within its back-off") {
  auto server = std::make_unique<ScriptedServer>(always({}));
  const std::string address = server->address();
  TestClient client(each_kind(), {address}, {.reconnect = {.base = 100ms, .cap = 300ms}});
  REQUIRE(client.call(address).status == 0);
  server.reset();
  REQUIRE(client.run_until([&] { return client.call(address).status == unavailable; }));

  server = std::make_unique<ScriptedServer>(always({}), address);
  const Lateness lateness;
  const TimePoint back = std::chrono::steady_clock::now();
  REQUIRE(client.run_until([&] { return client.call(address).status == 0; }));
  // The longest back-off with its jitter of a fifth, and as much again for a slow machine.
  CHECK(std::chrono::steady_clock::now() - back < 800ms + 10 * lateness.worst());
}

TEST_CASE("a node that is not there is told at once, not at the deadline") {
  RawPeer refusing(Form::ipv4);
  TestClient client(each_kind(), {refusing.address()});
  const TimePoint start = std::chrono::steady_clock::now();
  CHECK(client.call(refusing.address(), {.timeout = 10s}).status == unavailable);
  CHECK(std::chrono::steady_clock::now() - start < 2s);
}

TEST_CASE("a peer that accepts and stays silent is given up after the connect timeout") {
  RawPeer mute(Form::ipv4, [](RawConnection& connection) { connection.read_to_end(); });
  TestClient client(each_kind(), {mute.address()}, {.connect_timeout = 200ms});
  const TimePoint start = std::chrono::steady_clock::now();
  CHECK(client.call(mute.address(), {.timeout = 10s}).status == unavailable);
  CHECK(std::chrono::steady_clock::now() - start < 2s);
}

TEST_CASE("a node that is not retained loses its connection, and gets no more calls") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    (void)take_request(connection);
    connection.read_to_end();
  });
  TestClient client(each_kind(), {peer.address()});
  const core::CallId id =
      client.start(peer.address(), {.timeout = 200ms});  // ends by its deadline, which needs real time
  REQUIRE(client.run_until([&] { return peer.accepted() == 1; }));
  client.transport().retain({});
  CHECK(client.call(peer.address()).status == unavailable);
  CHECK_FALSE(client.replied(id));
  (void)client.reply_of(id);
  CHECK(client.run_until([&] { return peer.finished() == 1; }));
}

TEST_CASE("calls to a node that is not retained any more end as they would have") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  const core::CallId id = client.start(server.address());
  REQUIRE(client.run_until([&] { return server.calls() == 1; }));
  client.transport().retain({});
  server.call(0).answer({.body = "late"});
  CHECK(client.reply_of(id).body == "late");
}

TEST_CASE("a node that is retained again is reached again") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()});
  client.transport().retain({});
  client.transport().retain({server.address()});
  CHECK(client.call(server.address()).status == 0);
}

TEST_CASE("nodes that stay keep their connections") {
  ScriptedServer server(always({}));
  TestClient client(each_kind(), {server.address()});
  REQUIRE(client.call(server.address()).status == 0);
  client.transport().retain({"127.0.0.1:1", server.address()});
  REQUIRE(client.call(server.address()).status == 0);
  CHECK(server.connections() == 1);
}

TEST_CASE("a proxy of the environment is not followed unless it is asked for") {
  RawPeer proxy(Form::ipv4, [](RawConnection& connection) { connection.read_to_end(); });
  ScriptedServer server(always({}));
  REQUIRE(setenv("http_proxy", ("http://" + proxy.address()).c_str(), 1) == 0);
  const bool follow = GENERATE(false, true);
  {
    TestClient client(each_kind(), {"localhost:" + std::to_string(server.port())},
                      {.connect_timeout = 200ms, .use_http_proxy = follow});
    const int status = client.call("localhost:" + std::to_string(server.port()), {.timeout = 1s}).status;
    CHECK((status == 0) == !follow);
  }
  unsetenv("http_proxy");
  CHECK((proxy.accepted() > 0) == follow);
}

// A name that only the proxy could look up.
constexpr const char* far_node = "node.example:7447";

TEST_CASE("a proxy that is asked for makes a tunnel, and the node is talked to through it") {
  std::string asked;
  RawPeer proxy(Form::ipv4, [&](RawConnection& connection) {
    asked = connection.read_head();
    connection.write("HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n");
    answer_all(connection);
  });
  REQUIRE(setenv("http_proxy", ("http://me:se%63ret@" + proxy.address() + "/").c_str(), 1) == 0);
  {
    TestClient client(each_kind(), {far_node}, {.use_http_proxy = true});
    CHECK(client.call(far_node).status == 0);
  }
  unsetenv("http_proxy");
  CHECK(asked.starts_with("CONNECT node.example:7447 HTTP/1."));
  CHECK(asked.find("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n") != std::string::npos);
}

TEST_CASE("a proxy that refuses, or ends the connection, is no connection") {
  const bool speaks = GENERATE(false, true);
  RawPeer proxy(Form::ipv4, [speaks](RawConnection& connection) {
    static_cast<void>(connection.read_head());
    if (speaks) connection.write("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  });
  REQUIRE(setenv("http_proxy", ("http://" + proxy.address()).c_str(), 1) == 0);
  {
    const TransportKind kind = each_kind();
    TestClient client(kind, {far_node}, {.use_http_proxy = true});
    const core::Reply reply = client.call(far_node, {.timeout = 5s});
    CHECK(reply.status == unavailable);
    if (std::string_view{kind.name} == "h2") {
      INFO(reply.message);
      CHECK(reply.message.find("through the proxy " + proxy.address()) != std::string::npos);
      CHECK(reply.message.find(speaks ? "407" : "ended") != std::string::npos);
      CHECK(reply.sent == core::Sent::not_sent);
    }
  }
  unsetenv("http_proxy");
}

}  // namespace
}  // namespace norikv::test
