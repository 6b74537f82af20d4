#include <chrono>
#include <string>

#include "support/catch.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"
#include "transport/test_client.hpp"

// Topology streams, the same for every transport.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;

constexpr int cancelled = 1;
constexpr int internal = 13;
constexpr int unavailable = 14;

TransportKind each_kind() { return GENERATE(from_range(transport_kinds())); }

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes += static_cast<char>(value);
}

// A ClusterView of this epoch, with a node whose id is so long.
std::string view_bytes(std::uint64_t epoch, std::size_t padding = 0) {
  const std::string id = '\x0a' + varint(padding) + std::string(padding, 'n');
  return '\x08' + varint(epoch) + '\x12' + varint(id.size()) + id;
}

std::vector<std::uint64_t> epochs(const std::vector<wire::LeaderView>& views) {
  std::vector<std::uint64_t> epochs;
  for (const wire::LeaderView& view : views) epochs.push_back(view.epoch);
  return epochs;
}

TEST_CASE("views arrive in the order in which they were sent") {
  ScriptedServer server([](ServerCall& call) {
    for (std::uint64_t epoch = 1; epoch <= 100; ++epoch) call.send(view_bytes(epoch));
  });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  REQUIRE(client.run_until([&] { return client.views.at(id).size() == 100; }));
  std::vector<std::uint64_t> expected;
  for (std::uint64_t epoch = 1; epoch <= 100; ++epoch) expected.push_back(epoch);
  CHECK(epochs(client.views.at(id)) == expected);
  CHECK(server.call(0).method() == "/norikv.v1.Meta/WatchCluster");
}

TEST_CASE("a view that comes long after the one before is passed on when it comes") {
  ScriptedServer server([](ServerCall& call) { call.send(view_bytes(1)); });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  REQUIRE(client.run_until([&] { return client.views.at(id).size() == 1; }));
  server.call(0).send(view_bytes(2));
  CHECK(client.run_until([&] { return client.views.at(id).size() == 2; }));
}

