// What the parts cost, with google-benchmark: finding a key's shard beside a plain textbook implementation, and one
// whole operation through the session with a transport that answers at once.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <norikv/routing.hpp>

#include "allocations.hpp"
#include "norikv.pb.h"
#include "session_driver.hpp"

namespace {

using namespace norikv;

/// XXH64 and jump hash as their descriptions have them, one step after the other. What `shard_of` is compared with.
namespace textbook {

constexpr std::array<std::uint64_t, 5> primes{0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
                                              0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5};

template <class Word>
std::uint64_t read(const char* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

std::uint64_t round(std::uint64_t sum, std::uint64_t input) {
  return std::rotl(sum + input * primes[1], 31) * primes[0];
}

std::uint64_t stripes(const char*& at, const char* end) {
  std::array<std::uint64_t, 4> lanes{primes[0] + primes[1], primes[1], 0, 0 - primes[0]};
  for (; end - at >= 32; at += 32) {
    for (std::size_t i = 0; i < 4; ++i) lanes[i] = round(lanes[i], read<std::uint64_t>(at + 8 * i));
  }
  std::uint64_t hash =
      std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
  for (const std::uint64_t lane : lanes) hash = (hash ^ round(0, lane)) * primes[0] + primes[3];
  return hash;
}

std::uint64_t hash(std::string_view key) {
  const char* at = key.data();
  const char* end = at + key.size();
  std::uint64_t hash = (key.size() >= 32 ? stripes(at, end) : primes[4]) + key.size();
  for (; end - at >= 8; at += 8) {
    hash = std::rotl(hash ^ round(0, read<std::uint64_t>(at)), 27) * primes[0] + primes[3];
  }
  for (; end - at >= 4; at += 4)
    hash = std::rotl(hash ^ read<std::uint32_t>(at) * primes[0], 23) * primes[1] + primes[2];
  for (; at != end; ++at) hash = std::rotl(hash ^ read<std::uint8_t>(at) * primes[4], 11) * primes[0];
  hash = (hash ^ (hash >> 33)) * primes[1];
  hash = (hash ^ (hash >> 29)) * primes[2];
  return hash ^ (hash >> 32);
}

std::uint32_t jump(std::uint64_t hash, std::uint32_t buckets) {
  std::int64_t bucket = -1;
  std::int64_t next = 0;
  while (next < static_cast<std::int64_t>(buckets)) {
    bucket = next;
    hash = hash * 2862933555777941757ULL + 1;
    next = static_cast<std::int64_t>(static_cast<double>(bucket + 1) * (static_cast<double>(std::int64_t{1} << 31) /
                                                                        static_cast<double>((hash >> 33) + 1)));
  }
  return static_cast<std::uint32_t>(bucket);
}

std::uint32_t shard_of(std::string_view key, std::uint32_t shards) { return jump(hash(key), shards); }

}  // namespace textbook

/// Keys of the size that the argument says, all different: a few that come again would be learned by the processor.
class Keys {
 public:
  explicit Keys(std::size_t size) : key_(size, 'k') {}
  [[nodiscard]] std::string_view next() {
    number_ += 0x9E3779B185EBCA87;
    std::memcpy(key_.data(), &number_, std::min(key_.size(), sizeof number_));
    return key_;
  }

