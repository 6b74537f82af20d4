#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace norikv {

template <class Signature>
class UniqueFunction;

/// A move-only callable: what every callback and task of this library is stored in.
///
/// Callables of up to `inline_size` bytes are stored without an allocation. A callable that throws ends the
/// process (`std::terminate`): an exception has nowhere to go on an event loop.
template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  /// Bytes stored in place; larger callables are allocated.
  static constexpr std::size_t inline_size = 6 * sizeof(void*);

  UniqueFunction() noexcept = default;
  UniqueFunction(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor)

  template <class F, class Decayed = std::decay_t<F>>
  requires(!std::is_same_v<Decayed, UniqueFunction> && std::is_invocable_r_v<R, Decayed&, Args...>)
      UniqueFunction(F&& callable) {  // NOLINT(google-explicit-constructor)
    if constexpr (fits<Decayed>) {
      ::new (static_cast<void*>(storage_)) Decayed(std::forward<F>(callable));
      table_ = &inline_table<Decayed>;
    } else {
      ::new (static_cast<void*>(storage_)) Decayed*(new Decayed(std::forward<F>(callable)));
      table_ = &heap_table<Decayed>;
    }
  }

  UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  UniqueFunction(const UniqueFunction&) = delete;
  UniqueFunction& operator=(const UniqueFunction&) = delete;
  ~UniqueFunction() { reset(); }

  explicit operator bool() const noexcept { return table_ != nullptr; }

  /// Calls the stored callable. There must be one.
  R operator()(Args... args) noexcept { return table_->invoke(storage_, std::forward<Args>(args)...); }

 private:
  struct Table {
    R (*invoke)(void*, Args&&...) noexcept;
    void (*move)(void* from, void* to) noexcept;
    void (*destroy)(void*) noexcept;
  };

  template <class F>
  static constexpr bool fits = sizeof(F) <= inline_size &&
                               alignof(F) <= alignof(void*) && std::is_nothrow_move_constructible_v<F>;

  /// Drops what the callable returns if nobody asked for it.
  template <class F>
  static R call(F& callable, Args&&... args) noexcept {
    if constexpr (std::is_void_v<R>) {
      static_cast<void>(callable(std::forward<Args>(args)...));
    } else {
      return callable(std::forward<Args>(args)...);
    }
  }

  template <class F>
  static constexpr Table inline_table = {[](void* self, Args&&... args) noexcept -> R {
                                           return call(*static_cast<F*>(self), std::forward<Args>(args)...);
                                         },
                                         [](void* from, void* to) noexcept {
                                           ::new (to) F(std::move(*static_cast<F*>(from)));
                                           static_cast<F*>(from)->~F();
                                         },
                                         [](void* self) noexcept { static_cast<F*>(self)->~F(); }};

  template <class F>
  static constexpr Table heap_table = {[](void* self, Args&&... args) noexcept -> R {
                                         return call(**static_cast<F**>(self), std::forward<Args>(args)...);
                                       },
                                       [](void* from, void* to) noexcept { ::new (to) F*(*static_cast<F**>(from)); },
                                       [](void* self) noexcept { delete *static_cast<F**>(self); }};

  void take(UniqueFunction& other) noexcept {
    table_ = std::exchange(other.table_, nullptr);
    if (table_ != nullptr) table_->move(other.storage_, storage_);
  }
  void reset() noexcept {
    if (const Table* table = std::exchange(table_, nullptr)) table->destroy(storage_);
  }

  const Table* table_ = nullptr;
  alignas(void*) std::byte storage_[inline_size];
};

}  // namespace norikv
