#include "testing/node_server.hpp"

#include <chrono>
#include <memory>

#include <grpcpp/grpcpp.h>

#include "testing/cluster_model.hpp"

namespace norikv::testing {
namespace {

/// When the last gRPC object of a process goes, whoever destroys it waits up to a second for the threads of gRPC's
/// event engine. A channel that is never used and never destroyed keeps them.
std::shared_ptr<grpc::Channel> event_engine_keeper() {
  static auto& keeper =
      *new std::shared_ptr<grpc::Channel>(grpc::CreateChannel("ipv4:127.0.0.1:1", grpc::InsecureChannelCredentials()));
  return keeper;
}

}  // namespace

NodeServer::NodeServer(Engine& engine, NodeIndex node)
    : keeper_(event_engine_keeper()), kv_(engine, node), meta_(engine, node), admin_(engine, node) {}

bool NodeServer::start(std::uint16_t port) {
  grpc::ServerBuilder builder;
  int bound = 0;
  builder.AddListeningPort(local_address(port), grpc::InsecureServerCredentials(), &bound);
  // On Linux gRPC would share a taken port with whoever has it.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // The real server's own limit and time-out answer with other statuses than gRPC's (services.cpp, engine.cpp).
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_DEADLINE_CHECKS, 0);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 4);
  builder.RegisterService(&kv_);
  builder.RegisterService(&meta_);
  builder.RegisterService(&admin_);
  server_ = builder.BuildAndStart();
  return server_ != nullptr && bound == port;
}

void NodeServer::kill() {
  if (!server_) return;
  // A deadline that has passed: the epoch. (gRPC takes earlier ones for "never".)
  server_->Shutdown(std::chrono::system_clock::time_point{});
  server_.reset();
}

}  // namespace norikv::testing
