// A user's program that links norikv alone. No server: it asks for what works without one.
#include <cstdio>
#include <cstring>

#include <norikv/norikv.hpp>

int main() {
  const bool one_version = std::strcmp(norikv::version(), NORIKV_VERSION_STRING) == 0;
  const bool routes = norikv::shard_of("user:alice", 1) == 0;
  const auto refused = norikv::Client::create(norikv::ClientOptions{});
  const bool refuses = !refused && refused.error().code == norikv::ErrorCode::invalid_argument;
  std::printf("version %d, routing %d, refusal %d\n", one_version, routes, refuses);
  return one_version && routes && refuses ? 0 : 1;
}
