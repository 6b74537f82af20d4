#include "support/session_script.hpp"

using namespace norikv;
using namespace norikv::test;
using namespace std::chrono_literals;

// Writes that look at their key first: absent, a remove on condition, update.
namespace {

using Kind = core::Conditional::Kind;

Answer mismatch() { return status(9, "Version mismatch: expected term=0 index=1, got term=0 index=2"); }

/// One node that leads shard 4.
struct World {
  explicit World(ClientOptions options = nodes(1)) : script(options) {
    static_cast<void>(script.get(4));
    script.answer(script.expect(a_get), missing());
  }
  Script script;
};

// The script names keys after operations.
std::string key_of(const Submitted& operation) { return std::to_string(static_cast<std::uint64_t>(operation.id())); }

Change append_x(const std::optional<Entry>& entry) { return Change::store((entry ? entry->value : "") + "x"); }

}  // namespace

TEST_CASE("A put that wants its key absent reads first and then writes") {
  World world;
  Script& script = world.script;
  const auto put = script.put(4, {.look_first = Kind::absent});
  script.answer(script.expect(a_get), missing());
  script.answer(script.expect(a_put), written(7));
  CHECK(put.succeeded());
  CHECK(put.version() == Version{0, 7});
  CHECK(script.session().held().keys == 0);
}

TEST_CASE("A put that finds its key there writes nothing and tells the version") {
  World world;
  Script& script = world.script;
  const auto put = script.put(4, {.look_first = Kind::absent});
  script.answer(script.expect(a_get), found("other", 9));
  CHECK(script.quiet());
  REQUIRE(put.failed_with(ErrorCode::precondition_failed));
  CHECK_FALSE(put.error().maybe_applied);
  REQUIRE(put.error().mismatch);
  CHECK(put.error().mismatch->actual == Version{0, 9});
}

TEST_CASE("The lane is held from the look to the answer of the write") {
  World world;
  Script& script = world.script;
  static_cast<void>(script.put(4, {.look_first = Kind::absent}));
  const auto other = script.put(4);
  script.answer(script.expect(a_get), missing());
  const auto write = script.expect(a_put);
  CHECK_FALSE(write.is_about(other));
  CHECK(script.quiet());
  script.answer(write, written(1));
  CHECK(script.expect(a_put).is_about(other));
}

TEST_CASE("A write that was refused as not leader looks again before it writes") {
  World world{nodes(2)};
  Script& script = world.script;
  const auto put = script.put(4, {.look_first = Kind::absent});
  script.answer(script.expect(a_get), missing());
  script.answer(script.expect(a_put), not_leader());
  // Meanwhile somebody wrote the key at the new leader.
  while (put.pending()) {
    const auto look = script.expect(a_get);
    script.answer(look, look.node == 1 ? found("other", 3) : not_leader());
  }
  CHECK(put.failed_with(ErrorCode::precondition_failed));
}

TEST_CASE("A write whose outcome is unknown does not look again") {
  World world;
  Script& script = world.script;
  const auto put = script.put(4, {.look_first = Kind::absent});
  script.answer(script.expect(a_get), missing());
  script.answer(script.expect(a_put), lost());
  REQUIRE_FALSE(put.pending());
  CHECK(put.error().maybe_applied);
}

TEST_CASE("A cancelled look changed nothing, and the lane and the key are free") {
  World world;
  Script& script = world.script;
  const auto put = script.put(4, {.look_first = Kind::absent});
  const auto look = script.expect(a_get);
  script.cancel(put);
  CHECK_FALSE(put.error().maybe_applied);
  CHECK(script.session().held().keys == 0);
  const auto next = script.put(4);
  CHECK(script.expect(a_put).is_about(next));
  script.answer(look, called_off());
}

TEST_CASE("A remove on condition compares before it removes") {
  World world;
  Script& script = world.script;
  const auto removes = script.remove(4, {.look_first = Kind::unchanged, .expected = Version{0, 3}});
  script.answer(script.expect(a_get), found("value", 3));
  script.answer(script.expect(a_remove), removed(4));
  CHECK(removes.succeeded());

  const auto differs = script.remove(4, {.look_first = Kind::unchanged, .expected = Version{0, 3}});
  script.answer(script.expect(a_get), found("value", 5));
  REQUIRE(differs.failed_with(ErrorCode::precondition_failed));
  CHECK(differs.error().mismatch->expected == Version{0, 3});
  CHECK(differs.error().mismatch->actual == Version{0, 5});

  const auto gone = script.remove(4, {.look_first = Kind::unchanged, .expected = Version{0, 3}});
  script.answer(script.expect(a_get), missing());
  REQUIRE(gone.failed_with(ErrorCode::precondition_failed));
  CHECK_FALSE(gone.error().mismatch->actual);
  CHECK(script.quiet());
}

