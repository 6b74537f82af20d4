#pragma once

#include <norikv.grpc.pb.h>

#include "testing/engine.hpp"

// The gRPC services of one node: messages in, a question to the engine, messages out. They hold nothing but the engine
// and the node's number; owned by the node's server, called by gRPC's threads, which wait inside. Vector is not there:
// the real server does not have it either.
namespace norikv::testing {

class KvService final : public v1::Kv::Service {
 public:
  KvService(Engine& engine, NodeIndex node) : engine_(engine), node_(node) {}

  grpc::Status Put(grpc::ServerContext* context, const v1::PutRequest* request, v1::PutResponse* response) override;
  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest* request, v1::GetResponse* response) override;
  grpc::Status Delete(grpc::ServerContext* context, const v1::DeleteRequest* request,
                      v1::DeleteResponse* response) override;

 private:
  Engine& engine_;
  NodeIndex node_;
};

class MetaService final : public v1::Meta::Service {
 public:
  MetaService(Engine& engine, NodeIndex node) : engine_(engine), node_(node) {}

  grpc::Status WatchCluster(grpc::ServerContext* context, const v1::ClusterView* request,
                            grpc::ServerWriter<v1::ClusterView>* writer) override;

 private:
  Engine& engine_;
  NodeIndex node_;
};

class AdminService final : public v1::Admin::Service {
 public:
  AdminService(Engine& engine, NodeIndex node) : engine_(engine), node_(node) {}

  grpc::Status TransferShard(grpc::ServerContext* context, const v1::ShardInfo* request,
                             v1::ShardInfo* response) override;
  grpc::Status SnapshotShard(grpc::ServerContext* context, const v1::ShardInfo* request,
                             v1::ShardInfo* response) override;

 private:
  Engine& engine_;
  NodeIndex node_;
};

}  // namespace norikv::testing
