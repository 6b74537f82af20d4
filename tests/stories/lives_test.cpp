#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <thread>

#include "client/process.hpp"
#include "stories/story.hpp"
#include "support/certificates.hpp"
#include "support/resources.hpp"

// Two hundred lives of clients, each from a seed: made, used while nodes die and freeze, and closed at any moment.
// Every other one shows a certificate and tokens. The clusters are other processes, for their threads come and go.
using namespace norikv;
using namespace norikv::test;

namespace {

constexpr std::uint32_t nodes = 3;
constexpr std::uint32_t shards = 4;

/// Threads of the library, which names them.
std::ptrdiff_t own_threads() {
  std::ptrdiff_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm") >> std::ws, name);
    count += name.starts_with("norikv") ? 1 : 0;
  }
  return count;
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  /// 0 to below - 1.
  std::uint32_t below(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
  bool one_in(std::uint32_t count) { return below(count) == 0; }
  Duration time(Duration most) {
    return Duration{static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(most.count()))};
  }

 private:
  std::mt19937_64 random_;
};

enum class Door : std::uint8_t { open, guarded };

TlsOptions known_as(const Identity& identity) {
  return {
      .ca = {.text = certificates().ca}, .certificate = {.text = identity.certificate}, .key = {.text = identity.key}};
}

/// Answers for tokens as they come to its mind: now or later, with the right one or not, or never.
TokenSource moody_source(std::uint64_t seed) {
  return [dice = Dice{seed}, later = std::vector<TokenReply>{}](TokenReason, TokenReply reply) mutable {
    for (const TokenReply& owed : std::exchange(later, {})) owed.succeed({.text = "late"});
    switch (dice.below(8)) {
      case 0:
        return reply.fail("not now");
      case 1:
        return reply.succeed({.text = "wrong"});
      case 2:
        return later.push_back(std::move(reply));
      case 3:
        return std::thread([reply] { reply.succeed({.text = "right"}); }).detach();
      default:
        return reply.succeed({.text = "right", .expires = std::chrono::steady_clock::now() + 5ms + dice.time(200ms)});
    }
  };
}

/// A cluster in another process; its faults are healed at the end of a life.
class Remote {
 public:
  explicit Remote(Door door)
      : door_(door),
        process_("A cluster for another process",
                 {"CERTIFICATE=" + (door == Door::open ? "" : certificates().server.certificate),
                  "KEY=" + (door == Door::open ? "" : certificates().server.key),
                  "CLIENT_CA=" + (door == Door::open ? "" : certificates().ca)}) {
    for (std::uint32_t node = 0; node < nodes; ++node) options_.nodes.push_back(process_.read_line(20s).value());
    options_.total_shards = shards;
    if (door == Door::guarded) options_.tls = known_as(certificates().client);
  }
  [[nodiscard]] Door door() const { return door_; }
  [[nodiscard]] ClientOptions options(std::uint64_t seed) const {
    ClientOptions options = options_;
    options.tokens.answer_timeout = 50ms;
    if (door_ == Door::guarded) options.tokens.source = moody_source(seed);
    return options;
  }
  /// Some of the nodes, at least one.
  [[nodiscard]] std::vector<std::string> some_nodes(Dice& dice) const {
    std::vector<std::string> some;
    for (const std::string& node : options_.nodes) {
      if (dice.one_in(2)) some.push_back(node);
    }
    return some.empty() ? options_.nodes : some;
  }

  void fault(Dice& dice) {
    const std::uint32_t node = dice.below(nodes);
    switch (dice.below(4)) {
      case 0:
        return stop(node);
      case 1:
        return ask("freeze", node);
      case 2:
        return heal(node);
      default:
        return ask("move", node, dice.below(shards));
    }
  }
  void heal() {
    for (std::uint32_t node = 0; node < nodes; ++node) heal(node);
  }

 private:
  void stop(std::uint32_t node) {
    ask("stop", node);
    stopped_[node] = true;
  }
  void heal(std::uint32_t node) {
    if (std::exchange(stopped_[node], false)) ask("restart", node);
    ask("thaw", node);
  }
  void ask(const char* what, std::uint32_t node, std::uint32_t shard = 0) {
    process_.write_line(fmt::format("{} {} {}", what, node, shard));
    REQUIRE(process_.read_line(20s) == "done");
  }

  Door door_;
  Process process_;
  ClientOptions options_;
  bool stopped_[nodes] = {};
};

/// Everything a client was asked in one life, and how often each was called back.
class Life {
 public:
  Life(const Remote& cluster, Client& client, Dice& dice) : cluster_(cluster), client_(client), dice_(dice) {}

