// A program that has its own copy of norikv.proto, for protobuf's full runtime, beside the lite ones inside of norikv
// and norikv-testing. Two full copies in one process end it while it is being loaded.
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>

#include <grpcpp/grpcpp.h>
#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

#include "norikv.grpc.pb.h"

namespace {

void require(bool condition, const char* what, const std::string& detail = {}) {
  if (condition) return;
  std::fprintf(stderr, "two_copies: %s %s\n", what, detail.c_str());
  std::exit(1);
}

/// Writes through the library; its own messages are lite ones.
norikv::Version put(const norikv::ClientOptions& options, const std::string& key, const std::string& value) {
  auto client = norikv::Client::create(options);
  require(client.has_value(), "no client:", client ? "" : client.error().describe());
  std::promise<norikv::Result<norikv::Written>> promise;
  client->put(key, value, [&](norikv::Result<norikv::Written> written) { promise.set_value(std::move(written)); });
  const auto written = promise.get_future().get();
  require(written.has_value(), "put failed:", written ? "" : written.error().describe());
  return written->version;
}

/// Reads through stubs of this program, whose messages know their descriptors.
norikv::v1::GetResponse get(const std::string& address, const std::string& key) {
  const auto stub = norikv::v1::Kv::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  norikv::v1::GetRequest request;
  request.set_key(key);
  norikv::v1::GetResponse reply;
  const grpc::Status status = stub->Get(&context, request, &reply);
  require(status.ok(), "get failed:", status.error_message());
  return reply;
}

}  // namespace

int main() {
  require(norikv::v1::GetResponse::descriptor()->full_name() == "norikv.v1.GetResponse", "no descriptor");

  const auto cluster = norikv::testing::Cluster::start();
  require(cluster.has_value(), "no cluster:", cluster ? "" : cluster.error().describe());
  const norikv::Version version = put(cluster->client_options(), "key", "value");
  const norikv::v1::GetResponse reply = get(cluster->addresses().front(), "key");
  require(reply.value() == "value", "another value:", reply.ShortDebugString());
  require(reply.version().index() == version.index, "another version:", reply.ShortDebugString());
  std::puts("two copies of one proto live in this process");
}
