#include <cstdlib>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "transport/h2/h2_transport.hpp"
#include "transport/test_client.hpp"

// The h2 transport against a server that others wrote, which does what the requests say: NORIKV_INTEROP_ADDRESS.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;

const TransportKind h2{"h2", &transport::make_h2_transport};

std::string address() {
  const char* const given = std::getenv("NORIKV_INTEROP_ADDRESS");
  REQUIRE(given != nullptr);
  return given;
}

TEST_CASE("interop: requests and replies of any size go both ways") {
  TestClient client(h2, {address()});
  for (const std::size_t size : {0U, 1U, 1000U, 16'384U, 65'536U, 1'000'000U, 3'000'000U}) {
    const std::string body = "echo" + std::string(size, 'y');
    const core::Reply reply = client.call(address(), {.body = body});
    CHECK(reply.status == 0);
    CHECK((reply.body == body));
  }
  CHECK((client.call(address(), {.body = "large"}).body == std::string(1024 * 1024, 'x')));
}

TEST_CASE("interop: more calls in flight than the server allows streams are all answered") {
  TestClient client(h2, {address()});
  std::vector<core::CallId> calls;
  for (int i = 0; i < 1000; ++i) calls.push_back(client.start(address(), {.body = "echo " + std::to_string(i)}));
  for (int i = 0; i < 1000; ++i)
    REQUIRE(client.reply_of(calls[static_cast<std::size_t>(i)]).body == "echo " + std::to_string(i));
}

TEST_CASE("interop: a refusal has its code, its text and its trailer") {
  TestClient client(h2, {address()});
  const core::Reply reply = client.call(address(), {.body = "fail"});
  CHECK(reply.status == 14);
  CHECK(reply.message == "NOT_LEADER: 100% \xc3\xbc");
  CHECK(reply.metadata == core::Metadata{{"leader-hint", "1.2.3.4:5"}});
}

TEST_CASE("interop: metadata reaches the server") {
  TestClient client(h2, {address()});
  CHECK(client.call(address(), {.body = "metadata", .metadata = {{"x-own", "value"}}}).body == "value");
}

TEST_CASE("interop: a call ends at its deadline and when it is cancelled, and the connection goes on") {
  TestClient client(h2, {address()});
  CHECK(client.call(address(), {.body = "hang", .timeout = 50ms}).status == 4);
  const core::CallId hanging = client.start(address(), {.body = "hang"});
  CHECK(client.call(address(), {.body = "echo"}).status == 0);
  client.transport().cancel(hanging);
  CHECK(client.reply_of(hanging).status == 1);
  CHECK(client.call(address(), {.body = "echo"}).status == 0);
}

TEST_CASE("interop: a stream's views come in order, and then its end") {
  TestClient client(h2, {address()});
  const core::WatchId id = client.watch(address());
  CHECK(client.end_of(id).status == 0);
  REQUIRE(client.views.at(id).size() == 3);
  for (std::uint64_t i = 0; i < 3; ++i) CHECK(client.views.at(id)[i].epoch == i + 1);
}

// The last one: the server is gone after it.
TEST_CASE("interop: a server that stops lets calls under way end") {
  TestClient client(h2, {address()});
  std::vector<core::CallId> calls;
  for (int i = 0; i < 50; ++i) calls.push_back(client.start(address(), {.body = "echo"}));
  CHECK(client.call(address(), {.body = "stop"}).status == 0);
  for (const core::CallId id : calls) CHECK(client.reply_of(id).status == 0);
  CHECK(client.run_until([&] { return client.call(address(), {.body = "echo"}).sent == core::Sent::not_sent; }));
}

}  // namespace
}  // namespace norikv::test
