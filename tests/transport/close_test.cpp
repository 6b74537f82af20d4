#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "support/catch.hpp"
#include "support/resources.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"
#include "transport/test_client.hpp"

// Closing, the same for every transport. That each call and stream ends exactly once, that `done` comes last and in a
// later turn, and that the loop closes cleanly is checked by `TestClient` in every test.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;

TransportKind each_kind() { return GENERATE(from_range(transport_kinds())); }

const std::string a_view = "\x08\x01";

// Answers some calls, keeps others, refuses others; streams get one view after the other for every further call.
ScriptedServer::Script busy() {
  return [](ServerCall& call) {
    if (call.method().ends_with("WatchCluster")) {
      for (int i = 0; i < 20; ++i) call.send(a_view);
    } else if (call.request() == "answer") {
      call.answer({});
    } else if (call.request() == "refuse") {
      call.answer({.status = 14, .message = "NOT_LEADER", .body = std::nullopt});
    }
  };
}

TEST_CASE("a transport that was never used closes") {
  TestClient client(each_kind(), {"127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/nowhere"});
  client.close();
  CHECK(client.closed());
}

TEST_CASE("close cancels what is in flight") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  const core::CallId call = client.start(server.address());
  const core::WatchId stream = client.watch(server.address());
  REQUIRE(client.run_until([&] { return server.calls() == 2; }));
  client.close();
  CHECK(client.replies.at(call).front().status == 1);
  CHECK(client.ends.at(stream).front().status == 1);
}

TEST_CASE("close works from inside a reply, a view and an end") {
  ScriptedServer server(busy());
  TestClient client(each_kind(), {server.address()});
  client.on_anything = [&] {
    client.on_anything = nullptr;
    client.begin_close();
  };
  const int first = GENERATE(0, 1, 2);
  if (first == 0) client.start(server.address(), {.body = "answer"});
  if (first == 1) client.watch(server.address());
  if (first == 2) client.watch("127.0.0.1:1");
  client.start(server.address(), {.body = "keep"});
  CHECK(client.run_until([&] { return client.closed(); }));
}

TEST_CASE("a transport closes after every number of turns of a busy scenario") {
  ScriptedServer server(busy());
  for (int turns = 0; turns < 300; ++turns) {
    TestClient client(each_kind(), {server.address()}, {.per_node = 2});
    client.watch(server.address());
    client.watch("127.0.0.1:1");
    for (const char* body : {"answer", "refuse", "keep", "answer"}) client.start(server.address(), {.body = body});
    client.start(server.address(), {.body = "keep", .timeout = std::chrono::microseconds{turns * 20}});
    for (int turn = 0; turn < turns; ++turn) client.turn();
    client.close();
  }
}

TEST_CASE("a transport closes after every event of a busy scenario") {
  ScriptedServer server(busy());
  // 20 views, the ends of 2 streams, 5 replies; close comes after the n-th, whichever it is.
  for (int round = 0; round < 200; ++round) {
    TestClient client(each_kind(), {server.address()});
    int events_left = round % 25;
    client.on_anything = [&] {
      if (events_left-- == 0) client.begin_close();
    };
    client.watch(server.address());
    client.watch("127.0.0.1:1");
    for (const char* body : {"answer", "refuse", "answer", "refuse", "keep"})
      client.start(server.address(), {.body = body});
    REQUIRE(client.run_until([&] { return client.closed(); }));
  }
}

TEST_CASE("a transport closes while it connects to a peer that stays silent") {
  RawPeer mute(Form::ipv4, [](RawConnection& connection) { connection.read_to_end(); });
  for (int round = 0; round < 20; ++round) {
    TestClient client(each_kind(), {mute.address()});
    client.start(mute.address());
    client.watch(mute.address());
    if (round % 2 == 1) REQUIRE(client.run_until([&] { return mute.accepted() > round / 2; }));
    client.close();
  }
}

// Without src/transport/grpc/retiring.cpp gRPC 1.51 keeps the connection, and the peer waits for its end in vain.
TEST_CASE("a connection that is made after its transport has closed is given back") {
  std::atomic<bool> asked{false};
  std::atomic<bool> gone{false};
  RawPeer late(Form::ipv4, [&](RawConnection& connection) {
    asked = connection.read_until_frame(4);
    for (int tries = 0; tries < 10'000 && !gone; ++tries) std::this_thread::sleep_for(1ms);
    connection.write_frame(4, 0, 0);  // SETTINGS
    connection.read_to_end();
  });
  {
    TestClient client(each_kind(), {late.address()});
    client.start(late.address());
    REQUIRE(client.run_until([&] { return asked.load(); }));
    client.close();
  }
  gone = true;
  for (int tries = 0; tries < 1000 && late.finished() < 1; ++tries) std::this_thread::sleep_for(10ms);
  CHECK(late.finished() == 1);
}

TEST_CASE("threads and descriptors are back after fifty transports that came and went") {
  const auto cycles = [](int count) {
    ScriptedServer server(busy());
    for (int i = 0; i < count; ++i) {
      TestClient client(each_kind(), {server.address()}, {.per_node = 2});
      const core::WatchId stream = client.watch(server.address());
      CHECK(client.call(server.address(), {.body = "answer"}).status == 0);
      CHECK(client.run_until([&] { return !client.views.at(stream).empty(); }));
    }
  };
  TestClient idle(each_kind(), {});
  cycles(10);
  // Real time: the library below ends its spare threads a little later, and nothing tells when.
  (void)idle.run_until([] { return false; }, 200ms);
  const std::ptrdiff_t threads_before = threads();
  const std::ptrdiff_t descriptors_before = descriptors();
  cycles(50);
  CHECK(idle.run_until([&] { return threads() <= threads_before; }));
  CHECK(idle.run_until([&] { return descriptors() <= descriptors_before; }));
}

}  // namespace
}  // namespace norikv::test
