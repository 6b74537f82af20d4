// The demonstration: a cluster of three nodes and a client of it, in one process, over real TCP. It writes and reads,
// moves leaders and ends a node while a writer goes on, and checks that nothing got lost. Exit code 0 only if all of it
// held.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>
#include <norikv/testing/loop_runner.hpp>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Found = norikv::Result<std::optional<norikv::Entry>>;

namespace {

constexpr std::uint32_t node_count = 3;
constexpr std::uint32_t shard_count = 8;

double milliseconds(norikv::Duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// "1,234,567"
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t digits = 3; digits < text.size(); digits += 4) text.insert(text.size() - digits, 1, ',');
  return text;
}

/// Writes to every shard without a pause: one key per shard, one write of it at a time, each with the next number as
/// value.
class Writer {
 public:
  explicit Writer(norikv::Client& client) : client_(client) {
    for (int i = 0; keys_.size() < shard_count; ++i) {
      const std::string key = "counter:" + std::to_string(i);
      keys_.try_emplace(norikv::shard_of(key, shard_count), Key{key});
    }
  }

  void start() {
    going_ = true;
    for (auto& [shard, key] : keys_) write(key);
  }
  void stop() { going_ = false; }

  [[nodiscard]] bool idle() const { return pending_ == 0; }
  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_; }
  [[nodiscard]] const std::string& first_error() const { return first_error_; }
  /// The slowest write since the last call.
  norikv::Duration take_slowest() { return std::exchange(slowest_, norikv::Duration{0}); }

  struct Key {
    std::string name;
    std::uint64_t acknowledged = 0;  ///< The last value that was.
  };
  [[nodiscard]] const std::map<std::uint32_t, Key>& keys() const { return keys_; }

 private:
  void write(Key& key) {
    ++pending_;
    // With an idempotency key the client may repeat a write whose node went away before it answered.
    const norikv::PutOptions options{.idempotency_key = norikv::automatic};
    client_.put(key.name, std::to_string(key.acknowledged + 1), options,
                [this, &key, start = Clock::now()](auto written) {
                  --pending_;
                  slowest_ = std::max<norikv::Duration>(slowest_, Clock::now() - start);
                  if (written) {
                    ++done_;
                    ++key.acknowledged;
                  } else if (++errors_ == 1) {
                    first_error_ = written.error().describe();
                  }
                  if (going_) write(key);
                });
  }

  norikv::Client& client_;
  std::map<std::uint32_t, Key> keys_;  // by shard
  std::uint64_t done_ = 0, errors_ = 0, pending_ = 0;
  norikv::Duration slowest_{0};
  std::string first_error_;
  bool going_ = false;
};

/// The story in five chapters. Each says whether it held.
class Story {
 public:
  Story(norikv::testing::Cluster& cluster, norikv::Client& client, norikv::testing::LoopRunner& loop)
      : cluster_(cluster), client_(client), loop_(loop), writer_(client), nodes_(cluster.addresses()) {}

  bool tell() { return write_and_read() && move_leaders() && end_a_node() && read_everything_back() && close(); }

 private:
  bool write_and_read();
  bool move_leaders();
  bool end_a_node();
  bool read_everything_back();
  bool close();

  [[nodiscard]] std::string name_of(const std::string& address) const {
    const auto at = std::find(nodes_.begin(), nodes_.end(), address);
    return at == nodes_.end() ? "nobody" : "node " + std::to_string(at - nodes_.begin() + 1);
  }
  /// Lets the writer go on for half a second, doing `meanwhile` every 100 ms; then says how it did.
  template <class Meanwhile>
  void watch_writer(Meanwhile meanwhile);
  [[nodiscard]] bool writer_went_on();
  bool fail(const std::string& why) {
    std::printf("\n   That did not work: %s\n", why.c_str());
    return false;
  }

  norikv::testing::Cluster& cluster_;
  norikv::Client& client_;
  norikv::testing::LoopRunner& loop_;
  Writer writer_;
  std::vector<std::string> nodes_;
  norikv::Duration slowest_{0};  ///< Of all writes in this chapter.
};

bool Story::write_and_read() {
  std::puts("\n1  Write and read\n");
  std::optional<norikv::Result<norikv::Written>> written;
  std::optional<Found> found;
  const auto start = Clock::now();
  Clock::time_point stored, end;
  client_.put("user:alice", "hello", [&](auto result) {
    written = std::move(result);
    stored = Clock::now();
    client_.get("user:alice", [&](Found entry) {
      found = std::move(entry);
      end = Clock::now();
    });
  });
  if (!loop_.run_until([&] { return found.has_value(); })) return fail("no answer");
  if (!*written) return fail(written->error().describe());
  if (!*found) return fail(found->error().describe());
  if (!**found || (**found)->value != "hello") return fail("what was read is not what was written");

  const std::uint32_t shard = norikv::shard_of("user:alice", shard_count);
  const norikv::NodeView* leader = client_.cluster()->leader_of(shard);
  std::printf("   put user:alice = hello   %6.1f ms, with connecting and finding the leader\n",
              milliseconds(stored - start));
  std::printf("   get user:alice = hello   %6.1f ms\n", milliseconds(end - stored));
  std::printf("   The key is in shard %u, which %s leads.\n", shard, name_of(leader ? leader->address : "").c_str());
  return true;
}

