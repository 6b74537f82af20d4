#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace norikv {

/// The keys of one call: a list in braces, or any container of strings or string views. Made where it is passed: it
/// borrows the texts, which have to live until the call returns.
class Keys {
 public:
  Keys(std::initializer_list<std::string_view> keys) : keys_(keys) {}

  template <class Container, class Element = decltype(*std::begin(std::declval<const Container&>()))>
  requires(!std::same_as<Container, Keys> && std::convertible_to<Element, std::string_view> &&
           // A string that the container makes while it is read would be gone when it is used.
           (std::is_reference_v<Element> || std::same_as<std::remove_cv_t<Element>, std::string_view>))
      Keys(const Container& container) {  // NOLINT(google-explicit-constructor)
    keys_.insert(keys_.end(), std::begin(container), std::end(container));
  }

  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
  [[nodiscard]] auto begin() const noexcept { return keys_.begin(); }
  [[nodiscard]] auto end() const noexcept { return keys_.end(); }

 private:
  std::vector<std::string_view> keys_;
};

}  // namespace norikv
