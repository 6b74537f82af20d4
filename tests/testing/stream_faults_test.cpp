// Faults of topology streams and views, of messages and of whole connections.
#include <future>

#include <grpcpp/generic/generic_stub.h>

#include "support/catch.hpp"
#include "support/lateness.hpp"
#include "testing/cluster_stub.hpp"
#include "testing/view_faults.hpp"

using namespace cluster_tests;

namespace {

/// How a stream ends.
grpc::Status end_of(Stub& stub, int* views = nullptr) {
  grpc::ClientContext context;
  const auto reader = stub.meta->WatchCluster(&context, v1::ClusterView());
  v1::ClusterView view;
  int count = 0;
  while (reader->Read(&view)) ++count;
  if (views != nullptr) *views = count;
  return reader->Finish();
}

ClusterConfig quiet() {
  ClusterConfig config = replicated();
  config.view_interval = 1h;
  return config;
}

std::string own_id(const v1::ClusterView& view, const std::string& address) {
  for (const auto& node : view.nodes()) {
    if (node.addr() == address) return node.id();
  }
  return {};
}

/// A Get's reply as bytes; none if there was no message.
std::optional<std::string> raw_get(const std::string& address, const std::string& key, grpc::Status& status) {
  const auto channel = grpc::CreateChannel("ipv4:" + address, grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  v1::GetRequest request;
  request.set_key(key);
  const grpc::Slice slice(request.SerializeAsString());
  const grpc::ByteBuffer bytes(&slice, 1);
  const auto call = stub.PrepareUnaryCall(&context, "/norikv.v1.Kv/Get", bytes, &queue);
  call->StartCall();
  grpc::ByteBuffer reply;
  call->Finish(&reply, &status, nullptr);
  void* got = nullptr;
  bool ok = false;
  queue.Next(&got, &ok);
  queue.Shutdown();
  while (queue.Next(&got, &ok)) {
  }
  if (!reply.Valid()) return std::nullopt;
  std::vector<grpc::Slice> slices;
  REQUIRE(reply.Dump(&slices).ok());
  std::string whole;
  for (const grpc::Slice& each : slices) whole.append(reinterpret_cast<const char*>(each.begin()), each.size());
  return whole;
}

}  // namespace

TEST_CASE("Streams end with OK when they are told to, and new ones go on") {
  Fixture on(quiet());
  auto ended = std::async(std::launch::async, [&] { return end_of(on.node(1)); });
  Watch other(on.node(0));
  REQUIRE(other.next());
  REQUIRE(eventually([&] { return on.cluster.counters().watches == 2; }));
  on.cluster.end_streams(1);
  CHECK(ended.get().ok());
  Watch next(on.node(1));
  CHECK(next.next());
  REQUIRE(on.cluster.move_leader(0, 2));
  CHECK(other.next());
}

TEST_CASE("A stream ends with a scripted status at once, or behind its first view") {
  Fixture on(quiet());
  ScriptedReply reply = replies::unavailable("no views");
  reply.moment = GENERATE(Moment::before_applied, Moment::after_applied);
  const Fault fault = on.cluster.reply_with(reply, {.node = 1, .method = Method::watch, .times = 1});
  int views = 0;
  const grpc::Status status = end_of(on.node(1), &views);
  CHECK(status.error_code() == grpc::UNAVAILABLE);
  CHECK(status.error_message() == "no views");
  CHECK(views == (reply.moment == Moment::after_applied ? 1 : 0));
  Watch next(on.node(1));
  CHECK(next.next());
}

TEST_CASE("A stream may bring a view that is no protobuf") {
  Fixture on(quiet());
  const Fault fault = on.cluster.reply_with(replies::unparsable(Moment::before_applied), {.method = Method::watch});
  int views = -1;
  (void)end_of(on.node(0), &views);  // gRPC says OK: the status did arrive.
  CHECK(views == 0);
}

TEST_CASE("An epoch is set back by a pushed view, and forward when it heals") {
  ClusterConfig config = quiet();
  Fixture on(config);
  for (int i = 0; i < 5; ++i) REQUIRE(on.cluster.move_leader(0, i % 2 == 0 ? 1 : 0));
  Watch watch(on.node(0));
  const auto before = watch.next();
  REQUIRE(before);
  REQUIRE(before->epoch() >= 5);
  Fault fault = on.cluster.set_epoch_back(0, 3);
  const auto set_back = watch.next();
  REQUIRE(set_back);
  CHECK(set_back->epoch() == before->epoch() - 3);
  const Fault more = on.cluster.set_epoch_back(0, 1000);
  CHECK(watch.next()->epoch() == 0);
  fault.heal();
  CHECK(watch.next()->epoch() == 0);
}

TEST_CASE("A node that claims another's id does so in its own views alone") {
  Fixture on(quiet());
  const std::string address = on.cluster.addresses()[1];
  Watch liar(on.node(1));
  Watch honest(on.node(0));
  REQUIRE(own_id(*liar.next(), address) == "node1");
  REQUIRE(honest.next());
  Fault fault = on.cluster.claim_id(1, 0);
  const auto claimed = liar.next();
  CHECK(own_id(*claimed, address) == "node0");
  CHECK(own_id(*claimed, on.cluster.addresses()[0]) == "node0");
  for (const auto& shard : claimed->shards()) {
    for (const auto& replica : shard.replicas()) CHECK(replica.node_id() != "node1");
  }
  REQUIRE(on.cluster.move_leader(0, 2));
  CHECK(own_id(*honest.next(), address) == "node1");
  fault.heal();
  CHECK(own_id(*liar.next(), address) == "node0");  // pushed by the leader's move
  CHECK(own_id(*liar.next(), address) == "node1");
}

TEST_CASE("A view fault changes what it is about and nothing else") {
  wire::View view;
  view.epoch = 7;
  view.nodes = {{"node0", "a", "follower"}, {"node1", "b", "follower"}};
  view.shards = {{4, {{"node0", true}, {"node1", false}}}};
  CHECK(falsified(view, {}).epoch == 7);
  const wire::View told = falsified(view, {{2, {}, {}}, {1, {}, {}}, {0, "node1", "node0"}});
  CHECK(told.epoch == 4);
  CHECK(told.nodes[1].id == "node0");
  CHECK(told.nodes[1].address == "b");
  CHECK(told.shards[0].replicas[1].node_id == "node0");
  CHECK_FALSE(told.shards[0].replicas[1].leader);
  CHECK(falsified(view, {{9, {}, {}}}).epoch == 0);
}

TEST_CASE("A reply without a message is OK, and there is none") {
  Fixture on(instant());
  const Fault fault = on.cluster.reply_with(replies::without_message());
  grpc::Status status;
  CHECK_FALSE(raw_get(on.cluster.addresses()[0], "key", status));
  CHECK(status.ok());
}

TEST_CASE("An unparsable reply is OK, and no protobuf") {
  Fixture on(instant());
  const Fault fault = on.cluster.reply_with(replies::unparsable());
  grpc::Status status;
  const auto bytes = raw_get(on.cluster.addresses()[0], "key", status);
  CHECK(status.ok());
  REQUIRE(bytes);
  v1::GetResponse response;
  CHECK_FALSE(response.ParseFromString(*bytes));
}

TEST_CASE("A write whose reply is lost is applied, unless it was told otherwise") {
  Fixture on(instant());
  const Moment moment = GENERATE(Moment::before_applied, Moment::after_applied);
  const Fault fault = on.cluster.reply_with(replies::unparsable(moment), {.method = Method::put});
  CHECK_FALSE(on.node().put("key", "v").ok());
  CHECK(on.cluster.stored("key").has_value() == (moment == Moment::after_applied));
}

TEST_CASE("A compressed reply says the same, and is compressed on the wire") {
  Fixture on(instant());
  on.cluster.seed("key", "value");
  const Fault fault = on.cluster.compress_replies();
  const auto reply = on.node().get("key");
  CHECK(reply.body.value() == "value");
  CHECK(reply.body.has_version());
  grpc::ClientContext context;
  v1::GetRequest request;
  request.set_key("key");
  v1::GetResponse response;
  REQUIRE(on.node().kv->Get(&context, request, &response).ok());
  // 1 KiB of padding that arrived as a few bytes.
  CHECK(response.ByteSizeLong() > 1024);
  CHECK(fault.hits() == 2);
}

TEST_CASE("GOAWAY lets requests and streams under way end, and sends new ones to a new connection") {
  Fixture on(quiet());
  Watch watch(on.node(0));
  REQUIRE(watch.next());
  const Fault slow = on.cluster.delay(200ms, {.node = 0, .method = Method::put});
  const std::string key = on.key_of(0);
  auto under_way = std::async(std::launch::async, [&] { return on.node(0).put(key, "v"); });
  REQUIRE(eventually([&] { return slow.hits() == 1; }));
  const std::uint64_t before = on.cluster.counters().connections;
  on.cluster.go_away(0);
  CHECK(under_way.get().ok());
  CHECK(eventually([&] { return on.node(0).get(key).ok() && on.cluster.counters().connections == before + 1; }));
  REQUIRE(on.cluster.move_leader(0, 1));
  CHECK(watch.next());
}

TEST_CASE("A node goes away again and again, and stops without delay with a stream on each connection") {
  Fixture on(quiet());
  std::vector<std::unique_ptr<Stub>> stubs;
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 5; ++i) {
    stubs.push_back(std::make_unique<Stub>(on.cluster.addresses()[0]));
    watches.push_back(std::make_unique<Watch>(*stubs.back()));
    REQUIRE(watches.back()->next());
    on.cluster.go_away(0);
  }
  const norikv::test::Lateness lateness;
  const auto start = Clock::now();
  on.cluster.stop(0);
  CHECK(Clock::now() - start < 1s + 10 * lateness.worst());
  for (auto& watch : watches) CHECK_FALSE(watch->next());
}

TEST_CASE("A slow reader leaves a large value with its client, and takes it in the end") {
  Fixture on(instant());
  const Fault fault = on.cluster.read_slowly(200ms, {.method = Method::put});
  const auto start = Clock::now();
  CHECK(on.node().put("key", std::string(1 << 20, 'v')).ok());
  CHECK(Clock::now() - start >= 200ms);
  CHECK(fault.hits() == 1);
  CHECK(on.cluster.stored("key")->size() == 1 << 20);
}
