#include "transport/h2/memory.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

namespace norikv::transport::h2 {
namespace {

/// In front of every block: how many bytes its owner may use.
struct alignas(std::max_align_t) Header {
  std::size_t size = 0;
};

Header* header_of(void* block) noexcept { return static_cast<Header*>(block) - 1; }

}  // namespace

Memory::~Memory() {
  for (const auto& blocks : kept_) {
    for (void* block : blocks) std::free(header_of(block));
  }
}

void* Memory::allocate(std::size_t size) noexcept {
  const std::size_t at = size == 0 ? 0 : (size - 1) / step;
  if (at < classes) {
    size = (at + 1) * step;
    if (auto& blocks = kept_[at]; !blocks.empty()) {
      void* const block = blocks.back();
      blocks.pop_back();
      return block;
    }
  }
  if (size > static_cast<std::size_t>(-1) - sizeof(Header)) return nullptr;
  void* const raw = std::malloc(sizeof(Header) + size);
  return raw == nullptr ? nullptr : new (raw) Header{size} + 1;
}

void* Memory::allocate_zeroed(std::size_t count, std::size_t size) noexcept {
  if (size != 0 && count > static_cast<std::size_t>(-1) / size) return nullptr;
  void* const block = allocate(count * size);
  return block == nullptr ? nullptr : std::memset(block, 0, count * size);
}

void Memory::free(void* block) noexcept {
  if (block == nullptr) return;
  const std::size_t at = (header_of(block)->size - 1) / step;
  if (at < classes && kept_[at].size() < most_kept) {
    kept_[at].push_back(block);
  } else {
    std::free(header_of(block));
  }
}

void* Memory::reallocate(void* block, std::size_t size) noexcept {
  if (block == nullptr) return allocate(size);
  const std::size_t had = header_of(block)->size;
  if (size <= had) return block;
  void* const larger = allocate(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, had);
  free(block);
  return larger;
}

}  // namespace norikv::transport::h2
