#include <utility>

#include "client/client_core.hpp"

// Subscriptions: they begin and end on the loop's thread.
namespace norikv::detail {
namespace {

using Streams = std::vector<ConnectionEvent>;
using View = std::shared_ptr<const ClusterView>;

std::vector<LeaderChange> known_leaders(const ClusterView& view) {
  std::vector<LeaderChange> leaders;
  for (std::uint32_t shard = 0; shard < view.shards.size(); ++shard) {
    const NodeView* leader = view.leader_of(shard);
    if (leader != nullptr) leaders.push_back({shard, {}, leader->address, view.shards[shard].source});
  }
  return leaders;
}

}  // namespace

template <>
void ClientCore::replay(EventSlot<TopologyEvent>& slot, const View& view, const Streams&) {
  TopologyEvent event;
  event.kind = EventKind::replay;
  event.before = view;
  event.after = view;
  event.cause = "subscription";
  slot.deliver(event);
}

template <>
void ClientCore::replay(EventSlot<LeadershipEvent>& slot, const View& view, const Streams&) {
  slot.deliver({EventKind::replay, known_leaders(*view)});
}

template <>
void ClientCore::replay(EventSlot<ConnectionEvent>& slot, const View&, const Streams& streams) {
  for (const ConnectionEvent& stream : streams) slot.deliver(stream);
}

template <>
void ClientCore::replay(EventSlot<LoadEvent>& slot, const View&, const Streams&) {
  slot.deliver(
      {EventKind::replay, !filled_up_.load(std::memory_order_relaxed), admission_.operations(), admission_.bytes()});
}

template <>
void ClientCore::replay(EventSlot<WarningEvent>&, const View&, const Streams&) {}

template <class Event>
std::shared_ptr<Slot> ClientCore::subscribe(UniqueFunction<void(const Event&)> on_event,
                                            UniqueFunction<void()> on_end) {
  auto slot = std::make_shared<EventSlot<Event>>(weak_from_this(), std::move(on_event), std::move(on_end));
  if (forked()) {
    slot->end();
    return slot;
  }
  enter([this, slot](Way way) {
    if (way == Way::too_late) return slot->end();
    // Events that are still to be delivered are older than the state that is replayed: the subscriber takes its place
    // behind them.
    session_.defer([this, slot, view = session_.cluster(), streams = session_.connection_states()] {
      if (end_ >= End::dropping_connections) return slot->end();  // the publishers end, or have ended
      if (!slot->active.load(std::memory_order_relaxed)) return slot->release();
      replay(*slot, view, streams);
      publisher<Event>().add(slot);
    });
  });
  return slot;
}

void ClientCore::unsubscribe(std::shared_ptr<Slot> slot) {
  if (forked()) return;
  // Always later: the subscriber may be running at this moment.
  enter_later([this, slot = std::move(slot)](Way way) {
    if (way == Way::too_late) return;  // the end of the client has released it
    std::apply([&](auto&... publisher) { (publisher.remove(slot.get()), ...); }, publishers_);
    slot->release();
  });
}

template std::shared_ptr<Slot> ClientCore::subscribe(UniqueFunction<void(const TopologyEvent&)>,
                                                     UniqueFunction<void()>);
template std::shared_ptr<Slot> ClientCore::subscribe(UniqueFunction<void(const LeadershipEvent&)>,
                                                     UniqueFunction<void()>);
template std::shared_ptr<Slot> ClientCore::subscribe(UniqueFunction<void(const ConnectionEvent&)>,
                                                     UniqueFunction<void()>);
template std::shared_ptr<Slot> ClientCore::subscribe(UniqueFunction<void(const LoadEvent&)>, UniqueFunction<void()>);
template std::shared_ptr<Slot> ClientCore::subscribe(UniqueFunction<void(const WarningEvent&)>, UniqueFunction<void()>);

}  // namespace norikv::detail