  void act() {
    const std::string key = "key-" + std::to_string(dice_.below(12));
    switch (dice_.below(16)) {
      case 0:
      case 1:
      case 2:
        return keep(client_.put(key, "value", put_options(), puts_.emplace_back().callback()));
      case 3:
      case 4:
      case 5:
        return keep(client_.get(key, {.timeout = time_out()}, gets_.emplace_back().callback()));
      case 6:
        return keep(client_.remove(key, {.timeout = time_out()}, removes_.emplace_back().callback()));
      case 7:
        if (dice_.one_in(2)) return client_.wait_ready({.timeout = time_out()}, readies_.emplace_back().callback());
        return client_.when_room(1 + dice_.below(5000), readies_.emplace_back().callback());
      case 8:
        return watch();
      case 9:
      case 10:
        return update(key);
      case 11:
        return keep(client_.get_many({key, "key-1", "key-2"}, {.timeout = time_out()},
                                     [calls = once_.emplace_back(counter())](auto) { ++*calls; }));
      case 12:
        return act_in_scope(key);
      case 13:
        return change_surroundings();
      default:
        if (!operations_.empty()) operations_[dice_.below(static_cast<std::uint32_t>(operations_.size()))].cancel();
    }
  }

  /// What was not called back exactly once.
  [[nodiscard]] std::size_t not_once() const {
    const auto not_one = std::count_if(once_.begin(), once_.end(), [](const Counter& calls) { return *calls != 1; });
    const auto several = std::count_if(scoped_.begin(), scoped_.end(), [](const Counter& calls) { return *calls > 1; });
    return wrong(puts_) + wrong(gets_) + wrong(removes_) + wrong(readies_) + (*ends_ == watches_ ? 0 : 1) +
           static_cast<std::size_t>(not_one + several);
  }

 private:
  using Counter = std::shared_ptr<std::atomic<int>>;
  static Counter counter() { return std::make_shared<std::atomic<int>>(0); }

  void update(const std::string& key) {
    keep(client_.update(
        key, {.timeout = time_out()},
        [](const std::optional<Entry>& found) { return found ? Change::keep() : Change::store("value"); },
        [calls = once_.emplace_back(counter())](Result<Updated>) { ++*calls; }));
  }
  // The scope's callbacks come once, or not at all if it ended before.
  void act_in_scope(const std::string& key) {
    if (dice_.one_in(3)) scope_ = Scope{};
    if (dice_.one_in(2)) {
      return keep(client_.get(key, {.timeout = time_out(), .scope = scope_},
                              [calls = scoped_.emplace_back(counter())](auto) { ++*calls; }));
    }
    keep(client_.put(key, "value", {.timeout = time_out(), .scope = scope_},
                     [calls = scoped_.emplace_back(counter())](auto) { ++*calls; }));
  }
  void change_surroundings() {
    if (cluster_.door() == Door::guarded && dice_.one_in(2)) {
      return static_cast<void>(
          client_.set_tls(known_as(dice_.one_in(2) ? certificates().client : certificates().renewed_client)));
    }
    static_cast<void>(client_.set_nodes(cluster_.some_nodes(dice_)));
  }
  [[nodiscard]] std::optional<Duration> time_out() {
    return dice_.one_in(3) ? std::nullopt : std::optional<Duration>{1ms + dice_.time(300ms)};
  }
  [[nodiscard]] PutOptions put_options() {
    PutOptions options{.timeout = time_out()};
    if (dice_.one_in(2)) options.idempotency_key = automatic;
    if (dice_.one_in(4)) options.precondition = at(Version{1, dice_.below(20)});
    return options;
  }
  void keep(Operation operation) { operations_.push_back(std::move(operation)); }
  void watch() {
    ++watches_;
    client_.topology().subscribe([](const TopologyEvent&) {}, [ends = ends_] { ++*ends; }).detach();
  }
  template <class T>
  static std::size_t wrong(const std::vector<Outcome<T>>& outcomes) {
    std::size_t count = 0;
    for (const auto& outcome : outcomes) count += outcome.calls() == 1 ? 0 : 1;
    return count;
  }

  const Remote& cluster_;
  Client& client_;
  Dice& dice_;
  Scope scope_;
  std::vector<Operation> operations_;
  std::vector<Counter> once_;
  std::vector<Counter> scoped_;
  std::vector<PutOutcome> puts_;
  std::vector<GetOutcome> gets_;
  std::vector<RemoveOutcome> removes_;
  std::vector<ReadyOutcome> readies_;
  int watches_ = 0;
  std::shared_ptr<std::atomic<int>> ends_ = std::make_shared<std::atomic<int>>(0);
};

CloseOptions some_grace(Dice& dice) { return {.grace = dice.one_in(2) ? Duration{0} : dice.time(60ms)}; }

