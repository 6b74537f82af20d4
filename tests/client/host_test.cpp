#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <thread>

#include "client/guest.hpp"
#include "transport/raw_peer.hpp"

// The client as a guest: what keeps a borrowed loop alive, hosts that close every handle, hosts that fork.
using namespace norikv;
using namespace norikv::test;

namespace {

/// What the child of a fork does; its result is the number of the first thing that went wrong, 0 = nothing.
template <class Child>
int exit_code_of_fork(Child child) {
  const pid_t pid = fork();
  if (pid == 0) _exit(child());
  for (int tries = 0; tries < 1000; ++tries) {
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    std::this_thread::sleep_for(10ms);
  }
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return -1;  // it hung
}

/// Uses a client that belongs to the parent process, in every way.
int use_in_child(std::unique_ptr<Client> client) {
  int closed = 0;
  const auto expect = [&](const auto& result) {
    closed += !result && result.error().code == ErrorCode::closed ? 1 : 0;
  };
  client->put("key", "value", expect).cancel();
  client->put(std::string(2000, 'k'), "value", expect);
  client->get("key", expect);
  client->remove("key", expect);
  client->wait_ready({}, expect);
  client->when_room(1, expect);
  const Scope scope;
  client->get("key", {.scope = scope}, expect);
  client->get_many({"key", "other"}, [&](const auto& results) {
    for (const auto& result : results) expect(result);
  });
  if (closed != 9) return 1;
  int done = 0;
  client->drain([&] { ++done; });
  client->close([&] { ++done; });
  client->topology().subscribe([](const TopologyEvent&) {}, [&] { ++done; }).detach();
  client->post([&] { ++done; });
  client->ref();
  if (done != 3) return 2;
  if (client->cluster() == nullptr || client->on_loop_thread()) return 3;
  client.reset();
  return 0;
}

}  // namespace

TEST_CASE("An idle client does not keep a borrowed loop alive") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.ready()) == "ok");  // its streams are open
  CHECK(guest.loop().idle());
  CHECK(guest.loop().run_until_idle());
}

TEST_CASE("An idle client whose nodes can't be reached lets the loop end, again and again") {
  RawPeer refusing(Form::ipv4);
  RawPeer mute(Form::ipv4, [](RawConnection& connection) { connection.read_to_end(); });
  const std::string port = refusing.address().substr(refusing.address().rfind(':'));
  ClientOptions options{.nodes = {refusing.address(), mute.address(), "localhost" + port, "unix:/nowhere/norikv"}};
  options.connection.reconnect = {1ms, 1ms};
  Guest guest{options};
  for (int i = 0; i < 20; ++i) REQUIRE(guest.loop().run_until_idle(1s));
}

TEST_CASE("A client that was just created keeps the loop alive until its first turn") {
  const Cluster cluster = start();
  Guest guest{cluster};
  CHECK_FALSE(guest.loop().idle());
  CHECK(guest.loop().run_until_idle());
  CHECK(guest->on_loop_thread());
}

TEST_CASE("A pending operation keeps the loop alive until its callback") {
  const Cluster cluster = start({.election = 100ms});
  Guest guest{cluster};
  const PutOutcome written;
  guest->put(key_of(1), "value", written.callback());
  REQUIRE(guest.loop().run_until_idle());
  CHECK(ended(written) == "ok");
}

TEST_CASE("Whatever has a callback keeps the loop alive until it came") {
  const Cluster cluster = start();
  Guest guest{cluster};
  CHECK(guest.loop().run_until_idle());
  const ReadyOutcome ready, room;
  bool drained = false;
  bool posted = false;
  guest->wait_ready({}, ready.callback());
  guest->when_room(1, room.callback());
  guest->drain([&] { drained = true; });
  guest->post([&] { posted = true; });
  guest->put(std::string(2000, 'k'), "value", [](Result<Written>) {});
  REQUIRE(guest.loop().run_until_idle());
  CHECK(ended(ready) == "ok");
  CHECK(ended(room) == "ok");
  CHECK(drained);
  CHECK(posted);
}

