// What each fault does, as a plain stub sees it.
#include <atomic>
#include <future>

#include "support/catch.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;

namespace {

/// Far more than an undisturbed call takes, and far less than a test waits at most.
constexpr Duration long_delay = 300ms;

struct Blocks {
  std::multimap<std::string, std::string> initial;
  std::multimap<std::string, std::string> trailing;
};

std::multimap<std::string, std::string> copied(const std::multimap<grpc::string_ref, grpc::string_ref>& from) {
  std::multimap<std::string, std::string> to;
  for (const auto& [key, value] : from) {
    to.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  return to;
}

Reply<v1::GetResponse> get(Stub& stub, const std::string& key, Blocks& metadata) {
  v1::GetRequest request;
  request.set_key(key);
  grpc::ClientContext context;
  auto reply = Stub::call_in<v1::GetResponse>(
      context, [&](auto* call, auto* response) { return stub.kv->Get(call, request, response); });
  metadata = {copied(context.GetServerInitialMetadata()), copied(context.GetServerTrailingMetadata())};
  return reply;
}

Duration time_of(const std::function<void()>& action) {
  const auto start = Clock::now();
  action();
  return Clock::now() - start;
}

}  // namespace

TEST_CASE("A delayed request takes its time, and the ones behind it do not") {
  Fixture on(instant());
  const Fault fault = on.cluster.delay(long_delay, {.method = Method::get, .times = 1});
  auto delayed = std::async(std::launch::async, [&] { return time_of([&] { CHECK(on.node().get("key").ok()); }); });
  REQUIRE(eventually([&] { return fault.hits() == 1; }));
  CHECK(on.node().get("key").ok());
  CHECK(delayed.wait_for(0s) == std::future_status::timeout);
  CHECK(delayed.get() >= long_delay);
}

TEST_CASE("A delayed write is applied only after its delay") {
  Fixture on(instant());
  const Fault fault = on.cluster.delay(long_delay, {.method = Method::put});
  auto delayed = std::async(std::launch::async, [&] { return on.node().put("key", "v"); });
  REQUIRE(eventually([&] { return fault.hits() == 1; }));
  CHECK_FALSE(on.cluster.stored("key"));
  CHECK(delayed.get().ok());
  CHECK(on.cluster.stored("key") == "v");
}

TEST_CASE("A fault heals when its object ends, when it is healed, and when another takes its place") {
  Fixture on(instant());
  {
    const Fault fault = on.cluster.reply_with(replies::unavailable("one"));
    CHECK(on.node().get("key").text == "one");
  }
  CHECK(on.node().get("key").ok());
  Fault fault = on.cluster.reply_with(replies::unavailable("two"));
  CHECK(on.node().get("key").text == "two");
  fault = on.cluster.reply_with(replies::unavailable("three"));
  CHECK(on.node().get("key").text == "three");
  fault.heal();
  CHECK(on.node().get("key").ok());
  CHECK(fault.hits() == 1);
}

TEST_CASE("A fault may outlive its cluster") {
  auto on = std::make_unique<Fixture>(instant());
  Fault scripted = on->cluster.reply_with(replies::unavailable());
  Fault isolated = on->cluster.isolate(0);
  Fault epoch = on->cluster.set_epoch_back(0, 1);
  on.reset();
  scripted.heal();
  CHECK(scripted.hits() == 0);
}

TEST_CASE("A scripted reply brings its status and both metadata blocks, and the request is not carried out") {
  Fixture on(instant());
  on.cluster.seed("key", "v");
  ScriptedReply reply{10, "no, thanks"};
  reply.initial_metadata = {{"x-norikv-leader", "node0-shard1"}};
  reply.trailing_metadata = {{"leader-hint", "127.0.0.1:1"}, {"grpc-retry-pushback-ms", "20"}};
  const Fault fault = on.cluster.reply_with(reply);
  Blocks metadata;
  const auto got = get(on.node(), "key", metadata);
  CHECK(got.code == grpc::ABORTED);
  CHECK(got.text == "no, thanks");
  CHECK(metadata.initial == std::multimap<std::string, std::string>{{"x-norikv-leader", "node0-shard1"}});
  CHECK(metadata.trailing ==
        std::multimap<std::string, std::string>{{"leader-hint", "127.0.0.1:1"}, {"grpc-retry-pushback-ms", "20"}});
  CHECK(on.node().put("key", "w").code == grpc::ABORTED);
  CHECK(on.cluster.stored("key") == "v");
}

TEST_CASE("A scripted error without initial metadata is a Trailers-Only response like the server's own") {
  Fixture on(instant());
  const Fault fault = on.cluster.reply_with(replies::not_leader("127.0.0.1:7"));
  Blocks metadata;
  const auto got = get(on.node(), "key", metadata);
  CHECK(is_not_leader(got));
  CHECK(got.hint == "127.0.0.1:7");
  CHECK(metadata.initial.empty());
}

TEST_CASE("Scripted replies follow each other, each as often as it was told") {
  Fixture on(instant());
  const Fault first = on.cluster.reply_with(replies::not_leader(), {.times = 2});
  const Fault second = on.cluster.reply_with(replies::throttled(50ms), {.times = 1});
  CHECK(is_not_leader(on.node().get("key")));
  CHECK(is_not_leader(on.node().put("key", "v")));
  CHECK(on.node().get("key").code == grpc::RESOURCE_EXHAUSTED);
  CHECK(on.node().get("key").ok());
}

TEST_CASE("A commit that times out is applied and answered as INTERNAL") {
  Fixture on(instant());
  const Fault fault = on.cluster.reply_with(replies::commit_timeout(), {.method = Method::put});
  const auto reply = on.node().put("key", "v");
  CHECK(reply.code == grpc::INTERNAL);
  CHECK(reply.text == "Put failed: CommitTimeout { elapsed_ms: 5000 }");
  CHECK(on.cluster.stored("key") == "v");
}

TEST_CASE("A time-out of the server is CANCELLED, applied or not as it was told") {
  Fixture on(instant());
  const Moment moment = GENERATE(Moment::before_applied, Moment::after_applied);
  const Fault fault = on.cluster.reply_with(replies::timeout_expired(moment));
  const auto reply = on.node().put("key", "v");
  CHECK(reply.code == grpc::CANCELLED);
  CHECK(reply.text == "Timeout expired");
  CHECK(on.cluster.stored("key").has_value() == (moment == Moment::after_applied));
}

TEST_CASE("A frozen node does not give a scripted reply either") {
  Fixture on(instant());
  const Fault fault = on.cluster.reply_with(replies::unavailable("scripted"));
  on.cluster.freeze(0);
  auto held = std::async(std::launch::async, [&] { return on.node().get("key"); });
  REQUIRE(eventually([&] { return on.cluster.counters().gets == 1; }));
  CHECK(held.wait_for(50ms) == std::future_status::timeout);
  on.cluster.thaw(0);
  CHECK(held.get().text == "scripted");
}

TEST_CASE("A dropped connection ends every call on it, and the next call gets a new one") {
  Fixture on(instant());
  on.cluster.freeze(0);
  auto bystander = std::async(std::launch::async, [&] { return on.node().get("other"); });
  REQUIRE(eventually([&] { return on.cluster.counters().gets == 1; }));
  const Fault fault = on.cluster.drop_connection(Moment::before_applied, {.method = Method::put, .times = 1});
  const auto reply = on.node().put("key", "v");
  CHECK(reply.code == grpc::UNAVAILABLE);
  CHECK_FALSE(is_not_leader(reply));
  CHECK(bystander.get().code == grpc::UNAVAILABLE);
  on.cluster.thaw(0);
  CHECK_FALSE(on.cluster.stored("key"));
  CHECK(eventually([&] { return on.node().put("key", "v").ok(); }));
  CHECK(on.cluster.counters().connections == 2);
}

TEST_CASE("A connection dropped after the write was applied leaves it applied") {
  Fixture on(instant());
  const Fault fault = on.cluster.drop_connection(Moment::after_applied, {.key = "key"});
  CHECK(on.node().put("key", "v").code == grpc::UNAVAILABLE);
  CHECK(on.cluster.stored("key") == "v");
  // The channel may not know yet that its connection is gone.
  CHECK(eventually([&] { return on.node().put("other", "v").ok(); }));
  CHECK(fault.hits() == 1);
}

TEST_CASE("A dropped connection is that of the request, and no other client's") {
  Fixture on(instant());
  Stub other(on.cluster.addresses()[0]);
  Watch watch(other);
  REQUIRE(watch.next());
  const Fault fault = on.cluster.drop_connection(Moment::before_applied);
  CHECK(on.node().get("key").code == grpc::UNAVAILABLE);
  CHECK(watch.next());
}
