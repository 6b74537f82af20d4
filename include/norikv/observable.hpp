#pragma once

#include <memory>

#include <norikv/export.hpp>
#include <norikv/unique_function.hpp>

namespace norikv {

namespace detail {
class ClientCore;
class Slot;
}  // namespace detail

/// Keeps a subscription alive; destroying it unsubscribes. Moves, does not copy.
class [[nodiscard]] Subscription {
 public:
  NORIKV_EXPORT Subscription() noexcept;
  NORIKV_EXPORT Subscription(Subscription&&) noexcept;
  NORIKV_EXPORT Subscription& operator=(Subscription&&) noexcept;
  NORIKV_EXPORT ~Subscription();

  /// Ends the subscription. [any thread] On the loop's thread no event comes after this returned, also when called from
  /// inside the subscriber. From another thread an event that is being delivered may still be running. The subscriber
  /// is destroyed on the loop's thread; its `on_end` is not called.
  NORIKV_EXPORT void unsubscribe() noexcept;

  /// Leaves the subscription on until the client closes.
  NORIKV_EXPORT void detach() noexcept;

  /// Whether this object still holds a subscription.
  [[nodiscard]] NORIKV_EXPORT bool active() const noexcept;

 private:
  template <class Event>
  friend class Observable;
  std::shared_ptr<detail::Slot> slot_;
};

/// A source of events. A small value: copy it, keep it; it stays valid (and silent) after the client is gone.
template <class Event>
class NORIKV_EXPORT Observable {
 public:
  /// Calls `on_event` on the loop's thread for every event from now on, and `on_end` once when the client closes.
  /// [any thread] Events arrive in the order in which they happened. References in an event live during the call.
  /// On a client that has finished closing `on_end` is called at once.
  [[nodiscard]] Subscription subscribe(UniqueFunction<void(const Event&)> on_event,
                                       UniqueFunction<void()> on_end = {}) const;

 private:
  friend class Client;
  explicit Observable(std::shared_ptr<detail::ClientCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<detail::ClientCore> core_;
};

}  // namespace norikv
