#include "support/session_script.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

TEST_CASE("A change of leaders is one event with the state before and after") {
  Script script{watched_nodes(1)};
  script.claims(0, {3, 7});
  REQUIRE(script.topology.size() == 1);
  const TopologyEvent& event = script.topology.front();
  CHECK(event.kind == EventKind::change);
  CHECK(event.before->leader_of(3) == nullptr);
  CHECK(event.after->leader_of(3)->address == address_of(0));
  CHECK(event.cause == "view of " + address_of(0));
  CHECK(event.nodes_changed == std::vector<std::string>{address_of(0)});
  REQUIRE(event.leaders_changed.size() == 2);
  CHECK(event.leaders_changed[0].shard == 3);
  CHECK(event.leaders_changed[1].shard == 7);
  CHECK(event.leaders_changed[0].source == LeaderSource::view);
}

TEST_CASE("A view that repeats itself is no event, but it is fresh") {
  Script script{watched_nodes(1)};
  script.claims(0, {3});
  script.wait(1s);
  script.claims(0, {3});
  CHECK(script.topology.size() == 1);
  CHECK(script.session().cluster()->nodes[0].last_view == script.now());
  CHECK(script.session().cluster()->generation == 1);
  CHECK(script.counters().views.value() == 2);
}

TEST_CASE("A leader that moves is one event for each node's news, and the events form a chain") {
  Script script{watched_nodes(2)};
  script.claims(0, {3});
  script.claims(1, {}, {3});
  script.claims(0, {}, {3});
  script.claims(1, {3});
  REQUIRE(script.topology.size() == 4);  // the script checks the chain
  CHECK(script.topology[2].leaders_changed.at(0).after.empty());
  CHECK(script.topology[3].leaders_changed.at(0).after == address_of(1));
  CHECK(script.counters().leader_changes.value() == 3);
}

TEST_CASE("State comes first, users last: who waited is on the wire before the event is delivered") {
  Script script{watched_nodes(1)};
  static_cast<void>(script.put(3));
  static_cast<void>(script.expect(a_get));
  const core::WatchId stream{1};
  script.session().on_view(stream, view_of(0, 1, {3}), script.now());
  bool put_started = false;
  for (const core::Action& action : script.session().take_actions()) {
    const auto* call = std::get_if<core::Call>(&action);
    put_started = put_started || (call != nullptr && call->method == a_put);
  }
  CHECK(put_started);
  CHECK_FALSE(script.session().deliveries().empty());
}

TEST_CASE("A stream that ends is lost, then tried again after a pause that it tells") {
  Script script{watched_nodes(1)};
  script.claims(0, {});
  script.connections.clear();
  script.end_stream(0, 14, "connection reset");
  REQUIRE(script.connections.size() == 2);
  CHECK(script.connections[0].state == ConnectionState::lost);
  CHECK(script.connections[0].detail == "connection reset");
  CHECK(script.connections[1].state == ConnectionState::backing_off);
  REQUIRE(script.connections[1].retry_in);
  const Duration pause = *script.connections[1].retry_in;
  CHECK(pause <= 100ms);
  CHECK_FALSE(script.streaming(0));
  script.wait(pause);
  CHECK(script.streaming(0));
  CHECK(script.connections.back().state == ConnectionState::connecting);
  CHECK(script.counters().stream_reconnects.value() == 1);
}

TEST_CASE("A stream that ends with OK is tried again too") {
  Script script{watched_nodes(1)};
  script.claims(0, {});
  script.end_stream(0, 0, "");
  script.wait(100ms);
  CHECK(script.streaming(0));
}

TEST_CASE("A node whose stream broke is suspect, and down when it can't be opened again") {
  Script script{watched_nodes(1)};
  script.claims(0, {});
  const auto health = [&] { return script.session().cluster()->nodes[0].health; };
  CHECK(health() == NodeHealth::up);
  script.end_stream(0);
  CHECK(health() == NodeHealth::suspect);
  script.wait(100ms);
  script.end_stream(0);
  CHECK(health() == NodeHealth::down);
  script.wait(10s);
  script.claims(0, {});
  CHECK(health() == NodeHealth::up);
}

TEST_CASE("A stream that stops speaking is silent after three seconds, and connected when it speaks again") {
  Script script{watched_nodes(1)};
  script.claims(0, {});
  script.wait(2999ms);
  script.claims(0, {});
  script.wait(2999ms);
  CHECK(script.connections.back().state == ConnectionState::connected);
  script.wait(1ms);
  CHECK(script.connections.back().state == ConnectionState::silent);
  CHECK(script.session().cluster()->nodes[0].health == NodeHealth::suspect);
  script.claims(0, {});
  CHECK(script.connections.back().state == ConnectionState::connected);
  CHECK(script.session().cluster()->nodes[0].health == NodeHealth::up);
}

TEST_CASE("A stream that never speaks is silent after three seconds") {
  Script script{watched_nodes(1)};
  script.wait(2999ms);
  CHECK(script.connections.back().state == ConnectionState::connecting);
  script.wait(1ms);
  CHECK(script.connections.back().state == ConnectionState::silent);
  CHECK(script.session().cluster()->nodes[0].health == NodeHealth::suspect);
  script.claims(0, {});
  CHECK(script.connections.back().state == ConnectionState::connected);
}

