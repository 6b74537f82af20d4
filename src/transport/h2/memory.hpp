#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace norikv::transport::h2 {

/// The memory of one HTTP/2 session: nghttp2 takes and gives back the same few small blocks for every stream, so they
/// are kept for the next one. Owned by a `Session`, which it outlives. Not for several threads.
class Memory {
 public:
  Memory() = default;
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] void* allocate(std::size_t size) noexcept;
  [[nodiscard]] void* allocate_zeroed(std::size_t count, std::size_t size) noexcept;
  void free(void* block) noexcept;
  [[nodiscard]] void* reallocate(void* block, std::size_t size) noexcept;

 private:
  static constexpr std::size_t step = 64;
  static constexpr std::size_t classes = 8;       // larger blocks are rare
  static constexpr std::size_t most_kept = 8192;  // per class

  std::array<std::vector<void*>, classes> kept_;
};

}  // namespace norikv::transport::h2