TEST_CASE("ref keeps a program that only watches, until unref") {
  // Real time: nothing but the server's next view wakes this loop.
  const Cluster cluster = start({.election = 5ms, .view_interval = 50ms});
  Guest guest{cluster};
  guest->ref();
  guest->ref();  // a flag, not a counter
  CHECK_FALSE(guest.loop().run_until_idle(200ms));
  CHECK(guest->stats().views > 0);
  const auto seen = guest->connections().subscribe([&](const ConnectionEvent&) { guest->unref(); });
  CHECK(guest.loop().run_until_idle());
}

TEST_CASE("A host that walks its loop tells the client's handles from its own") {
  const Cluster cluster = start({.election = 50ms});
  Guest guest{cluster};
  uv_idle_t of_the_host;
  uv_idle_init(guest.loop().loop(), &of_the_host);
  const PutOutcome written;
  guest->put(key_of(1), "value", written.callback());
  guest.loop().run_for(5ms);

  struct Walk {
    const Client& client;
    int owned = 0;
  } walk{guest.client()};
  uv_walk(
      guest.loop().loop(),
      [](uv_handle_t* handle, void* argument) {
        auto& walking = *static_cast<Walk*>(argument);
        if (walking.client.owns(handle)) {
          ++walking.owned;
        } else if (handle->type == UV_IDLE) {
          uv_close(handle, nullptr);
        }
      },
      &walk);
  CHECK(walk.owned == 2);
  REQUIRE(guest.wait(written));
  CHECK(ended(written) == "ok");
}

TEST_CASE("A host that closes every handle, the client's too, can still close the client") {
  const Cluster cluster = start({.election = 10s});
  LoopFixture loop;
  auto client = std::make_unique<Client>(made(create(loop.loop(), cluster.client_options())));
  const GetOutcome read;
  client->get(key_of(1), read.callback());
  loop.run_for(20ms);
  loop.close_every_handle();
  bool closed = false;
  client->close([&] { closed = true; });
  REQUIRE(loop.run_until_idle());
  CHECK(closed);
  CHECK(ended(read) == "closed");
}

TEST_CASE("A host that closes every handle and then destroys the client gets every callback") {
  const Cluster cluster = start({.election = 10s});
  LoopFixture loop;
  auto client = std::make_unique<Client>(made(create(loop.loop(), cluster.client_options())));
  const GetOutcome read;
  client->get(key_of(1), read.callback());
  loop.run_for(20ms);
  loop.close_every_handle();
  loop.run_for(5ms);
  client.reset();
  REQUIRE(loop.run_until_idle());
  CHECK(ended(read) == "closed");
}

TEST_CASE("A client whose handles the host closed goes on when it is used again") {
  const Cluster cluster = start();
  Guest guest{cluster};
  REQUIRE(ended(guest.get("key")) == "ok");
  guest.loop().close_every_handle();
  guest.loop().run_for(5ms);
  CHECK(ended(guest.get("key")) == "ok");
}

TEST_CASE("In a forked child a client on a borrowed loop is closed and harmless") {
  const Cluster cluster = start({.election = 10s});
  LoopFixture loop;
  auto client = std::make_unique<Client>(made(create(loop.loop(), cluster.client_options())));
  const GetOutcome pending;
  client->get(key_of(1), pending.callback());
  loop.run_for(20ms);
  CHECK(exit_code_of_fork([&] { return use_in_child(std::move(client)); }) == 0);
  // The parent's is as it was.
  const GetOutcome read;
  client->get(key_of(0), read.callback());
  REQUIRE(loop.run_until([&] { return read.came(); }));
  CHECK(ended(read) == "ok");
  CHECK_FALSE(pending.came());
  client.reset();
  CHECK(loop.run_until_idle());
}

TEST_CASE("In a forked child a client with its own loop is closed and harmless") {
  const Cluster cluster = start();
  auto client = std::make_unique<Client>(made(create(cluster.client_options())));
  const GetOutcome before, after;
  client->get("key", before.callback());
  REQUIRE(before.wait());
  CHECK(exit_code_of_fork([&] { return use_in_child(std::move(client)); }) == 0);
  client->get("key", after.callback());
  REQUIRE(after.wait());
  CHECK(ended(after) == "ok");
}
