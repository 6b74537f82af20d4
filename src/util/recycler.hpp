#pragma once

#include <array>
#include <cstddef>
#include <memory_resource>

namespace norikv::util {

/// Memory for the nodes of containers that fill and empty all the time: a block that is given back is kept for the next
/// one of its size, up to a bound. Outlives its containers. Not for several threads.
class Recycler final : public std::pmr::memory_resource {
 public:
  // AddressSanitizer tells of a use after the end only if the memory was given back.
#if defined(__SANITIZE_ADDRESS__)
  static constexpr bool keeps_blocks = false;
#elif defined(__has_feature)
  static constexpr bool keeps_blocks = !__has_feature(address_sanitizer);
#else
  static constexpr bool keeps_blocks = true;
#endif

  Recycler() = default;
  ~Recycler() override;
  Recycler(const Recycler&) = delete;
  Recycler& operator=(const Recycler&) = delete;

 private:
  static constexpr std::size_t step = 64;
  static constexpr std::size_t classes = 32;      // larger blocks are rare
  static constexpr std::size_t most_kept = 1024;  // per class: 2 MiB of the largest one

  struct Block {
    Block* next;
  };
  struct Kept {
    Block* first = nullptr;
    std::size_t count = 0;
  };

  void* do_allocate(std::size_t size, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t size, std::size_t alignment) override;
  [[nodiscard]] bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override;
  /// Those of this size; null if such blocks are not kept.
  [[nodiscard]] Kept* kept(std::size_t size, std::size_t alignment) noexcept;

  std::array<Kept, classes> kept_;
};

}  // namespace norikv::util
