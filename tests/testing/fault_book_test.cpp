// Which fault hits which request, without a server.
#include <memory>

#include "support/catch.hpp"
#include "testing/fault_book.hpp"

using namespace norikv;
using namespace norikv::testing;
using namespace std::chrono_literals;

namespace {

struct Book {
  FaultBook book;

  FaultBook::Hits add(Requests requests, FaultEffect effect, FaultId* id = nullptr) {
    auto hits = std::make_shared<std::atomic<std::uint64_t>>(0);
    const FaultId added = book.add(std::move(requests), std::move(effect), hits);
    if (id != nullptr) *id = added;
    return hits;
  }
  Treatment treat(NodeIndex node, Method method, std::string_view key = "k") { return book.treat({node, method, key}); }
};

bool untouched(const Treatment& treatment) {
  return treatment.delay == Duration{0} && !treatment.compress && !treatment.drop && !treatment.reply;
}

}  // namespace

TEST_CASE("A fault book without faults lets everything pass") {
  Book on;
  CHECK(on.book.empty());
  CHECK(untouched(on.treat(0, Method::put)));
}

TEST_CASE("A fault for any request hits every node and method but topology streams") {
  Book on;
  const auto hits = on.add({}, DelayRequest{5ms});
  for (const Method method :
       {Method::put, Method::get, Method::remove, Method::snapshot_shard, Method::transfer_shard, Method::vector}) {
    CHECK(on.treat(0, method).delay == 5ms);
    CHECK(on.treat(1, method).delay == 5ms);
  }
  CHECK(untouched(on.treat(0, Method::watch)));
  CHECK(*hits == 12);
}

TEST_CASE("A fault may be for one node, one method and one key") {
  Book on;
  const auto hits = on.add({.node = 1, .method = Method::put, .key = "k"}, DropConnection{Moment::after_applied});
  CHECK(untouched(on.treat(0, Method::put)));
  CHECK(untouched(on.treat(1, Method::get)));
  CHECK(untouched(on.treat(1, Method::put, "other")));
  CHECK(*hits == 0);
  CHECK(on.treat(1, Method::put).drop == Moment::after_applied);
  CHECK(*hits == 1);
}

TEST_CASE("A fault for topology streams names them") {
  Book on;
  const auto hits = on.add({.method = Method::watch}, replies::unavailable());
  CHECK(on.treat(0, Method::watch, "").reply->status == 14);
  CHECK(untouched(on.treat(0, Method::get)));
}

TEST_CASE("A fault skips and counts the requests that it is for, and no others") {
  Book on;
  const auto hits = on.add({.method = Method::get, .skip = 1, .times = 2}, DelayRequest{1ms});
  CHECK(untouched(on.treat(0, Method::put)));
  CHECK(untouched(on.treat(0, Method::get)));
  CHECK(on.treat(0, Method::get).delay == 1ms);
  CHECK(untouched(on.treat(0, Method::put)));
  CHECK(on.treat(0, Method::get).delay == 1ms);
  CHECK(untouched(on.treat(0, Method::get)));
  CHECK(*hits == 2);
}

TEST_CASE("Delays add up, also with another fault") {
  Book on;
  const auto first = on.add({}, DelayRequest{1ms});
  const auto scripted = on.add({}, replies::not_leader("127.0.0.1:1"));
  const auto second = on.add({}, DelayRequest{2ms});
  const Treatment treatment = on.treat(0, Method::put);
  CHECK(treatment.delay == 3ms);
  REQUIRE(treatment.reply);
  CHECK(treatment.reply->trailing_metadata == Metadata{{"leader-hint", "127.0.0.1:1"}});
}

TEST_CASE("Of the faults that decide an answer the oldest takes the request, and the next one follows it") {
  Book on;
  const auto first = on.add({.times = 2}, replies::unavailable("one"));
  const auto second = on.add({.times = 1}, DropConnection{Moment::before_applied});
  const auto third = on.add({.times = 1}, CompressReply{});
  CHECK(on.treat(0, Method::put).reply->message == "one");
  CHECK(on.treat(0, Method::put).reply->message == "one");
  CHECK(*second == 0);
  CHECK(on.treat(0, Method::put).drop == Moment::before_applied);
  CHECK(*third == 0);
  CHECK(on.treat(0, Method::put).compress);
  CHECK(untouched(on.treat(0, Method::put)));
}

TEST_CASE("A fault that was removed hits no more, and the others still do") {
  Book on;
  FaultId id{};
  const auto removed = on.add({}, DelayRequest{1ms}, &id);
  const auto kept = on.add({}, DelayRequest{2ms});
  CHECK(on.treat(0, Method::put).delay == 3ms);
  on.book.remove(id);
  CHECK(on.treat(0, Method::put).delay == 2ms);
  CHECK(*removed == 1);
  CHECK(*kept == 2);
}

TEST_CASE("A late read is decided before the message is there, and only then") {
  Book on;
  const auto hits = on.add({.node = 0, .times = 1}, ReadLate{7ms});
  CHECK(on.book.read_pause({1, Method::put}) == 0ms);
  CHECK(untouched(on.treat(0, Method::put)));
  CHECK(on.book.read_pause({0, Method::put}) == 7ms);
  CHECK(on.book.read_pause({0, Method::put}) == 0ms);
  CHECK(*hits == 1);
}
