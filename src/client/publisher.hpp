#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include <norikv/observable.hpp>
#include <norikv/unique_function.hpp>

namespace norikv::detail {

/// One subscription: shared by the user's `Subscription` and the client. What the user gave lives and dies on the
/// loop's thread.
class Slot {
 public:
  explicit Slot(std::weak_ptr<ClientCore> client) : owner(std::move(client)) {}
  virtual ~Slot() = default;
  /// [loop thread] Destroys the user's functions; `end` calls `on_end` before.
  virtual void release() = 0;
  virtual void end() = 0;

  const std::weak_ptr<ClientCore> owner;
  std::atomic<bool> active{true};  // cleared by `unsubscribe`, from any thread
};

template <class Event>
class Publisher;

template <class Event>
class EventSlot final : public Slot {
 public:
  EventSlot(std::weak_ptr<ClientCore> client, UniqueFunction<void(const Event&)> on_event,
            UniqueFunction<void()> on_end)
      : Slot(std::move(client)), on_event_(std::move(on_event)), on_end_(std::move(on_end)) {}

  void deliver(const Event& event) {
    if (active.load(std::memory_order_relaxed) && on_event_) on_event_(event);
  }
  void release() override {
    on_event_ = {};
    on_end_ = {};
  }
  void end() override {
    UniqueFunction<void()> on_end = std::move(on_end_);
    if (active.exchange(false, std::memory_order_relaxed) && on_end) on_end();
    release();
  }

 private:
  friend Publisher<Event>;

  UniqueFunction<void(const Event&)> on_event_;
  UniqueFunction<void()> on_end_;
  std::optional<typename std::list<std::shared_ptr<EventSlot>>::iterator> place_{};  // in the publisher's list
};

/// The subscribers to one kind of event. [loop thread]
template <class Event>
class Publisher {
 public:
  void add(const std::shared_ptr<EventSlot<Event>>& slot) { slot->place_ = slots_.insert(slots_.end(), slot); }
  [[nodiscard]] bool empty() const { return slots_.empty(); }

  void publish(const Event& event) {
    for (const auto& slot : slots_) slot->deliver(event);
  }
  /// Forgets one that unsubscribed, if it is one of these. As `add`, never called while an event is delivered: what a
  /// subscriber does about subscriptions comes after that.
  void remove(Slot* gone) {
    auto* const slot = dynamic_cast<EventSlot<Event>*>(gone);
    if (slot != nullptr && slot->place_) slots_.erase(*std::exchange(slot->place_, std::nullopt));
  }
  void end() {
    for (const auto& slot : slots_) slot->place_.reset();
    for (const auto& slot : std::exchange(slots_, {})) slot->end();
  }

 private:
  std::list<std::shared_ptr<EventSlot<Event>>> slots_;  // in the order of subscription
};

}  // namespace norikv::detail