TEST_CASE("a stream that the server ends well ends with OK, behind its views") {
  ScriptedServer server([](ServerCall& call) {
    call.send(view_bytes(1));
    call.send(view_bytes(2));
    call.answer({.body = std::nullopt});
  });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  CHECK(client.end_of(id).status == 0);
  CHECK(epochs(client.views.at(id)) == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("a stream that the server refuses ends with its code and text") {
  ScriptedServer server(always({.status = internal, .message = "Cluster view not available", .body = std::nullopt}));
  TestClient client(each_kind(), {server.address()});
  const core::StreamEnd end = client.end_of(client.watch(server.address()));
  CHECK(end.status == internal);
  CHECK(end.message == "Cluster view not available");
}

TEST_CASE("a message that is no view ends the stream with INTERNAL, and the server notices") {
  ScriptedServer server([](ServerCall& call) {
    call.send(view_bytes(1));
    call.send("\xff\xff garbage");
    call.send(view_bytes(3));
  });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  CHECK(client.end_of(id).status == internal);
  CHECK(epochs(client.views.at(id)) == std::vector<std::uint64_t>{1});
  CHECK(client.run_until([&] { return server.call(0).over(); }));
}

TEST_CASE("a stream to a node that is not there ends with UNAVAILABLE") {
  RawPeer refusing(Form::ipv4);
  TestClient client(each_kind(), {refusing.address()});
  CHECK(client.end_of(client.watch(refusing.address())).status == unavailable);
}

TEST_CASE("a stream to an address that is no node of this client ends with UNAVAILABLE") {
  TestClient client(each_kind(), {});
  CHECK(client.end_of(client.watch("127.0.0.1:1")).status == unavailable);
}

TEST_CASE("a stream ends when its server stops") {
  ScriptedServer server([](ServerCall& call) { call.send(view_bytes(1)); });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  REQUIRE(client.run_until([&] { return client.views.at(id).size() == 1; }));
  server.stop();
  CHECK(client.end_of(id).status != 0);
}

TEST_CASE("a stream can be cancelled right after its start") {
  ScriptedServer server([](ServerCall& call) { call.send(view_bytes(1)); });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  client.transport().cancel(id);
  CHECK(client.end_of(id).status == cancelled);
  CHECK(client.views.at(id).empty());
}

TEST_CASE("a stream can be cancelled while it waits for a view") {
  ScriptedServer server([](ServerCall& call) { call.send(view_bytes(1)); });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  REQUIRE(client.run_until([&] { return client.views.at(id).size() == 1; }));
  client.transport().cancel(id);
  CHECK(client.end_of(id).status == cancelled);
  CHECK(client.run_until([&] { return server.call(0).over(); }));
}

TEST_CASE("a stream that is cancelled from inside a view says nothing more but its end") {
  ScriptedServer server([](ServerCall& call) {
    for (std::uint64_t epoch = 1; epoch <= 100; ++epoch) call.send(view_bytes(epoch));
  });
  TestClient client(each_kind(), {server.address()});
  core::WatchId id{};
  client.on_anything = [&] {
    if (client.views.at(id).size() == 3) client.transport().cancel(id);
  };
  id = client.watch(server.address());
  CHECK(client.end_of(id).status == cancelled);
  CHECK(client.views.at(id).size() == 3);
}

TEST_CASE("a stream that is cancelled twice, or after its end, ends once") {
  ScriptedServer server(silent());
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  client.transport().cancel(id);
  client.transport().cancel(id);
  (void)client.end_of(id);
  client.transport().cancel(id);
  client.turn();
  CHECK(client.ends.at(id).size() == 1);
}

TEST_CASE("a client that consumes slowly slows the server down instead of piling up views") {
  // 40 MB. What may be under way are the buffers of the two sockets and one flow control window.
  constexpr std::size_t views = 400;
  ScriptedServer server([](ServerCall& call) {
    for (std::uint64_t epoch = 1; epoch <= views; ++epoch) call.send(view_bytes(epoch, 100'000));
  });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  REQUIRE(client.run_until([&] { return client.views.at(id).size() == 1; }));

  // The loop stands still. Real time: that the server makes no progress any more shows only after a while.
  std::size_t sent = 0;
  for (std::size_t before = views + 1; before != sent;) {
    before = sent;
    std::this_thread::sleep_for(150ms);
    sent = server.call(0).sent();
  }
  CHECK(sent < views / 2);

  REQUIRE(client.run_until([&] { return client.views.at(id).size() == views; }));
  CHECK(client.views.at(id).back().epoch == views);
}

TEST_CASE("views that take several turns to decode keep their order, and come before the end of their stream") {
  constexpr std::uint32_t shards = 65'536;
  const std::string large = [] {
    const std::string replica = std::string{"\x12\x08\x0a\x04"} + "node" + "\x10\x01";
    std::string bytes;
    for (std::uint32_t id = 0; id < shards; ++id) {
      const std::string shard = '\x08' + varint(id) + replica;
      bytes += '\x1a' + varint(shard.size()) + shard;
    }
    return bytes;
  }();
  ScriptedServer server([&](ServerCall& call) {
    for (std::uint64_t epoch = 1; epoch <= 6; epoch += 2) {
      call.send(view_bytes(epoch) + large);
      call.send(view_bytes(epoch + 1));
    }
    call.answer({.body = std::nullopt});
  });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  CHECK(client.end_of(id).status == 0);
  CHECK(epochs(client.views.at(id)) == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6});
  CHECK(client.views.at(id)[4].shards.size() == shards);
}

TEST_CASE("a stream that is cancelled amid a view that takes several turns ends without it") {
  ScriptedServer server([&](ServerCall& call) {
    std::string bytes;
    for (int node = 0; node < 1'000'000; ++node) bytes += std::string{"\x12\x02\x0a\x00", 4};
    call.send(view_bytes(1));
    call.send(bytes);
    call.answer({.body = std::nullopt});
  });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  REQUIRE(client.run_until([&] { return !client.views.at(id).empty(); }));
  client.transport().cancel(id);
  (void)client.end_of(id);
  CHECK(client.views.at(id).size() == 1);
}

TEST_CASE("a view of several megabytes arrives whole") {
  ScriptedServer server([](ServerCall& call) { call.send(view_bytes(7, 5'000'000)); });
  TestClient client(each_kind(), {server.address()});
  const core::WatchId id = client.watch(server.address());
  REQUIRE(client.run_until([&] { return client.views.at(id).size() == 1; }));
  CHECK(client.views.at(id).front().nodes.at(0).id.size() == 5'000'000);
}

TEST_CASE("streams and calls to several nodes keep apart") {
  ScriptedServer one([](ServerCall& call) { call.send(view_bytes(1)); });
  ScriptedServer two([](ServerCall& call) { call.send(view_bytes(2)); });
  TestClient client(each_kind(), {one.address(), two.address()});
  const core::WatchId first = client.watch(one.address());
  const core::WatchId second = client.watch(two.address());
  REQUIRE(client.run_until([&] { return !client.views.at(first).empty() && !client.views.at(second).empty(); }));
  CHECK(client.views.at(first).front().epoch == 1);
  CHECK(client.views.at(second).front().epoch == 2);
}

}  // namespace
}  // namespace norikv::test
