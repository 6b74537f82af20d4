#include "simulation/judge.hpp"

#include <algorithm>
#include <utility>

#include "util/text.hpp"

namespace norikv::simulation {

void Judge::fail(std::string check, const std::string& detail) const {
  throw Violation{std::move(check), "client " + std::to_string(client_) + ": " + detail};
}

void Judge::fail(std::string check, const OperationRecord& operation, const std::string& detail) const {
  fail(std::move(check), "operation " + std::to_string(operation.number) + " (key " + operation.key + ", shard " +
                             std::to_string(operation.shard) + "): " + detail);
}

OperationRecord& Judge::submitted(OperationRecord record) {
  record.number = operations_.size();
  record.client = client_;
  record.begin = agenda_.stamp();
  operations_.push_back(std::move(record));
  OperationRecord& operation = operations_.back();
  pending_.push_back(operation.number);
  if (operation.payload) by_payload_.emplace(operation.payload.get(), &operation);
  if (operation.look) by_payload_.emplace(operation.look.get(), &operation);
  if (operation.users_key && !operation.refused) {
    std::vector<OperationRecord*>& same = by_key_[operation.idempotency_key];
    same.push_back(&operation);
    for (OperationRecord* each : same) each->shares_key = same.size() > 1;
  }
  return operation;
}

void Judge::told(OperationRecord& operation, std::optional<Error> error) {
  if (++operation.told > 1) fail("callback-twice", operation, "its callback came twice");
  std::erase(pending_, operation.number);
  operation.end = agenda_.stamp();
  operation.told_at = agenda_.now();
  operation.error = std::move(error);
  check_end(operation);
}

void Judge::topology(const TopologyEvent& event) {
  if (!event.before || !event.after) fail("topology-chain", "an event without a state");
  if (event.after->generation != event.before->generation + 1)
    fail("topology-chain", "the generation did not grow by one");
  if (generation_ && event.before->generation != *generation_)
    fail("topology-chain", "an event does not begin where the last one ended");
  generation_ = event.after->generation;
  const auto differ = [](const ClusterView& there, const ClusterView& not_there) {
    std::set<std::string> addresses;
    for (const NodeView& node : there.nodes) addresses.insert(node.address);
    for (const NodeView& node : not_there.nodes) addresses.erase(node.address);
    return addresses;
  };
  const auto told = [](const std::vector<std::string>& addresses) {
    return std::set<std::string>(addresses.begin(), addresses.end());
  };
  if (told(event.nodes_added) != differ(*event.after, *event.before) ||
      told(event.nodes_removed) != differ(*event.before, *event.after))
    fail("topology-chain", "an event does not tell which nodes came and went");
  for (const LeaderChange& change : event.leaders_changed) {
    std::string& leader = leaders_[change.shard];
    const std::string shard = "shard " + std::to_string(change.shard);
    if (change.before != leader) fail("topology-chain", shard + " changes from a leader that it did not have");
    if (change.after == change.before) fail("topology-chain", shard + " changes to the leader that it had");
    leader = change.after;
    const NodeView* leads = event.after->leader_of(change.shard);
    if ((leads == nullptr ? std::string{} : leads->address) != leader)
      fail("topology-chain", shard + ": the event and its state name different leaders");
  }
  // What did not change in the event did not change in the state.
  for (std::uint32_t shard = 0; shard < event.after->shards.size(); ++shard) {
    const NodeView* leads = event.after->leader_of(shard);
    if ((leads == nullptr ? std::string{} : leads->address) != leaders_[shard])
      fail("topology-chain", "the leader of shard " + std::to_string(shard) + " changed without an event");
  }
}

// A new subscriber's first event: the state in which its next event begins.
void Judge::replay(const ClusterView& view) {
  if (view.generation != generation_.value_or(0))
    fail("topology-chain", "a replay does not tell the state between two events");
}

// Whether another node's view says that the node leads the shard: that may be why it is believed.
bool Judge::claimed_elsewhere(std::size_t node, std::uint32_t shard) const {
  for (const auto& [teller, view] : last_views_) {
    if (teller == node) continue;
    for (const wire::Shard& each : view.shards) {
      for (const wire::Replica& replica : each.replicas) {
        if (each.id == shard && replica.leader &&
            replica.node_id == testing::node_id(static_cast<testing::NodeIndex>(node)))
          return true;
      }
    }
  }
  return false;
}

void Judge::view_shown(std::size_t node, bool first_of_stream, const wire::View& view, const ClusterView& before,
                       const ClusterView& after) {
  if (find_node(after, node) == nullptr) return;  // it told of others, and went with what told of it
  const NodeView& was = *find_node(before, node);
  const NodeView& is = *find_node(after, node);
  const bool older = !first_of_stream && view.epoch < was.epoch;
  const std::uint64_t expected = older ? was.epoch : view.epoch;
  if (is.epoch != expected) {
    fail("incarnation", "a view of " + is.address + " with epoch " + std::to_string(view.epoch) + " left epoch " +
                            std::to_string(is.epoch) + ", it should be " + std::to_string(expected));
  }
  if (is.incarnation != was.incarnation + (first_of_stream ? 1 : 0))
    fail("incarnation", "the incarnation of " + is.address + " went from " + std::to_string(was.incarnation) + " to " +
                            std::to_string(is.incarnation));
  if (!older && is.health != NodeHealth::up) fail("incarnation", is.address + " spoke and is not up");
  if (!older) last_views_[node] = view;
  if (!first_of_stream) return;
  // What the node itself had claimed on a stream that ended, and does not claim again, is void.
  for (std::uint32_t shard = 0; shard < before.shards.size(); ++shard) {
    const ShardView& believed = before.shards[shard];
    const auto index = static_cast<std::int32_t>(node);
    if (believed_leader(before, shard) != index || believed.source != LeaderSource::view) continue;
    const auto listed = std::find_if(view.shards.begin(), view.shards.end(),
                                     [shard](const wire::Shard& each) { return each.id == shard; });
    const bool claimed =
        listed != view.shards.end() && std::any_of(listed->replicas.begin(), listed->replicas.end(),
                                                   [](const wire::Replica& replica) { return replica.leader; });
    if (!claimed && !claimed_elsewhere(node, shard) && believed_leader(after, shard) == index) {
      fail("incarnation", "shard " + std::to_string(shard) + " is still believed to be led by " + is.address +
                              ", on the word of a stream that ended");
    }
  }
}

// Those that a user names are there, those that one of these tells and the client can dial, and no others.
void Judge::check_members(const ClusterView& view) const {
  std::set<std::size_t> expected = named_;
  std::set<std::size_t> present;
  for (const NodeView& node : view.nodes) {
    const std::size_t teller = node_of_address(node.address).value();
    present.insert(teller);
    const auto told = last_views_.find(teller);
    if (told == last_views_.end()) continue;
    for (std::size_t other = 0; other < scenario_.cluster.nodes; ++other) {
      const std::string id = testing::node_id(static_cast<testing::NodeIndex>(other));
      const auto is_it = [&](const wire::Node& each) { return each.id == id; };
      const bool tells = std::any_of(told->second.nodes.begin(), told->second.nodes.end(), is_it);
      if (other != teller && tells && (scenario_.translated >> other) % 2 == 1) expected.insert(other);
    }
  }
  if (present == expected) return;
  fail("members", std::to_string(present.size()) + " nodes are there, and it should be " +
                      std::to_string(expected.size()) + ", or others");
}

void Judge::watches(std::size_t node, const ClusterView& view) const {
  if (find_node(view, node) == nullptr)
    fail("absent-node", "a stream is opened to " + address_of_node(node) + ", which was removed");
}

void Judge::retains(std::vector<std::string> addresses, const ClusterView& view) {
  // A node that comes back is a new one.
  std::erase_if(refusing_streams_, [&](const auto& each) { return std::ranges::count(addresses, each.first) == 0; });
  std::vector<std::string> present;
  for (const NodeView& node : view.nodes) present.push_back(node.address);
  std::sort(present.begin(), present.end());
  std::sort(addresses.begin(), addresses.end());
  if (addresses != present) fail("members", "connections are kept to other nodes than those that are there");
}

void Judge::warning(const WarningEvent& event) {
  if (event.kind == WarningKind::write_collision) return collisions_.push_back(event);
  fail("false-warning", event.message);
}

void Judge::after_turn(core::Session& session) {
  if (!session.deliveries().empty()) return;  // more turns follow at once
  check_moved();
  for (const std::uint64_t number : pending_) {
    const OperationRecord& operation = operations_[number];
    if (operation.deadline <= agenda_.now()) fail("late", operation, "its deadline is over and it was not called back");
    if (closes_at_ && *closes_at_ <= agenda_.now())
      fail("late", operation, "the grace of the close is over and it was not called back");
  }
}

void Judge::at_end() {
  for (const OperationRecord& operation : operations_) {
    if (operation.pending()) fail("callback-missing", operation, "its callback never came");
    check_truth(operation);
  }
  check_collisions();
  check_looked_in_time();
  check_retry_budget();
}

}  // namespace norikv::simulation
