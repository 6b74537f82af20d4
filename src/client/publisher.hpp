#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

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
  UniqueFunction<void(const Event&)> on_event_;
  UniqueFunction<void()> on_end_;
};

/// The subscribers to one kind of event. [loop thread]
template <class Event>
class Publisher {
 public:
  void add(std::shared_ptr<EventSlot<Event>> slot) { slots_.push_back(std::move(slot)); }
  [[nodiscard]] bool empty() const { return slots_.empty(); }

  void publish(const Event& event) {
    // By number, and only those that were there: a subscriber may subscribe.
    const std::size_t count = slots_.size();
    for (std::size_t i = 0; i < count; ++i) {
      const std::shared_ptr<EventSlot<Event>> slot = slots_[i];
      slot->deliver(event);
    }
  }
  /// Forgets one that unsubscribed. Never called while an event is delivered.
  void remove(const Slot* gone) {
    std::erase_if(slots_, [&](const auto& slot) { return slot.get() == gone; });
  }
  void end() {
    for (const auto& slot : std::exchange(slots_, {})) slot->end();
  }

 private:
  std::vector<std::shared_ptr<EventSlot<Event>>> slots_;
};

}  // namespace norikv::detail
