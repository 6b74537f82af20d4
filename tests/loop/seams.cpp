#include "seams.hpp"

#include <cerrno>
#include <cstdlib>
#include <new>

#include <malloc.h>
#include <pthread.h>
#include <uv.h>

using namespace norikv::test;

// --wrap=NAME sends the library's calls of NAME to __wrap_NAME, and __real_NAME to the real one.
extern "C" {
int __real_uv_async_send(uv_async_t* async);
int __real_uv_timer_start(uv_timer_t* timer, uv_timer_cb callback, std::uint64_t timeout, std::uint64_t repeat);
int __real_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument);
int __real_pthread_join(pthread_t thread, void** result);

int __wrap_uv_async_send(uv_async_t* async) {
  ++seams::async_sends;
  return __real_uv_async_send(async);
}

int __wrap_uv_timer_start(uv_timer_t* timer, uv_timer_cb callback, std::uint64_t timeout, std::uint64_t repeat) {
  ++seams::timer_starts;
  return __real_uv_timer_start(timer, callback, timeout, repeat);
}

int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  if (seams::refuse_threads) return EAGAIN;
  return __real_pthread_create(thread, attributes, body, argument);
}

int __wrap_pthread_join(pthread_t thread, void** result) {
  ++seams::joins;
  return __real_pthread_join(thread, result);
}
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  void* memory = std::malloc(size);
  if (memory == nullptr) return nullptr;
  ++seams::allocations;
  seams::bytes_allocated += malloc_usable_size(memory);
  return memory;
}

void* operator new(std::size_t size) {
  void* memory = operator new(size, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  seams::bytes_allocated -= malloc_usable_size(memory);
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