 private:
  std::string key_;
  std::uint64_t number_ = 0;
};

template <class Function>
void for_keys(benchmark::State& state, Function function) {
  Keys keys{static_cast<std::size_t>(state.range(0))};
  for (auto _ : state) benchmark::DoNotOptimize(function(keys.next()));
}

void hash_ours(benchmark::State& state) { for_keys(state, key_hash); }
void hash_textbook(benchmark::State& state) { for_keys(state, textbook::hash); }
BENCHMARK(hash_ours)->Arg(8)->Arg(32)->Arg(1024);
BENCHMARK(hash_textbook)->Arg(8)->Arg(32)->Arg(1024);

template <class Function>
void for_hashes(benchmark::State& state, Function function) {
  const auto buckets = static_cast<std::uint32_t>(state.range(0));
  std::uint64_t hash = 1;
  for (auto _ : state) benchmark::DoNotOptimize(function(hash *= 0x9E3779B185EBCA87, buckets));
}

void jump_ours(benchmark::State& state) { for_hashes(state, jump_hash); }
void jump_textbook(benchmark::State& state) { for_hashes(state, textbook::jump); }
BENCHMARK(jump_ours)->Arg(16)->Arg(1024)->Arg(65536);
BENCHMARK(jump_textbook)->Arg(16)->Arg(1024)->Arg(65536);

// 1024 shards.
void shard_of_ours(benchmark::State& state) {
  for_keys(state, [](std::string_view key) { return shard_of(key, 1024); });
}
void shard_of_textbook(benchmark::State& state) {
  for_keys(state, [](std::string_view key) { return textbook::shard_of(key, 1024); });
}
BENCHMARK(shard_of_ours)->Arg(8)->Arg(32);
BENCHMARK(shard_of_textbook)->Arg(8)->Arg(32);

/// From a key to the number of the node that is asked.
void route(benchmark::State& state) {
  core::ClusterState cluster({"10.0.0.1:7447", "10.0.0.2:7447", "10.0.0.3:7447"}, 1024, {});
  const TimePoint now{std::chrono::hours{1}};
  for (std::uint32_t shard = 0; shard < 1024; ++shard) (void)cluster.on_leader_answer(shard, shard % 3, now, now);
  const core::Router router{cluster};
  Keys keys{8};
  for (auto _ : state) benchmark::DoNotOptimize(router.leader(shard_of(keys.next(), 1024)));
}
BENCHMARK(route);

/// One operation after the other, at 10,000 per second of the session's time. The reply's bytes are the benchmark's.
template <class MadeCallback>
void through_session(benchmark::State& state, wire::Method method, const std::string& request, const std::string& reply,
                     MadeCallback made_callback) {
  ClientOptions options;
  options.nodes = {"127.0.0.1:7447"};
  options.total_shards = 16;
  options.connection.watch_topology = false;
  bench::SessionDriver driver{options, method, request, reply};
  auto one = [&] {
    driver.submit(made_callback());
    driver.answer_all();
    if (!driver.deliver()) state.SkipWithError("an operation failed");
  };
  for (int i = 0; i < 1000; ++i) one();  // all leaders are known then
  for (auto _ : state) one();
  bench::start_counting_allocations();
  for (int i = 0; i < 1000; ++i) one();
  state.counters["allocations"] = static_cast<double>(bench::stop_counting_allocations()) / 1000;
}

void session_get(benchmark::State& state) {
  v1::GetResponse reply;
  reply.set_value(std::string(100, 'v'));
  reply.mutable_version()->set_index(1);
  through_session(state, wire::Method::get, wire::encode_get("key-100000"), reply.SerializeAsString(),
                  [] { return GetCallback{[](auto) {}}; });
}
BENCHMARK(session_get);

/// Which of so many nodes a search asks next.
struct Choice {
  explicit Choice(std::size_t nodes) : cluster(bench::addresses(nodes), 1024), router(cluster) {}
  core::ClusterState cluster;
  core::Router router;
};

void route_in_search(benchmark::State& state) {
  Choice choice{static_cast<std::size_t>(state.range(0))};
  core::Rotation rotation;
  std::uint32_t shard = 0;
  for (auto _ : state) benchmark::DoNotOptimize(choice.router.next(shard++ % 1024, rotation, bench::begin));
}
BENCHMARK(route_in_search)->Arg(1)->Arg(3)->Arg(64);

/// Views of 65,536 shards with three replicas each, by one of three nodes.
constexpr std::uint32_t many_shards = 65'536;

void view_decode(benchmark::State& state) {
  const std::string bytes = bench::view_bytes(many_shards, 3, 1, 0);
  for (auto _ : state) benchmark::DoNotOptimize(wire::decode_leaders(bytes));
}
BENCHMARK(view_decode)->Unit(benchmark::kMicrosecond);

/// Every `view_apply` takes in a whole view, slice by slice; with the argument 1 all of its leaders have changed.
void view_apply(benchmark::State& state) {
  core::ClusterState cluster{bench::addresses(3), many_shards};
  std::array views{wire::decode_leaders(bench::view_bytes(many_shards, 3, 1, 0)).value(),
                   wire::decode_leaders(bench::view_bytes(many_shards, 3, 1, 1)).value()};
  for (std::size_t node = 0; node < 3; ++node) {
    cluster.on_stream_opened(node, bench::begin);
    bench::take_view(cluster, node, wire::decode_leaders(bench::view_bytes(0, 3, 1, 0, node)).value());
  }
  bench::take_view(cluster, 0, views[0]);
  std::size_t turn = 0;
  for (auto _ : state) {
    state.PauseTiming();
    wire::LeaderView view = views[state.range(0) == 0 ? 0 : ++turn % 2];
    state.ResumeTiming();
    bench::take_view(cluster, 0, std::move(view));
  }
}
BENCHMARK(view_apply)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

/// One leader moves, and there is a new snapshot. So many shards.
void leader_change(benchmark::State& state) {
  core::ClusterState cluster{bench::addresses(3), static_cast<std::uint32_t>(state.range(0))};
  TimePoint now = bench::begin;
  std::size_t node = 0;
  for (auto _ : state) {
    now += std::chrono::microseconds{1};
    cluster.publish(cluster.on_leader_answer(0, ++node % 3, now, now));
  }
}
BENCHMARK(leader_change)->Arg(4)->Arg(1024)->Arg(65'536);

}  // namespace

int main(int argc, char** argv) {
  for (std::size_t size = 0; size < 100; ++size) {
    const std::string key(size, 'k');
    if (textbook::shard_of(key, 1024) != shard_of(key, 1024)) return 1;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