template <class Meanwhile>
void Story::watch_writer(Meanwhile meanwhile) {
  const std::uint64_t before = writer_.done();
  std::string news;
  for (int i = 0; i < 5; ++i) {
    loop_.run_for(100ms);
    if (std::string latest = meanwhile(); !latest.empty()) news = std::move(latest);
  }
  const norikv::Duration slowest = writer_.take_slowest();
  slowest_ = std::max(slowest_, slowest);
  std::printf("   %7s writes in 0.5 s   slowest %6.1f ms%s%s\n", grouped(writer_.done() - before).c_str(),
              milliseconds(slowest), news.empty() ? "" : "   ", news.c_str());
}

bool Story::writer_went_on() {
  writer_.stop();
  if (!loop_.run_until([&] { return writer_.idle(); })) return fail("a write never called back");
  slowest_ = std::max(slowest_, writer_.take_slowest());
  return writer_.errors() == 0 || fail(grouped(writer_.errors()) + " writes failed; " + writer_.first_error());
}

bool Story::move_leaders() {
  std::puts("\n2  Every 100 ms a shard's leader moves to the next node; a writer goes on\n");
  std::uint32_t moves = 0;
  writer_.start();
  for (int line = 0; line < 6; ++line) {
    watch_writer([&] {
      const std::uint32_t shard = moves++ % shard_count;
      const std::uint32_t next = (cluster_.leader(shard).value_or(0) + 1) % node_count;
      cluster_.move_leader(shard, next);
      return "shard " + std::to_string(shard) + " -> " + name_of(nodes_[next]);
    });
  }
  if (!writer_went_on()) return false;
  // Each leader that the client knows has to be the true one.
  const auto agrees = [&] {
    for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
      const norikv::NodeView* leader = client_.cluster()->leader_of(shard);
      if (leader == nullptr || leader->address != nodes_[cluster_.leader(shard).value()]) return false;
    }
    return true;
  };
  if (!loop_.run_until(agrees)) return fail("the client does not know who leads");
  std::printf("\n   %u leaders moved. %s writes, errors 0, slowest %.1f ms.\n", moves, grouped(writer_.done()).c_str(),
              milliseconds(slowest_));
  return true;
}

bool Story::end_a_node() {
  std::puts("\n3  A node ends without a word; the others elect new leaders after 300 ms\n");
  slowest_ = norikv::Duration{0};
  const std::uint64_t before = writer_.done();
  writer_.start();
  bool ended = false;
  watch_writer([&] {
    if (std::exchange(ended, true)) return std::string{};
    cluster_.stop(0);
    return std::string{"node 1 ended"};
  });
  watch_writer([] { return std::string{}; });
  watch_writer([] { return std::string{}; });
  cluster_.restart(0);
  watch_writer([] { return std::string{"node 1 is back"}; });
  if (!writer_went_on()) return false;
  std::printf("\n   %s writes, errors 0, slowest %.1f ms.\n", grouped(writer_.done() - before).c_str(),
              milliseconds(slowest_));
  std::puts("   What got no answer was repeated, under its idempotency key.");
  return true;
}

bool Story::read_everything_back() {
  std::puts("\n4  Read everything back\n");
  std::uint32_t answers = 0, right = 0;
  for (const auto& [shard, key] : writer_.keys()) {
    client_.get(key.name, [&, expected = std::to_string(key.acknowledged)](Found found) {
      ++answers;
      if (found && *found && (*found)->value == expected) ++right;
    });
  }
  if (!loop_.run_until([&] { return answers == shard_count; })) return fail("a read never called back");
  if (right != shard_count) return fail(std::to_string(shard_count - right) + " acknowledged writes are lost");
  std::printf("   Each of the %u keys has the value that was acknowledged last.\n", shard_count);
  return true;
}

bool Story::close() {
  std::puts("\n5  Close\n");
  const auto start = Clock::now();
  bool closed = false;
  client_.close([&] { closed = true; });
  if (!loop_.run_until([&] { return closed; })) return fail("the client does not close");
  const auto end = Clock::now();
  const norikv::Stats stats = client_.stats();
  const std::uint64_t answered = stats.succeeded + stats.failed;
  if (stats.submitted != answered) return fail("not every operation called back");
  if (!loop_.close().empty()) return fail("handles are left on the loop");
  std::printf("   %s operations, %s callbacks, %s retries that nobody noticed.\n", grouped(stats.submitted).c_str(),
              grouped(answered).c_str(), grouped(stats.retries).c_str());
  std::printf("   The loop is clean after %.1f ms.\n\n", milliseconds(end - start));
  return true;
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  auto cluster = norikv::testing::Cluster::start(
      {.nodes = node_count, .total_shards = shard_count, .profile = norikv::testing::Profile::replicated});
  if (!cluster) return std::fprintf(stderr, "no cluster: %s\n", cluster.error().describe().c_str()), 1;
  norikv::testing::LoopRunner loop;
  auto client = norikv::Client::create(loop.loop(), cluster->client_options());
  if (!client) return std::fprintf(stderr, "no client: %s\n", client.error().describe().c_str()), 1;

  std::printf("A NoriKV cluster in this process: %u nodes, %u shards, over TCP on 127.0.0.1\n", node_count,
              shard_count);
  if (Story{*cluster, *client, loop}.tell()) return 0;
  client->close();
  static_cast<void>(loop.run_until_idle());
  return 1;
}