TEST_CASE("An update stores what its function makes of the entry") {
  World world;
  Script& script = world.script;
  const auto update = script.update(4, append_x);
  script.answer(script.expect(a_get), found("a", 1));
  script.answer(script.expect(a_put), written(2));
  REQUIRE(update.updated());
  CHECK(update.updated()->stored);
  CHECK(update.updated()->version == Version{0, 2});
  CHECK(update.updated()->rounds == 1);
}

TEST_CASE("An update that keeps the entry writes nothing") {
  World world;
  Script& script = world.script;
  const auto update = script.update(4, [](const auto&) { return Change::keep(); });
  script.answer(script.expect(a_get), found("a", 1));
  CHECK(script.quiet());
  REQUIRE(update.updated());
  CHECK_FALSE(update.updated()->stored);
  CHECK(update.updated()->version == Version{0, 1});
}

TEST_CASE("A mismatch means another round, up to max_rounds") {
  World world;
  Script& script = world.script;
  int calls = 0;
  const auto update = script.update(4, [&](const auto& entry) { return ++calls, append_x(entry); }, {.max_rounds = 3});
  for (int round = 0; round < 3; ++round) {
    script.answer(script.expect(a_get), found("a", 1));
    script.answer(script.expect(a_put), mismatch());
  }
  CHECK(calls == 3);
  REQUIRE(update.failed_with(ErrorCode::precondition_failed));
  CHECK_FALSE(update.error().maybe_applied);
  CHECK(script.quiet());
}

TEST_CASE("A mismatch after an unknown outcome may be our own write: the update stops") {
  World world;
  Script& script = world.script;
  int calls = 0;
  const auto update =
      script.update(4, [&](const auto& entry) { return ++calls, append_x(entry); }, {.idempotent = true});
  script.answer(script.expect(a_get), found("a", 1));
  script.answer(script.expect(a_put), lost());
  for (int i = 0; i < 100 && script.quiet(); ++i) script.wait(20ms);
  while (update.pending()) {
    for (const OnWire& request : script.unanswered())
      script.answer(request, request.method == a_put ? mismatch() : found("ax", 2));
    script.wait(20ms);
  }
  CHECK(calls == 1);
  REQUIRE(update.failed_with(ErrorCode::precondition_failed));
  CHECK(update.error().maybe_applied);
}

TEST_CASE("Updates of one key work one after the other although lanes are lifted") {
  auto options = nodes(1);
  options.writes.in_flight_per_shard = 0;
  World world{options};
  Script& script = world.script;
  const auto first = script.update(4, append_x);
  const auto second = script.update(4, append_x, {}, key_of(first));
  const auto elsewhere = script.update(4, append_x);
  const auto look = script.expect(a_get);
  CHECK(look.is_about(first));
  CHECK(script.expect(a_get).is_about(elsewhere));
  CHECK(script.quiet());
  script.answer(look, found("a", 1));
  script.answer(script.expect(a_put), written(2));
  CHECK(script.expect(a_get).is_about(second));
}

TEST_CASE("A key whose write has an unknown outcome settles before the next one looks, although lanes are lifted") {
  auto options = nodes(1);
  options.writes.in_flight_per_shard = 0;
  World world{options};
  Script& script = world.script;
  // Given up on the wire, or answered with a lost connection: it may still be carried out.
  for (const bool cancelled : {true, false}) {
    const auto first = script.update(4, append_x);
    const auto second = script.update(4, append_x, {}, key_of(first));
    script.answer(script.expect(a_get), found("a", 1));
    const auto write = script.expect(a_put);
    if (cancelled) script.cancel(first);
    script.answer(write, cancelled ? called_off() : lost());
    script.wait(options.writes.lane_settle - 1ms);
    CHECK(script.quiet());
    script.wait(1ms);
    CHECK(script.expect(a_get).is_about(second));
    script.cancel(second);
  }
  CHECK(script.session().held().keys == 0);
}

