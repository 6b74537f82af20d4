#include "testing/view_faults.hpp"

#include <algorithm>

namespace norikv::testing {

wire::View falsified(wire::View view, const ViewFaults& faults) {
  const ViewFault* claim = nullptr;
  for (const ViewFault& fault : faults) {
    view.epoch -= std::min(view.epoch, fault.epoch_back);
    if (!fault.claimed_id.empty()) claim = &fault;
  }
  if (claim == nullptr) return view;
  for (wire::Node& node : view.nodes) {
    if (node.id == claim->own_id) node.id = claim->claimed_id;
  }
  for (wire::Shard& shard : view.shards) {
    for (wire::Replica& replica : shard.replicas) {
      if (replica.node_id == claim->own_id) replica.node_id = claim->claimed_id;
    }
  }
  return view;
}

}  // namespace norikv::testing
