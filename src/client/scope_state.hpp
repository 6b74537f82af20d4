#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

#include <norikv/fwd.hpp>
#include <norikv/scope.hpp>

namespace norikv::detail {

class ScopeState;

/// What is tied to a scope: one operation, a range of them (`get_many`), or a wait for readiness.
struct Tied {
  enum class Kind : std::uint8_t { operations, readiness };
  Kind kind = Kind::operations;
  std::uint64_t first = 0;
  std::uint64_t count = 1;
};

/// The place of one callback in a scope's list; it lives in the callback, so that what has called back is off the list
/// by itself. It joins the list when the session takes the operation, on the loop's thread.
class ScopeMember {
 public:
  explicit ScopeMember(std::shared_ptr<ScopeState> scope) noexcept;
  ScopeMember(const ScopeMember&) = delete;
  ScopeMember& operator=(const ScopeMember&) = delete;
  ~ScopeMember();

  [[nodiscard]] bool scope_ended() const noexcept;
  /// From now on the end of the scope cancels this. False if it has ended already.
  [[nodiscard]] bool join(std::weak_ptr<ClientCore> core, const ClientCore* identity, Tied tied);
  /// Leaves the list. False if the scope has ended: then the callback must not be called.
  [[nodiscard]] bool leave() noexcept;

 private:
  friend class ScopeState;
  const std::shared_ptr<ScopeState> scope_;
  // guarded by the scope's mutex
  ScopeMember* previous_ = nullptr;
  ScopeMember* next_ = nullptr;
  std::weak_ptr<ClientCore> core_;
  const ClientCore* identity_ = nullptr;
  Tied tied_;
  // the loop's thread
  bool joined_ = false;
};

/// What a `Scope` and the callbacks that are tied to it share. The mutex is held for a few instructions, but for `end`,
/// which walks the list once. [any thread]
class ScopeState {
 public:
  ScopeState() noexcept;

  void end();
  [[nodiscard]] bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t operations() const noexcept { return operations_.load(std::memory_order_relaxed); }

 private:
  friend class ScopeMember;
  const std::uint32_t fork_generation_;
  std::atomic<bool> ended_{false};
  std::atomic<std::size_t> operations_{0};
  std::mutex mutex_;
  ScopeMember* first_ = nullptr;  // in the order in which they joined
  ScopeMember* last_ = nullptr;
};

/// A user's callback and its place in a scope. Called once at most, and destroyed, on the loop's thread.
template <class Callback>
struct ScopedCallback {
  ScopedCallback(std::shared_ptr<ScopeState> scope, Callback users)
      : member(std::move(scope)), callback(std::move(users)) {}

  template <class Outcome>
  void operator()(Outcome&& outcome) {
    if (member.leave() && callback) callback(std::forward<Outcome>(outcome));
  }

  ScopeMember member;
  Callback callback;
};

/// A callback in the place of the user's one, which is called only while the scope has not ended; and its member.
template <class Argument>
[[nodiscard]] std::pair<UniqueFunction<void(Argument)>, ScopeMember*> tie(std::shared_ptr<ScopeState> scope,
                                                                          UniqueFunction<void(Argument)> callback) {
  auto scoped = std::make_unique<ScopedCallback<UniqueFunction<void(Argument)>>>(std::move(scope), std::move(callback));
  ScopeMember* const member = &scoped->member;
  return {[scoped = std::move(scoped)](Argument result) { (*scoped)(std::move(result)); }, member};
}

}  // namespace norikv::detail
