#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace norikv {

/// A read-only sequence. Copies share all elements, and versions of it that an `Editor` made share those that are
/// equal in both: a change among 65,536 elements copies a few kilobytes. May be read from several threads.
template <class T, std::size_t ChunkSize>
class PersistentVector {
  using Chunk = std::array<T, ChunkSize>;
  using Chunks = std::vector<std::shared_ptr<Chunk>>;

 public:
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using const_reference = const T&;
  using reference = const_reference;

  class const_iterator {
   public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;

    const_iterator() = default;
    reference operator*() const noexcept { return (*of_)[at_]; }
    pointer operator->() const noexcept { return &**this; }
    reference operator[](difference_type n) const noexcept { return *(*this + n); }
    const_iterator& operator+=(difference_type n) noexcept {
      at_ = static_cast<std::size_t>(static_cast<difference_type>(at_) + n);
      return *this;
    }
    const_iterator& operator-=(difference_type n) noexcept { return *this += -n; }
    const_iterator& operator++() noexcept { return *this += 1; }
    const_iterator& operator--() noexcept { return *this -= 1; }
    const_iterator operator++(int) noexcept { return std::exchange(*this, *this + 1); }
    const_iterator operator--(int) noexcept { return std::exchange(*this, *this - 1); }
    friend const_iterator operator+(const_iterator it, difference_type n) noexcept { return it += n; }
    friend const_iterator operator+(difference_type n, const_iterator it) noexcept { return it += n; }
    friend const_iterator operator-(const_iterator it, difference_type n) noexcept { return it -= n; }
    friend difference_type operator-(const const_iterator& a, const const_iterator& b) noexcept {
      return static_cast<difference_type>(a.at_) - static_cast<difference_type>(b.at_);
    }
    friend bool operator==(const const_iterator& a, const const_iterator& b) noexcept { return a.at_ == b.at_; }
    friend std::strong_ordering operator<=>(const const_iterator& a, const const_iterator& b) noexcept {
      return a.at_ <=> b.at_;
    }

   private:
    friend PersistentVector;
    const_iterator(const PersistentVector* of, std::size_t at) noexcept : of_(of), at_(at) {}

    const PersistentVector* of_ = nullptr;
    std::size_t at_ = 0;
  };
  using iterator = const_iterator;

  PersistentVector() = default;
  PersistentVector(std::initializer_list<T> elements)
      : PersistentVector(elements.size(), [&](std::size_t i) { return elements.begin()[i]; }) {}
  ~PersistentVector() = default;
  PersistentVector(const PersistentVector&) = default;
  PersistentVector& operator=(const PersistentVector&) = default;
  /// What was moved from is empty.
  PersistentVector(PersistentVector&& from) noexcept
      : chunks_(std::move(from.chunks_)), size_(std::exchange(from.size_, 0)) {}
  PersistentVector& operator=(PersistentVector&& from) noexcept {
    chunks_ = std::move(from.chunks_);
    size_ = std::exchange(from.size_, 0);
    return *this;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// No element is there beyond `size()`.
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept {
    return (*(*chunks_)[i / ChunkSize])[i % ChunkSize];
  }
  [[nodiscard]] const T& front() const noexcept { return (*this)[0]; }
  [[nodiscard]] const T& back() const noexcept { return (*this)[size_ - 1]; }
  [[nodiscard]] const_iterator begin() const noexcept { return {this, 0}; }
  [[nodiscard]] const_iterator end() const noexcept { return {this, size_}; }

  class Editor;

 private:
  template <class ElementAt>
  PersistentVector(std::size_t size, const ElementAt& element_at) : size_(size) {
    auto chunks = std::make_shared<Chunks>();
    chunks->reserve((size + ChunkSize - 1) / ChunkSize);
    for (std::size_t at = 0; at < size; at += ChunkSize) {
      chunks->push_back(std::make_shared<Chunk>());
      for (std::size_t i = at; i < std::min(at + ChunkSize, size); ++i) (*chunks->back())[i - at] = element_at(i);
    }
    chunks_ = std::move(chunks);
  }

  std::shared_ptr<Chunks> chunks_;  // neither they nor what is in them changes once it is shared
  std::size_t size_ = 0;
};

/// Makes the versions of a sequence. What it has given away keeps what it shows. [one thread]
template <class T, std::size_t ChunkSize>
class PersistentVector<T, ChunkSize>::Editor {
 public:
  /// Starts anew, with `size` elements.
  template <class ElementAt>
  void assign(std::size_t size, const ElementAt& element_at) {
    latest_ = PersistentVector(size, element_at);
    shared_ = false;
    own_.assign(latest_.chunks_->size(), true);
  }
  void set(std::size_t i, T element) {
    if (std::exchange(shared_, false)) {
      latest_.chunks_ = std::make_shared<Chunks>(*latest_.chunks_);
      own_.assign(own_.size(), false);
    }
    const std::size_t at = i / ChunkSize;
    std::shared_ptr<Chunk>& chunk = (*latest_.chunks_)[at];
    if (!own_[at]) chunk = std::make_shared<Chunk>(*chunk);
    own_[at] = true;
    (*chunk)[i % ChunkSize] = std::move(element);
  }
  /// The elements as they are now.
  [[nodiscard]] PersistentVector share() {
    shared_ = true;
    return latest_;
  }

 private:
  PersistentVector latest_;
  bool shared_ = false;    // since the latest change: nothing of it may be changed where it is
  std::vector<bool> own_;  // the chunks that were not shared yet
};

}  // namespace norikv
