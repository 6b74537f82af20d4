#include "support/catch.hpp"
#include "transport/grpc/channels.hpp"

namespace norikv::transport {
namespace {

TEST_CASE("each form of address becomes a target that resolves without surprises") {
  CHECK(grpc_target("127.0.0.1:7447") == "ipv4:///127.0.0.1:7447");
  CHECK(grpc_target("[::1]:7447") == "ipv6:///%5B::1%5D:7447");
  CHECK(grpc_target("[fe80::1%eth0]:7447") == "ipv6:///%5Bfe80::1%25eth0%5D:7447");
  CHECK(grpc_target("db.example.org:7447") == "dns:///db.example.org:7447");
  CHECK(grpc_target("1.2.3:7447") == "dns:///1.2.3:7447");
  CHECK(grpc_target("unix:/run/norikv.sock") == "unix:///run/norikv.sock");
  CHECK(grpc_target("unix:/tmp/a b?#%") == "unix:///tmp/a%20b%3F%23%25");
  CHECK(grpc_target("unix:relative") == "unix:relative");
}

}  // namespace
}  // namespace norikv::transport