void live_on_a_borrowed_loop(Remote& cluster, Dice& dice) {
  LoopFixture loop;
  std::optional<Client> client{made(create(loop.loop(), cluster.options(dice.below(1'000'000))))};
  Life life{cluster, *client, dice};
  int closes = 0;
  int closed = 0;
  for (std::uint32_t steps = dice.below(40); steps > 0; --steps) {
    life.act();
    if (dice.one_in(4)) cluster.fault(dice);
    if (dice.one_in(3)) loop.run_for(dice.time(4ms));
  }
  for (std::uint32_t times = dice.below(3); times > 0; --times) {
    ++closes;
    client->close(some_grace(dice), [&] { ++closed; });
    if (dice.one_in(2)) loop.run_for(dice.time(10ms));
  }
  if (dice.one_in(2)) client.reset();
  if (dice.one_in(2)) loop.run_for(dice.time(20ms));
  cluster.heal();
  client.reset();
  REQUIRE(loop.run_until_idle());
  CHECK(closed == closes);
  CHECK(life.not_once() == 0);
  CHECK(loop.close().empty());
}

void live_on_its_own_loop(Remote& cluster, Dice& dice) {
  std::optional<Client> client{made(create(cluster.options(dice.below(1'000'000))))};
  Life life{cluster, *client, dice};
  int closes = 0;
  std::atomic<int> closed{0};
  for (std::uint32_t steps = dice.below(40); steps > 0; --steps) {
    life.act();
    if (dice.one_in(4)) cluster.fault(dice);
    if (dice.one_in(3)) std::this_thread::sleep_for(dice.time(4ms));
  }
  for (std::uint32_t times = dice.below(3); times > 0; --times) {
    ++closes;
    client->close(some_grace(dice), [&] { ++closed; });
  }
  if (dice.one_in(2)) client.reset();
  cluster.heal();
  client.reset();
  CHECK(closed == closes);
  CHECK(life.not_once() == 0);
}

void live(Remote& cluster, std::uint64_t seed) {
  INFO("seed " << seed);
  Dice dice{seed};
  if (dice.one_in(2)) {
    live_on_a_borrowed_loop(cluster, dice);
  } else {
    live_on_its_own_loop(cluster, dice);
  }
}

}  // namespace

TEST_CASE("A cluster for another process", "[.process]") {
  ClusterConfig config{
      .nodes = nodes, .total_shards = shards, .profile = Profile::replicated, .election = 20ms, .view_interval = 50ms};
  if (const std::string certificate = setting("CERTIFICATE"); !certificate.empty()) {
    config.tls = testing::ServerTls{certificate, setting("KEY"), setting("CLIENT_CA")};
    config.tokens = testing::RequiredTokens{.accepted = {"right"}};
  }
  Cluster cluster = start(config);
  for (const std::string& address : cluster.addresses()) tell_parent(address);
  while (const auto line = line_of_parent()) {
    std::istringstream words(*line);
    std::string what;
    std::uint32_t node = 0;
    std::uint32_t shard = 0;
    words >> what >> node >> shard;
    if (what == "stop") cluster.stop(node);
    if (what == "restart") REQUIRE(cluster.restart(node));
    if (what == "freeze") cluster.freeze(node);
    if (what == "thaw") cluster.thaw(node);
    if (what == "move") static_cast<void>(cluster.move_leader(shard, node));
    tell_parent("done");
  }
}

TEST_CASE("200 clients that are closed at any moment under faults call everything back once and leave nothing") {
  Remote open{Door::open}, guarded{Door::guarded};
  const auto live_once = [&](std::uint64_t each) { live(each % 2 == 0 ? open : guarded, each); };
  std::uint64_t seed = 1;
  for (; seed <= 20; ++seed) live_once(seed);
  // What gRPC needs for itself: its executors start threads as they need them, and no descriptor is needed twice.
  std::ptrdiff_t most_threads = 0;
  std::ptrdiff_t least_descriptors = descriptors();
  for (; seed <= 100; ++seed) {
    live_once(seed);
    most_threads = std::max(most_threads, threads());
    least_descriptors = std::min(least_descriptors, descriptors());
  }
  for (; seed <= 200; ++seed) live_once(seed);
  CHECK(comes_down(own_threads, 0));
  // gRPC has two executors, each with up to two threads for each core, and keeps them once they were needed.
  CHECK(comes_down(threads, most_threads + 4 * std::thread::hardware_concurrency()));
  CHECK(comes_down(descriptors, least_descriptors));
  tell("200 lives: threads {} -> {}, descriptors {} -> {}", most_threads, threads(), least_descriptors, descriptors());
}
