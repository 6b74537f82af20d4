#include "testing/cluster_model.hpp"

#include <utility>

#include "testing/norikv_model.hpp"
#include "testing/replicated_model.hpp"

namespace norikv::testing {

std::unique_ptr<ClusterModel> make_model(ModelConfig config, TimePoint now) {
  if (config.cluster.profile == Profile::replicated) return std::make_unique<ReplicatedModel>(std::move(config), now);
  return std::make_unique<NorikvModel>(std::move(config), now);
}

std::string node_id(NodeIndex node) { return "node" + std::to_string(node); }

std::string replica_id(NodeIndex node, std::uint32_t shard) { return node_id(node) + "-shard" + std::to_string(shard); }

std::string local_address(std::uint32_t port) { return "127.0.0.1:" + std::to_string(port); }

}  // namespace norikv::testing
