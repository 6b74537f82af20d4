#include "transport/grpc/keeper.hpp"

#include <chrono>

#include "support/catch.hpp"
#include "support/lateness.hpp"
#include "transport/scripted_server.hpp"
#include "transport/test_client.hpp"

// The heartbeat against the idle stall of older gRPC. These take real time, because gRPC's threads live in it.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;

const TransportKind& grpc_kind() { return transport_kinds().front(); }

TEST_CASE("heartbeats come at their interval while a transport exists, and stop with it") {
  if (!transport::needs_heartbeat()) return;
  {
    TestClient client(grpc_kind(), {}, {.heartbeat = 50ms});
    client.turn();
    const Lateness lateness;
    const std::uint64_t before = transport::heartbeats();
    const TimePoint start = std::chrono::steady_clock::now();
    REQUIRE(client.run_until([&] { return transport::heartbeats() == before + 6; }, 20s));
    const Duration took = std::chrono::steady_clock::now() - start;
    CHECK(took >= 250ms);
    CHECK(took < 900ms + 10 * lateness.worst());
  }
  const std::uint64_t at_close = transport::heartbeats();
  TestClient other(grpc_kind(), {}, {.heartbeat = 0ms});
  CHECK_FALSE(other.run_until([&] { return transport::heartbeats() != at_close; }, 200ms));
}

TEST_CASE("several transports share their heartbeats") {
  if (!transport::needs_heartbeat()) return;
  TestClient one(grpc_kind(), {}, {.heartbeat = 50ms});
  TestClient two(grpc_kind(), {}, {.heartbeat = 50ms});
  two.turn();
  const std::uint64_t before = transport::heartbeats();
  const TimePoint start = std::chrono::steady_clock::now();
  REQUIRE(one.run_until(
      [&] {
        two.turn();
        return transport::heartbeats() >= before + 5;
      },
      20s));
  CHECK(std::chrono::steady_clock::now() - start >= 200ms);
}

TEST_CASE("a transport without heartbeat does not ask to be woken") {
  TestClient client(grpc_kind(), {}, {.heartbeat = 0ms});
  client.turn();
  CHECK_FALSE(client.transport().next_deadline().has_value());
}

TEST_CASE("a transport closes with a heartbeat under way") {
  if (!transport::needs_heartbeat()) return;
  for (int i = 0; i < 100; ++i) {
    TestClient client(grpc_kind(), {}, {.heartbeat = 1ns});
    client.turn();
    const std::uint64_t before = transport::heartbeats();
    client.transport().advance_to(std::chrono::steady_clock::now());
    REQUIRE(transport::heartbeats() == before + 1);
    client.close();
  }
}

}  // namespace
}  // namespace norikv::test