TEST_CASE("One timeout covers all rounds, and the time in line for the key") {
  World world;
  Script& script = world.script;
  const auto first = script.update(4, append_x, {.timeout = 3s});
  const auto second = script.update(4, append_x, {.timeout = 1s}, key_of(first));
  static_cast<void>(script.expect(a_get));
  script.wait(1s);
  CHECK(first.pending());
  CHECK(second.failed_with(ErrorCode::deadline_exceeded));
  for (int i = 0; i < 300 && first.pending(); ++i) {
    for (const OnWire& request : script.unanswered())
      script.answer(request, request.cancelled ? called_off() : request.method == a_put ? mismatch() : found("a", 1));
    script.wait(10ms);
  }
  CHECK_FALSE(first.pending());
  CHECK(script.session().held().keys == 0);
}

TEST_CASE("An update that is cancelled before its function ran never runs it") {
  World world;
  Script& script = world.script;
  bool ran = false;
  const auto blocker = script.get(4);
  const auto update = script.update(4, [&](const auto&) { return ran = true, Change::keep(); });
  const auto first = script.expect(a_get);
  const auto look = script.expect(a_get);
  script.when_told(blocker, [&] {
    script.answer(look, found("a", 1));  // the function is to be called ...
    script.cancel(update);               // ... and it is too late for it
  });
  script.answer(first, missing());
  CHECK(update.failed_with(ErrorCode::cancelled));
  CHECK_FALSE(ran);
}

TEST_CASE("A look that two nodes were asked for leaves none behind when it writes") {
  Script script{nodes(2)};
  const auto put = script.put(0, {.look_first = Kind::absent});
  const auto hanging = script.expect(a_get, 0);
  script.wait(250ms);
  script.answer(script.expect(a_get, 1), missing());
  CHECK(script.cancelled(hanging));
  const auto write = script.expect(a_put, 1);
  script.answer(hanging, not_leader());
  CHECK(script.quiet());
  script.answer(write, written(1));
  CHECK(put.succeeded());
}

TEST_CASE("An update whose look was planned again meanwhile is decided once") {
  Script script{nodes(2)};
  int decided = 0;
  const auto update = script.update(0, [&](const std::optional<Entry>& entry) {
    ++decided;
    return append_x(entry);
  });
  const auto hanging = script.expect(a_get, 0);
  script.wait(250ms);
  script.answer(script.expect(a_get, 1), not_leader());  // the round is over: a pause is planned
  script.answer(hanging, missing());
  const auto write = script.expect(a_put, 0);
  script.wait(1s);
  CHECK(script.quiet());
  script.answer(write, written(1));
  CHECK(update.succeeded());
  CHECK(decided == 1);
}

TEST_CASE("A write that comes after an update of its shard does not overtake another update that waits") {
  World world;
  Script& script = world.script;
  static_cast<void>(script.update(4, append_x, {}, "4"));
  const auto second = script.update(4, append_x, {}, "4");
  const auto put = script.put(4);
  script.answer(script.expect(a_get), missing());
  script.answer(script.expect(a_put), written(1));
  script.answer(script.expect(a_get), found("x", 1));
  script.answer(script.expect(a_put), written(2));
  CHECK(second.succeeded());
  CHECK(script.expect(a_put).is_about(put));
}

TEST_CASE("With lanes lifted a key is free again when the write that was given up has come home and settled") {
  auto options = nodes(1);
  options.writes.in_flight_per_shard = 0;
  World world{options};
  Script& script = world.script;
  const auto first = script.update(4, append_x, {}, "3");
  const auto second = script.update(4, append_x, {}, "3");
  script.answer(script.expect(a_get), missing());
  const auto write = script.expect(a_put);
  script.cancel(first);
  CHECK(script.quiet());
  script.answer(write, called_off());
  script.wait(options.writes.lane_settle);
  script.answer(script.expect(a_get), missing());
  script.answer(script.expect(a_put), written(1));
  CHECK(second.succeeded());
  CHECK(script.session().held().keys == 0);
}

TEST_CASE("Ten thousand updates of one key that are refused one after the other need no stack") {
  auto options = nodes(1);
  options.writes.in_flight_per_shard = 2;
  options.writes.queued_per_shard = 0;
  options.writes.spacing = 2 * options.writes.lane_settle;  // so that the lane takes nobody when the key is free again
  World world{options};
  Script& script = world.script;
  const auto first = script.update(4, append_x, {}, "10002");
  std::vector<Submitted> others;
  for (int i = 0; i < 10'000; ++i) others.push_back(script.update(4, append_x, {}, "10002"));
  script.answer(script.expect(a_get), missing());
  script.answer(script.expect(a_put), lost());
  CHECK(first.error().maybe_applied);
  script.wait(options.writes.lane_settle);
  for (const Submitted& other : others) CHECK(other.failed_with(ErrorCode::overloaded));
}
