#include "allocations.hpp"

#include <atomic>
#include <cstddef>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<std::uint64_t> allocations{0};

std::atomic<bool> summing{false};
std::atomic<std::int64_t> held{0};

// Off while times are measured: a counter that threads share has its price.
void note() {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
}

#ifdef __GLIBC__
void* taken(void* memory) {
  if (summing.load(std::memory_order_relaxed))
    held.fetch_add(static_cast<std::int64_t>(malloc_usable_size(memory)), std::memory_order_relaxed);
  return memory;
}
void given_back(void* memory) {
  if (summing.load(std::memory_order_relaxed))
    held.fetch_sub(static_cast<std::int64_t>(malloc_usable_size(memory)), std::memory_order_relaxed);
}
#endif

}  // namespace

namespace norikv::bench {

void start_counting_allocations() {
  allocations = 0;
  counting = true;
}

std::uint64_t stop_counting_allocations() {
  counting = false;
  return allocations;
}

void start_summing_memory() { summing = true; }

std::int64_t bytes_held() { return held; }

}  // namespace norikv::bench

#ifdef __GLIBC__
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);

void* malloc(std::size_t size) {
  note();
  return taken(__libc_malloc(size));
}
void* calloc(std::size_t count, std::size_t size) {
  note();
  return taken(__libc_calloc(count, size));
}
void* realloc(void* memory, std::size_t size) {
  note();
  given_back(memory);
  return taken(__libc_realloc(memory, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  note();
  return taken(__libc_memalign(alignment, size));
}
void free(void* memory) {
  given_back(memory);
  __libc_free(memory);
}
}
#endif
