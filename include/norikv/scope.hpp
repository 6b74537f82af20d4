#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <norikv/export.hpp>

namespace norikv {

namespace detail {
class ClientCore;
class ScopeState;
}  // namespace detail

/// Ties operations to the life of an object: name it in their options (`{.scope = scope}`), and when it ends they are
/// cancelled and their callbacks destroyed uncalled. Keep it as the last member of the object that the callbacks use:
/// then none runs on an object that is gone.
///
/// - Ended on the loop's thread, also from inside a callback: none of its callbacks runs after `end` returned.
/// - Ended on another thread: a callback that the loop's thread has begun to call by then may still be running, at most
///   one for each client; none begins later. Where that is not enough, end the scope in `Client::post`.
/// - The callbacks are not destroyed inside `end` but soon after, on the loop's thread.
/// - Cancelling is what `Operation::cancel` does: a write that was on the wire may still be applied.
/// - A scope that has ended takes no new operation: nothing is sent, and the callback is destroyed uncalled.
/// - The operations of a scope may belong to several clients, and it may outlive them. For `drain`, `close` and
///   `stats` they are operations like all others.
///
/// In a forked child a scope of the parent only refuses. Moves, does not copy; one that was moved from has ended.
class Scope {
 public:
  NORIKV_EXPORT Scope();
  NORIKV_EXPORT Scope(Scope&&) noexcept;
  /// Ends what this scope has held before.
  NORIKV_EXPORT Scope& operator=(Scope&&) noexcept;
  /// Ends the scope.
  NORIKV_EXPORT ~Scope();

  /// Cancels its operations; see above. [any thread] Again: no effect.
  NORIKV_EXPORT void end() noexcept;
  /// [any thread]
  [[nodiscard]] NORIKV_EXPORT bool ended() const noexcept;
  /// How many of its operations hold a callback that has not been destroyed yet. [any thread]
  [[nodiscard]] NORIKV_EXPORT std::size_t operations() const noexcept;

 private:
  friend class ScopeRef;
  std::shared_ptr<detail::ScopeState> state_;
};

/// Names a scope in the options of an operation, or none. A small value that does not keep the scope from ending.
class ScopeRef {
 public:
  ScopeRef() noexcept = default;
  ScopeRef(const Scope& scope) : state_(state_of(scope)) {}  // NOLINT(google-explicit-constructor)
  ScopeRef(const Scope&&) = delete;                          // it would end before the operation does

 private:
  friend class detail::ClientCore;
  [[nodiscard]] static NORIKV_EXPORT std::shared_ptr<detail::ScopeState> state_of(const Scope& scope);
  std::shared_ptr<detail::ScopeState> state_;
};

}  // namespace norikv
