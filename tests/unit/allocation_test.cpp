// Counts heap allocations, so it is a program of its own: it replaces the global operator new.
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

#include <norikv/routing.hpp>

#include "support/catch.hpp"
#include "util/histogram.hpp"
#include "wire/wire.hpp"

namespace {

thread_local std::size_t allocations = 0;

void* allocate(std::size_t size) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}

void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
  ++allocations;
  const auto boundary = static_cast<std::size_t>(alignment);
  return std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary);
}

void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

/// How many allocations a piece of work makes.
template <class Work>
std::size_t allocations_of(Work work) {
  const std::size_t before = allocations;
  work();
  return allocations - before;
}

/// Keeps the compiler from leaving work out whose result nobody reads.
template <class T>
void use(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace

// All of them: with a sanitizer those that are left out would not call these.
void* operator new(std::size_t size) { return or_throw(allocate(size)); }
void* operator new[](std::size_t size) { return or_throw(allocate(size)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return or_throw(allocate(size, alignment)); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return or_throw(allocate(size, alignment)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

using namespace norikv;

TEST_CASE("This program sees an allocation") {
  CHECK(allocations_of([] { use(std::string(100, 'x')); }) == 1);
}

TEST_CASE("Finding the shard of a key allocates nothing") {
  for (const std::size_t size : {0, 1, 8, 16, 31, 32, 1024, 10'000}) {
    const std::string key(size, 'k');
    INFO("key of " << size << " bytes");
    CHECK(allocations_of([&] { use(key_hash(key)); }) == 0);
    CHECK(allocations_of([&] { use(jump_hash(size, 1024)); }) == 0);
    CHECK(allocations_of([&] { use(shard_of(key, 1024)); }) == 0);
  }
}

TEST_CASE("Encoding a put allocates its bytes and nothing else") {
  const std::string value(100'000, 'v');
  CHECK(allocations_of([&] {
          use(wire::encode(wire::PutRequest{
              .key = "key", .value = value, .ttl_ms = 5, .idempotency_key = "token", .if_match = Version{0, 12}}));
        }) == 1);
}

TEST_CASE("Decoding an acknowledged write allocates nothing but protobuf's own version object") {
  const std::string reply = "\x0a\x02\x10\x07";
  CHECK(allocations_of([&] { use(wire::decode_put(reply)); }) == 1);
}

TEST_CASE("Recording a duration allocates nothing") {
  util::Histogram histogram;
  CHECK(allocations_of([&] { histogram.record(std::chrono::milliseconds{3}); }) == 0);
}
