#ifdef CATCH2_IS_A_HEADER
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#else
#include <catch2/catch_test_macros.hpp>
#endif

#include <norikv/testing/cluster.hpp>
#include <norikv/testing/loop_runner.hpp>

#include "guestbook.hpp"

using namespace norikv::testing;

namespace {

// A cluster, a loop, and the application on it: fresh for each test.
struct World {
  Cluster cluster = Cluster::start({.nodes = 3, .profile = Profile::replicated}).value();
  LoopRunner runner;
  norikv::Client client = norikv::Client::create(runner.loop(), cluster.client_options()).value();
  Guestbook guestbook{client};

  ~World() {
    client.close();
    CHECK(runner.run_until_idle());
  }

  Guestbook::Signed sign(const std::string& guest) {
    std::optional<Guestbook::Signed> answer;
    guestbook.sign(guest, [&](Guestbook::Signed how) { answer = how; });
    REQUIRE(runner.run_until([&] { return answer.has_value(); }));
    return *answer;
  }
};

}  // namespace

TEST_CASE("A guest who signs is remembered") {
  World world;
  CHECK(world.sign("alice") == Guestbook::Signed::yes);
  CHECK(world.cluster.stored("guest:alice") == "was here");
}

TEST_CASE("A guest whose signature may have arrived is told so") {
  World world;
  // The write is applied, and its answer never comes: the connection breaks.
  const Fault fault = world.cluster.drop_connection(Moment::after_applied, {.method = Method::put, .times = 1});
  CHECK(world.sign("bob") == Guestbook::Signed::perhaps);
  CHECK(world.cluster.stored("guest:bob").has_value());
  CHECK(fault.hits() == 1);
}

TEST_CASE("A guest does not notice that leaders move, and that a node knows of none") {
  World world;
  const Fault lost = world.cluster.reply_with(replies::not_leader(), {.times = 1});
  for (std::uint32_t shard = 0; shard < 4; ++shard) REQUIRE(world.cluster.move_leader(shard, 2));
  CHECK(world.sign("carol") == Guestbook::Signed::yes);
  CHECK(lost.hits() == 1);
}
