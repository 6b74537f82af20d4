#include "core/cluster_state.hpp"

#include <algorithm>
#include <utility>

#include "util/address.hpp"

namespace norikv::core {
namespace {

// Of one view; a server that tells more is not believed.
constexpr std::size_t max_told = 1024;

}  // namespace

ClusterState::ClusterState(const std::vector<std::string>& addresses, std::uint32_t total_shards, Translator translator)
    : translator_(std::move(translator)), shards_(total_shards), table_(total_shards) {
  Change first;
  for (const std::string& address : addresses) {
    const std::size_t slot = slot_of(address);
    nodes_[slot].configured = true;
    add(slot, first);
  }
  publish(first);
}

// --- which nodes there are ---

ClusterState::Change ClusterState::set_nodes(const std::vector<std::string>& addresses, TimePoint now) {
  Change change;
  change.cause = "set_nodes";
  for (Node& node : nodes_) node.configured = false;
  for (const std::string& address : addresses) nodes_[slot_of(address)].configured = true;
  settle_membership(now, change);
  return change;
}

std::size_t ClusterState::slot_of(const std::string& address) {
  const auto [known, is_new] = slots_.try_emplace(address, nodes_.size());
  if (!is_new) return known->second;
  if (!free_slots_.empty()) {
    known->second = free_slots_.front();
    free_slots_.pop_front();
    nodes_[known->second].view.address = address;
    return known->second;
  }
  Node& node = nodes_.emplace_back();
  node.view.address = address;
  node.claims.assign(shards_.size(), unlisted);
  places_.push_back(-1);  // until it is shown
  return known->second;
}

std::vector<std::size_t> ClusterState::long_gone() const {
  std::vector<std::size_t> gone;
  if (nodes_.size() - present_count_ <= remembered) return gone;
  for (std::size_t slot = 0; slot < nodes_.size(); ++slot) {
    if (!nodes_[slot].present && !nodes_[slot].view.address.empty()) gone.push_back(slot);
  }
  std::ranges::sort(gone, {}, [this](std::size_t slot) { return nodes_[slot].removal; });
  gone.resize(gone.size() - std::min(gone.size(), remembered));
  return gone;
}

void ClusterState::give_up(const std::vector<std::size_t>& slots) {
  std::vector<bool> given_up(nodes_.size());
  for (const std::size_t slot : slots) {
    given_up[slot] = true;
    slots_.erase(nodes_[slot].view.address);
    free_slots_.push_back(slot);
    nodes_[slot].view = NodeView{};
  }
  // A claim for whoever has the slot next has to be news.
  for (Node& node : nodes_) {
    if (!node.present) continue;
    for (std::int32_t& claim : node.claims) {
      if (claim >= 0 && given_up[static_cast<std::size_t>(claim)]) claim = nobody;
    }
    if (node.reading == nullptr) continue;
    for (std::int32_t& claim : node.reading->claims) {
      if (claim >= 0 && given_up[static_cast<std::size_t>(claim)]) claim = not_looked_up;
    }
  }
}

void ClusterState::add(std::size_t slot, Change& change) {
  nodes_[slot].present = true;
  nodes_[slot].fresh_stream = true;
  ++present_count_;
  change.added.push_back(slot);
}

void ClusterState::remove(std::size_t slot, TimePoint now, Change& change) {
  Node& node = nodes_[slot];
  node.present = false;
  node.removal = ++removals_;
  --present_count_;
  change.removed.push_back(slot);
  for (std::uint32_t shard = 0; shard < shards_.size(); ++shard) {
    if (leader(shard) == static_cast<std::int32_t>(slot)) set_leader(shard, -1, LeaderSource::none, now, change);
  }
  std::erase_if(ids_, [slot](const auto& entry) { return entry.second == slot; });
  const std::uint64_t incarnation = node.view.incarnation;
  node.view = NodeView{std::move(node.view.address), {}, {}, NodeHealth::unknown, incarnation, 0, {}};
  node.told.clear();
  node.reading.reset();
  node.unlisted_writes.clear();
  std::fill(node.claims.begin(), node.claims.end(), unlisted);
}

void ClusterState::settle_membership(TimePoint now, Change& change) {
  // A node that goes takes with it what it told, so this ends when a round changes nothing.
  for (bool changed = true; std::exchange(changed, false);) {
    std::vector<bool> wanted(nodes_.size());
    for (std::size_t slot = 0; slot < nodes_.size(); ++slot) wanted[slot] = nodes_[slot].configured;
    for (std::size_t slot = 0; slot < wanted.size(); ++slot) {
      if (!nodes_[slot].present) continue;
      for (const std::size_t other : nodes_[slot].told) wanted[other] = true;
    }
    for (std::size_t slot = 0; slot < nodes_.size(); ++slot) {
      if (wanted[slot] == nodes_[slot].present) continue;
      changed = true;
      if (wanted[slot])
        add(slot, change);
      else
        remove(slot, now, change);
    }
  }
}

std::vector<std::string> ClusterState::addresses() const {
  std::vector<std::string> present;
  for (const Node& node : nodes_) {
    if (node.present) present.push_back(node.view.address);
  }
  return present;
}

// --- what nodes tell ---

void ClusterState::on_stream_opened(std::size_t node, TimePoint now) {
  nodes_[node].fresh_stream = true;
  nodes_[node].stream_opened = now;
  nodes_[node].reading.reset();
}

ClusterState::Change ClusterState::on_view(std::size_t index, wire::LeaderView view, TimePoint now) {
  Change change;
  if (const auto& reading = nodes_[index].reading) {
    reading->successor = {std::move(view), now};
    return change;
  }
  change.cause = "view of " + nodes_[index].view.address;
  begin_view(index, std::move(view), now, change);
  if (amid_view(index)) take_slice(index, change);
  return change;
}

ClusterState::Change ClusterState::on_next_slice(std::size_t index) {
  Change change;
  if (!amid_view(index)) return change;
  change.cause = "view of " + nodes_[index].view.address;
  take_slice(index, change);
  return change;
}

void ClusterState::begin_view(std::size_t index, wire::LeaderView view, TimePoint arrived, Change& change) {
  const bool first = std::exchange(nodes_[index].fresh_stream, false);
  if (first) {
    begin_incarnation(nodes_[index]);
    change.nodes.push_back(index);
  } else if (view.epoch < nodes_[index].view.epoch) {
    // Within one stream epochs only grow; an older view that was overtaken is no news.
    return;
  }
  nodes_[index].view.epoch = view.epoch;
  const TimePoint previous_view = std::exchange(nodes_[index].view.last_view, arrived);
  const Translations addresses = translate(view);
  const wire::Node* self = self_entry(nodes_[index], view, addresses);
  learn_self(index, self, change);
  if (translator_) learn_others(index, view, self, addresses, arrived, change);
  Node& node = nodes_[index];  // not earlier: new nodes move the others
  if (!node.present) return;   // by its own word: those who told of it have gone with what it does not tell any more
  if (node.view.health != NodeHealth::up) {
    node.view.health = NodeHealth::up;
    if (change.nodes.empty()) change.nodes.push_back(index);
  }
  show_node(index);
  node.reading = std::make_unique<Reading>();
  node.reading->claims.assign(view.leaders.size(), not_looked_up);
  node.reading->listed.resize(shards_.size());
  node.reading->view = std::move(view);
  node.reading->arrived = arrived;
  node.reading->previous_view = previous_view;
  node.reading->first_of_stream = first;
}

void ClusterState::take_slice(std::size_t index, Change& change) {
  Node& node = nodes_[index];
  Reading& reading = *node.reading;
  std::size_t left = shards_per_slice;
  take_shards(index, reading, left, change);
  const bool listed_all = reading.next == reading.view.shards.size();
  if (listed_all && reading.first_of_stream) forget_unconfirmed(index, reading, left, change);
  std::stable_sort(change.leaders.begin(), change.leaders.end(),
                   [](const LeaderChange& a, const LeaderChange& b) { return a.shard < b.shard; });
  if (!listed_all || (reading.first_of_stream && reading.next_to_confirm < shards_.size())) return;
  if (!reading.first_of_stream && !reading.view.shards.empty()) check_writes(node, reading.previous_view, change);
  const std::unique_ptr<Reading> over = std::move(node.reading);
  if (over->successor) begin_view(index, std::move(over->successor->view), over->successor->arrived, change);
}

void ClusterState::take_shards(std::size_t index, Reading& reading, std::size_t& left, Change& change) {
  const std::vector<wire::LeaderView::Shard>& shards = reading.view.shards;
  for (; left > 0 && reading.next < shards.size() && change.leaders.size() < changes_per_slice; --left) {
    const std::uint32_t id = shards[reading.next].id;
    std::int32_t claim = nobody;  // of several that are said to lead the first one that is known
    bool led = true;
    for (; reading.next < shards.size() && shards[reading.next].id == id; ++reading.next) {
      const std::uint32_t leader = shards[reading.next].leader;
      led = led && leader != wire::LeaderView::nobody;  // else it is listed again, and that does not count
      if (led && claim == nobody) claim = claim_of(index, reading, leader);
    }
    if (id >= shards_.size()) {
      if (!std::exchange(nodes_[index].range_reported, true)) change.shard_out_of_range = id;
    } else if (!reading.listed[id]) {
      reading.listed[id] = true;
      apply_claim(index, id, claim, reading.arrived, change);
    }
  }
}

ClusterState::Change ClusterState::on_leader_answer(std::uint32_t shard, std::size_t node, TimePoint asked,
                                                    TimePoint now) {
  Change change;
  // What was asked before the last change may be answered from the time before it.
  if (asked < shards_[shard].changed) return change;
  if (!nodes_[node].present) return change;
  if (leader(shard) == static_cast<std::int32_t>(node)) {
    shards_[shard].changed = asked;  // a refusal of what was asked earlier is old news from here on
    const LeaderSource source = std::exchange(shards_[shard].view.source, LeaderSource::answer);
    if (source != LeaderSource::answer) shown_shards_.set(shard, shown(shards_[shard].view));
    change.confirmed = source == LeaderSource::hint;
    return change;
  }
  change.cause = "answer of " + address(node);
  set_leader(shard, static_cast<std::int32_t>(node), LeaderSource::answer, now, change);
  return change;
}

ClusterState::Change ClusterState::on_hint(std::uint32_t shard, std::size_t leader_hint, TimePoint asked,
                                           TimePoint now) {
  Change change;
  if (leader(shard) == static_cast<std::int32_t>(leader_hint) || asked < shards_[shard].changed) return change;
  if (!nodes_[leader_hint].present) return change;
  change.cause = "hint to " + address(leader_hint);
  set_leader(shard, static_cast<std::int32_t>(leader_hint), LeaderSource::hint, now, change);
  return change;
}

ClusterState::Change ClusterState::on_refusal(std::uint32_t shard, std::size_t node, std::string cause, TimePoint asked,
                                              TimePoint now) {
  Change change;
  if (leader(shard) != static_cast<std::int32_t>(node) || asked < shards_[shard].changed) return change;
  change.cause = std::move(cause);
  set_leader(shard, -1, LeaderSource::refusal, now, change);
  return change;
}

ClusterState::Change ClusterState::on_health(std::size_t index, NodeHealth health, std::string cause) {
  Change change;
  NodeView& node = nodes_[index].view;
  if (node.health == health || !nodes_[index].present) return change;
  node.health = health;
  show_node(index);
  change.cause = std::move(cause);
  change.nodes.push_back(index);
  return change;
}

void ClusterState::on_written(std::uint32_t shard, std::size_t node, TimePoint now) {
  if (lists(node, shard) || nodes_[node].view.incarnation == 0) return;
  nodes_[node].unlisted_writes.insert_or_assign(shard, now);
}

std::size_t ClusterState::nodes_heard_of() const {
  return static_cast<std::size_t>(std::count_if(nodes_.begin(), nodes_.end(), [](const Node& node) {
    return node.present && node.view.health == NodeHealth::up;
  }));
}

std::int32_t ClusterState::find(std::string_view address_or_id) const {
  if (const auto slot = slots_.find(std::string{address_or_id}); slot != slots_.end() && nodes_[slot->second].present)
    return static_cast<std::int32_t>(slot->second);
  // Raft ids carry the shard as a suffix: "node0-shard17".
  const std::size_t suffix = address_or_id.rfind("-shard");
  const std::string id{suffix == std::string_view::npos ? address_or_id : address_or_id.substr(0, suffix)};
  const auto known = ids_.find(id);
  return known == ids_.end() ? -1 : static_cast<std::int32_t>(known->second);
}

void ClusterState::publish(const Change& change) {
  const bool counts =
      !change.nodes.empty() || !change.leaders.empty() || !change.added.empty() || !change.removed.empty();
  auto next = std::make_shared<ClusterView>();
  next->generation = snapshot_ == nullptr ? 0 : snapshot_->generation + (counts ? 1 : 0);
  if (!change.added.empty() || !change.removed.empty()) show_all();
  next->nodes = shown_nodes_.share();
  next->shards = shown_shards_.share();
  snapshot_ = std::move(next);
}

void ClusterState::show_node(std::size_t slot) {
  if (places_[slot] >= 0) shown_nodes_.set(static_cast<std::size_t>(places_[slot]), nodes_[slot].view);
}

// When places have changed. Nodes seldom come and go.
void ClusterState::show_all() {
  std::vector<std::size_t> present;
  for (std::size_t slot = 0; slot < nodes_.size(); ++slot) {
    places_[slot] = nodes_[slot].present ? static_cast<std::int32_t>(present.size()) : -1;
    if (nodes_[slot].present) present.push_back(slot);
  }
  shown_nodes_.assign(present.size(), [&](std::size_t place) { return nodes_[present[place]].view; });
  shown_shards_.assign(shards_.size(), [&](std::size_t shard) { return shown(shards_[shard].view); });
}

void ClusterState::begin_incarnation(Node& node) {
  ++node.view.incarnation;
  node.range_reported = false;
  node.absence_reported = false;
  node.unlisted_writes.clear();  // a new process creates its shards anew
  std::fill(node.claims.begin(), node.claims.end(), unlisted);
}

ClusterState::Translations ClusterState::translate(const wire::LeaderView& view) const {
  Translations addresses(view.nodes.size());
  if (!translator_) return addresses;
  for (std::size_t i = 0; i < view.nodes.size(); ++i) {
    std::optional<std::string> address = translator_(view.nodes[i].id, view.nodes[i].address);
    if (address && util::parse_address(*address)) addresses[i] = std::move(address);
  }
  return addresses;
}

// The entry of the node that answers: its address is the one we dialled, or it is the only entry, or the only one with
// the role that the 0.1.0 server gives itself.
const wire::Node* ClusterState::self_entry(const Node& node, const wire::LeaderView& view,
                                           const Translations& addresses) const {
  for (std::size_t i = 0; i < view.nodes.size(); ++i) {
    if (view.nodes[i].address == node.view.address || addresses[i] == node.view.address) return &view.nodes[i];
  }
  if (view.nodes.size() == 1) return &view.nodes.front();
  const wire::Node* self = nullptr;
  for (const wire::Node& entry : view.nodes) {
    if (entry.role != "unknown") continue;
    if (self != nullptr) return nullptr;
    self = &entry;
  }
  return self;
}

void ClusterState::learn_self(std::size_t index, const wire::Node* self, Change& change) {
  NodeView& node = nodes_[index].view;
  if (self == nullptr || (self->id == node.id && self->role == node.role)) return;
  if (self->id != node.id) {
    const auto old = ids_.find(node.id);
    if (old != ids_.end() && old->second == index) ids_.erase(old);
    if (!self->id.empty()) ids_.insert_or_assign(self->id, index);
  }
  node.id = self->id;
  node.role = self->role;
  if (change.nodes.empty()) change.nodes.push_back(index);
}

void ClusterState::learn_others(std::size_t index, const wire::LeaderView& view, const wire::Node* self,
                                const Translations& addresses, TimePoint now, Change& change) {
  std::vector<std::size_t> told;
  for (std::size_t i = 0; i < view.nodes.size() && told.size() < max_told; ++i) {
    if (&view.nodes[i] != self && addresses[i]) told.push_back(slot_of(*addresses[i]));
  }
  if (told == nodes_[index].told) return;
  nodes_[index].told = std::move(told);
  settle_membership(now, change);
  for (std::size_t i = 0; i < view.nodes.size(); ++i) {
    // What a node says of itself counts more.
    if (&view.nodes[i] == self || !addresses[i] || view.nodes[i].id.empty()) continue;
    if (const std::int32_t slot = find(*addresses[i]); slot >= 0)
      ids_.try_emplace(view.nodes[i].id, static_cast<std::size_t>(slot));
  }
}

std::int32_t ClusterState::claim_of(std::size_t index, Reading& reading, std::uint32_t leader) const {
  std::int32_t& claim = reading.claims[leader];
  if (claim == not_looked_up) {
    const std::string& id = reading.view.leaders[leader];
    const auto known = ids_.find(id);
    claim = known == ids_.end() ? nobody : static_cast<std::int32_t>(known->second);
    // A node that speaks of itself means itself, whoever else has taken the same id.
    if (id == nodes_[index].view.id) claim = static_cast<std::int32_t>(index);
  }
  // A node may have gone since its id was looked up.
  return claim >= 0 && nodes_[static_cast<std::size_t>(claim)].present ? claim : nobody;
}

// A view that was on its way when the write was acknowledged may lack the shard; the one after it may not.
void ClusterState::check_writes(Node& node, TimePoint previous_view, Change& change) {
  for (auto write = node.unlisted_writes.begin(); write != node.unlisted_writes.end();) {
    const auto [shard, acknowledged] = *write;
    const bool listed = node.claims[shard] != unlisted;
    if (!listed && acknowledged >= previous_view) {
      ++write;
      continue;
    }
    if (!listed && !std::exchange(node.absence_reported, true)) change.shard_not_listed = shard;
    write = node.unlisted_writes.erase(write);
  }
}

void ClusterState::apply_claim(std::size_t node, std::uint32_t shard, std::int32_t claim, TimePoint arrived,
                               Change& change) {
  std::int32_t& last = nodes_[node].claims[shard];
  const std::int32_t before = std::exchange(last, claim);
  if (before == claim) return;
  if (shards_[shard].changed > arrived) return;  // something newer was learned before this slice had its turn
  if (claim >= 0) {
    set_leader(shard, claim, LeaderSource::view, arrived, change);
  } else if (before >= 0 && before == leader(shard)) {
    // The node stopped saying so. A node that starts with "nobody" takes nothing back.
    set_leader(shard, -1, LeaderSource::view, arrived, change);
  }
}

void ClusterState::forget_unconfirmed(std::size_t node, Reading& reading, std::size_t& left, Change& change) {
  // A new stream may mean a new process: what was believed of the node before the stream was opened, and what its first
  // view does not say again, is void.
  const auto index = static_cast<std::int32_t>(node);
  for (std::uint32_t& shard = reading.next_to_confirm; shard < shards_.size(); ++shard, --left) {
    if (left == 0 || change.leaders.size() >= changes_per_slice) return;
    if (leader(shard) != index || nodes_[node].claims[shard] == index) continue;
    if (shards_[shard].changed < nodes_[node].stream_opened)
      set_leader(shard, -1, LeaderSource::view, reading.arrived, change);
  }
}

void ClusterState::set_leader(std::uint32_t shard, std::int32_t leader, LeaderSource source, TimePoint now,
                              Change& change) {
  Shard& entry = shards_[shard];
  entry.changed = now;
  const std::int32_t before = std::exchange(entry.view.leader, leader);
  entry.view.source = source;
  table_.set(shard, leader);
  shown_shards_.set(shard, shown(entry.view));
  if (before == leader) return;
  const auto name = [this](std::int32_t node) {
    return node < 0 ? std::string{} : address(static_cast<std::size_t>(node));
  };
  change.leaders.push_back({shard, name(before), name(leader), source});
}

}  // namespace norikv::core