TEST_CASE("A silent stream gives way to a new one after a pause, and is silent until that speaks") {
  Script script{watched_nodes(1)};
  script.claims(0, {1});
  script.wait(3s);
  REQUIRE(script.connections.back().state == ConnectionState::silent);
  const auto told = script.connections.size();
  CHECK(script.counters().stream_reconnects.value() == 0);
  script.wait(100ms);
  CHECK(script.counters().stream_reconnects.value() == 1);
  REQUIRE(script.streaming(0));
  CHECK(script.open_streams() == 2);  // the old one has not come home
  script.end_cancelled_streams();
  script.wait(20s);
  CHECK(script.counters().stream_reconnects.value() > 3);
  CHECK(script.counters().stream_reconnects.value() < 8);
  CHECK(script.connections.size() == told);
  CHECK(script.leader(1) == 0);
  script.claims(0, {1});
  CHECK(script.connections.size() == told + 1);
  CHECK(script.connections.back().state == ConnectionState::connected);
  CHECK(script.session().cluster()->nodes[0].health == NodeHealth::up);
}

TEST_CASE("Streams that are to be opened anew move without a word of trouble") {
  Script script{watched_nodes(2)};
  script.claims(0, {1});
  script.claims(1, {2});
  const auto told = script.connections.size();
  script.reopen_streams();
  CHECK(script.open_streams() == 4);
  script.end_cancelled_streams();
  CHECK(script.open_streams() == 2);
  CHECK(script.leader(1) == 0);
  script.claims(0, {1});
  script.claims(1, {2});
  REQUIRE(script.connections.size() == told + 4);
  for (auto event = script.connections.begin() + static_cast<std::ptrdiff_t>(told); event != script.connections.end();
       ++event) {
    CHECK((event->state == ConnectionState::connecting || event->state == ConnectionState::connected));
  }
  for (const TopologyEvent& event : script.topology) {
    for (const NodeView& node : event.after->nodes)
      CHECK((node.health == NodeHealth::up || node.health == NodeHealth::unknown));
  }
  CHECK(script.leader(1) == 0);
  CHECK(script.leader(2) == 1);
}

TEST_CASE("A stream that waits after a failure is opened at once when streams are to be opened anew") {
  Script script{watched_nodes(1)};
  script.end_stream(0);
  REQUIRE_FALSE(script.streaming(0));
  script.reopen_streams();
  CHECK(script.streaming(0));
  script.wait(2s);
  CHECK(script.open_streams() == 1);
}

TEST_CASE("A node that refuses the stream alone stays up") {
  const int code = GENERATE(7, 9, 12, 16);
  Script script{watched_nodes(1)};
  lead(script, 0, 0);
  const auto health = [&] { return script.session().cluster()->nodes[0].health; };
  for (int i = 0; i < 4; ++i) {
    script.end_stream(0, code, "not for you");
    CHECK(health() == NodeHealth::up);
    script.wait(2s);
  }
  for (const TopologyEvent& event : script.topology) CHECK(event.after->nodes[0].health != NodeHealth::suspect);
}

TEST_CASE("A restarted node's claims of before are void unless it repeats them") {
  Script script{watched_nodes(1)};
  script.claims(0, {1, 2});
  script.wait(1s);
  script.end_stream(0);
  script.wait(100ms);
  script.show(0, view_of(0, 0, {2}));  // epochs begin again
  CHECK(script.leader(1) == -1);
  CHECK(script.leader(2) == 0);
  CHECK(script.session().cluster()->nodes[0].incarnation == 2);
}

TEST_CASE("A view with a shard beyond the configured number is a warning, once per stream") {
  Script script{watched_nodes(1)};
  script.claims(0, {3, 99});
  script.claims(0, {3, 99});
  REQUIRE(script.warnings.size() == 1);
  CHECK(script.warnings[0].kind == WarningKind::shard_count_mismatch);
  CHECK(script.warnings[0].node == address_of(0));
  CHECK(script.warnings[0].shard == 99);
  CHECK(script.leader(3) == 0);
}

TEST_CASE("A new subscriber is told the state of each stream") {
  Script script{watched_nodes(2)};
  script.claims(1, {});
  const auto states = script.session().connection_states();
  REQUIRE(states.size() == 2);
  CHECK(states[0].kind == EventKind::replay);
  CHECK(states[0].state == ConnectionState::connecting);
  CHECK(states[1].state == ConnectionState::connected);
}

TEST_CASE("Without topology streams leaders are known from answers") {
  Script script{nodes(2)};
  static_cast<void>(script.get(0));
  script.answer(script.expect(a_get, 0), missing());
  CHECK(script.leader(0) == 0);
  REQUIRE_FALSE(script.topology.empty());
  CHECK(script.topology.back().leaders_changed.at(0).source == LeaderSource::answer);
  CHECK(script.session().connection_states().empty());
}

TEST_CASE("A callback may submit, cancel and close") {
  Script script{watched_nodes(1)};
  script.claims(0, {0});
  const auto first = script.get(0);
  const auto other = script.get(0);
  Submitted second;
  script.when_told(first, [&] {
    second = script.get(0);
    script.cancel(other);
    script.close();
    script.cancel(second);
  });
  script.answer(script.expect(a_get), missing());
  CHECK(first.succeeded());
  CHECK(other.failed_with(ErrorCode::cancelled));
  CHECK(second.failed_with(ErrorCode::closed));
  CHECK(script.session().closed());
}
