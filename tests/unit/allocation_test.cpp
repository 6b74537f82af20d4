// Counts heap allocations, so it is a program of its own: it replaces the global operator new.
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <norikv/routing.hpp>

#include "core/session.hpp"
#include "support/catch.hpp"
#include "util/histogram.hpp"
#include "util/recycler.hpp"
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

TEST_CASE("Decoding an acknowledged write allocates nothing") {
  const std::string put = "\x0a\x02\x10\x07";
  CHECK(allocations_of([&] { use(wire::decode_put(put)); }) == 0);
  const std::string remove = "\x08\x01\x12\x02\x10\x07";
  CHECK(allocations_of([&] { use(wire::decode_remove(remove)); }) == 0);
}

TEST_CASE("Decoding a get leaves the value in the reply's buffer") {
  std::string reply = "\x0a\x64" + std::string(100, 'v') + "\x12\x02\x10\x07";
  CHECK(allocations_of([&] { use(wire::decode_get(std::move(reply))); }) == 0);
}

TEST_CASE("In the steady state the session allocates nothing for an operation") {
  if (!util::Recycler::keeps_blocks) return;
  ClientOptions options;
  options.nodes = {"127.0.0.1:7447"};
  options.total_shards = 1;
  options.connection.watch_topology = false;
  options.writes.in_flight_per_shard = GENERATE(0, 1);
  core::Session session{options, 1};
  TimePoint now{std::chrono::hours{1}};
  session.start(now);
  const auto payload = std::make_shared<const std::string>("request");
  std::uint64_t id = 0;
  const auto one = [&](wire::Method method, core::Callback callback, std::string_view body) {
    now += std::chrono::milliseconds{1};
    core::Request request;
    request.id = core::OpId{++id};
    request.method = method;
    request.payload = payload;
    request.deadline = now + std::chrono::seconds{5};
    session.submit(std::move(request), std::move(callback), now);
    for (const core::Action& action : session.take_actions()) {
      core::Reply reply;
      reply.id = std::get<core::Call>(action).id;
      reply.body = body;  // fits into the string itself
      session.on_reply(std::move(reply), now);
    }
    while (!session.deliveries().empty()) {
      core::Delivery delivery = std::move(session.deliveries().front());
      session.deliveries().pop_front();
      const auto* completion = std::get_if<core::Completion>(&delivery);
      if (completion != nullptr && !completion->outcome) std::abort();
    }
  };
  const auto both = [&] {
    one(wire::Method::get, GetCallback{[](auto) {}}, "\x0a\x01\x76\x12\x02\x10\x07");
    one(wire::Method::put, PutCallback{[](auto) {}}, "\x0a\x02\x10\x07");
  };
  for (int i = 0; i < 100; ++i) both();
  CHECK(allocations_of([&] {
          for (int i = 0; i < 100; ++i) both();
        }) == 0);
}

TEST_CASE("Recording a duration allocates nothing") {
  util::Histogram histogram;
  CHECK(allocations_of([&] { histogram.record(std::chrono::milliseconds{3}); }) == 0);
}
