#include <thread>

#include "client/guest.hpp"
#include "client/process.hpp"
#include "support/resources.hpp"

// Many clients one after the other leave no thread and no descriptor behind. The server is another process, for its
// threads come and go.
using namespace norikv;
using namespace norikv::test;

namespace {

void use_borrowed(const ClientOptions& options) {
  Guest guest{options};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  CHECK(ended(guest.get("key")) == "ok");
}

void use_owned(const ClientOptions& options) {
  Client client = made(create(options));
  const PutOutcome written;
  client.put("key", "value", written.callback());
  REQUIRE(written.wait());
}

void check_cycles(void (*use)(const ClientOptions&)) {
  Process server = server_process();
  const auto address = server.read_line(20s);
  REQUIRE(address.has_value());
  const ClientOptions options{.nodes = {*address}, .total_shards = 4};
  for (int cycle = 0; cycle < 10; ++cycle) use(options);
  const auto most_threads = threads();
  const auto most_descriptors = descriptors();
  for (int cycle = 10; cycle < 200; ++cycle) use(options);
  CHECK(comes_down(threads, most_threads));
  CHECK(comes_down(descriptors, most_descriptors));
}

}  // namespace

TEST_CASE("200 clients on borrowed loops leave threads and descriptors as they were after 10") {
  check_cycles(use_borrowed);
}

TEST_CASE("200 clients with their own loops leave threads and descriptors as they were after 10") {
  check_cycles(use_owned);
}
