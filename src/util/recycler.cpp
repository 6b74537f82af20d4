#include "util/recycler.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace norikv::util {

Recycler::~Recycler() {
  for (Kept& kept : kept_) {
    while (kept.first != nullptr) ::operator delete(std::exchange(kept.first, kept.first->next));
  }
}

Recycler::Kept* Recycler::kept(std::size_t size, std::size_t alignment) noexcept {
  const std::size_t at = (std::max<std::size_t>(size, 1) - 1) / step;
  const bool may_be = keeps_blocks && at < classes && alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  return may_be ? &kept_[at] : nullptr;
}

void* Recycler::do_allocate(std::size_t size, std::size_t alignment) {
  Kept* const same = kept(size, alignment);
  if (same == nullptr) return std::pmr::new_delete_resource()->allocate(size, alignment);
  if (same->first == nullptr) return ::operator new((same - kept_.data() + 1) * step);
  --same->count;
  return std::exchange(same->first, same->first->next);
}

void Recycler::do_deallocate(void* memory, std::size_t size, std::size_t alignment) {
  Kept* const same = kept(size, alignment);
  if (same == nullptr) return std::pmr::new_delete_resource()->deallocate(memory, size, alignment);
  if (same->count == most_kept) return ::operator delete(memory);
  ++same->count;
  same->first = ::new (memory) Block{same->first};
}

bool Recycler::do_is_equal(const std::pmr::memory_resource& other) const noexcept { return this == &other; }

}  // namespace norikv::util
