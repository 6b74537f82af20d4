// Drives a `core::Session` through so many operations, each answered at once, for cost.py to count what they cost. It
// is built twice: as the session is, and without anything to observe (NORIKV_UNOBSERVABLE). Nobody observes either.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <span>
#include <string>

#include "core/session.hpp"
#include "norikv.pb.h"

namespace {

std::size_t allocations = 0;

using namespace norikv;

core::Request request_of(std::uint64_t id, TimePoint now) {
  core::Request request;
  request.id = core::OpId{id};
  request.method = id % 2 == 0 ? wire::Method::put : wire::Method::get;
  request.shard = static_cast<std::uint32_t>(id % 16);
  request.payload = std::make_shared<const std::string>(id % 2 == 0 ? wire::encode(wire::PutRequest{"key", "value"})
                                                                    : wire::encode_get("key"));
  request.submitted = now;
  request.deadline = now + std::chrono::seconds{5};
  return request;
}

std::string put_reply(std::uint64_t index) {
  v1::PutResponse reply;
  reply.mutable_version()->set_index(index);
  return reply.SerializeAsString();
}

std::string get_reply() {
  v1::GetResponse reply;
  reply.set_value("value");
  reply.mutable_version()->set_index(1);
  return reply.SerializeAsString();
}

/// The driver's part: answers what is on the wire, and calls back.
void settle(core::Session& session, std::uint64_t id, TimePoint now) {
  for (;;) {
    const std::span<core::Action> actions = session.take_actions();
    if (actions.empty()) break;
    for (const core::Action& action : actions) {
      const auto* call = std::get_if<core::Call>(&action);
      if (call == nullptr) continue;
      core::Reply reply;
      reply.id = call->id;
      reply.body = call->method == wire::Method::put ? put_reply(id) : get_reply();
      session.on_reply(std::move(reply), now);
    }
  }
  while (!session.deliveries().empty()) {
    core::Delivery delivery = std::move(session.deliveries().front());
    session.deliveries().pop_front();
    auto* completion = std::get_if<core::Completion>(&delivery);
    if (completion == nullptr) continue;
    if (!completion->outcome) std::abort();
  }
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main(int argc, char** argv) {
  const std::uint64_t operations = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  ClientOptions options;
  options.nodes = {"127.0.0.1:7447"};
  options.total_shards = 16;
  options.connection.watch_topology = false;
  core::Session session{options, 1};
  TimePoint now{std::chrono::hours{1}};
  session.start(now);
  for (std::uint64_t id = 1; id <= operations; ++id) {
    now += std::chrono::microseconds{20};
    if (id % 2 == 0) {
      session.submit(request_of(id, now), PutCallback{[](auto) {}}, now);
    } else {
      session.submit(request_of(id, now), GetCallback{[](auto) {}}, now);
    }
    now += std::chrono::microseconds{80};
    session.advance_to(now);
    settle(session, id, now);
  }
  std::printf("%zu\n", allocations);
}
