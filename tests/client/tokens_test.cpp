#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/guest.hpp"
#include "support/certificates.hpp"

// Tokens through the public client: sources of every kind, servers that accept and refuse.
using namespace norikv;
using namespace norikv::test;

namespace {

using Tokens = std::vector<std::string>;

Cluster asking_for(Tokens accepted) {
  ClusterConfig config{.election = 5ms};
  config.tokens = testing::RequiredTokens{std::move(accepted)};
  return start(config);
}

/// Why the source was asked, so far. [loop thread]
using Reasons = std::vector<std::string>;

ClientOptions with_source(const Cluster& cluster, TokenSource source) {
  ClientOptions options = cluster.client_options();
  options.tokens.source = std::move(source);
  options.tokens.allow_plaintext = true;
  options.connection.reconnect = {20ms, 100ms};
  return options;
}

/// A source that gives these texts one after the other, the last one again and again.
TokenSource giving(Tokens texts, Reasons* reasons = nullptr, std::optional<Duration> lifetime = {}) {
  return [texts = std::move(texts), next = std::size_t{0}, reasons, lifetime](TokenReason reason,
                                                                              const TokenReply& reply) mutable {
    if (reasons != nullptr) reasons->emplace_back(to_string(reason));
    Token token{texts[std::min(next++, texts.size() - 1)]};
    if (lifetime) token.expires = std::chrono::steady_clock::now() + *lifetime;
    reply.succeed(std::move(token));
  };
}

/// A source whose replies the test keeps.
struct KeptReplies {
  std::vector<std::pair<TokenReason, TokenReply>> replies;
  [[nodiscard]] TokenSource source() {
    return [this](TokenReason reason, TokenReply reply) { replies.emplace_back(reason, std::move(reply)); };
  }
};

}  // namespace

TEST_CASE("An accepted token opens operations and topology streams") {
  Cluster cluster = asking_for({"good"});
  Reasons reasons;
  Guest guest{with_source(cluster, giving({"good"}, &reasons))};
  CHECK(ended(guest.ready({.timeout = 10s, .need = Need::all_nodes})) == "ok");
  CHECK(ended(guest.put("key", "value")) == "ok");
  CHECK(value_of(guest.get("key")) == "value");
  CHECK(ended(guest.remove("key")) == "ok");
  CHECK(reasons == Reasons{"first"});
  CHECK(cluster.counters().unauthenticated == 0);
}

TEST_CASE("A wrong token ends with unauthenticated and the server's words, and tells no token") {
  Cluster cluster = asking_for({"good"});
  std::string log;
  ClientOptions options = with_source(cluster, giving({"secret-wrong-token"}));
  options.connection.watch_topology = false;
  options.log_level = LogLevel::debug;
  options.log = [&](LogLevel, std::string_view line) { log.append(line); };
  Guest guest{options};
  const Result<Written> written = guest.put("key", "value");
  CHECK(ended(written) == "unauthenticated");
  CHECK(written.error().describe().find("The token is missing or not accepted") != std::string::npos);
  CHECK(written.error().describe().find("secret") == std::string::npos);
  CHECK(log.find("secret") == std::string::npos);
  CHECK_FALSE(written.error().maybe_applied);
  CHECK_FALSE(cluster.stored("key").has_value());
}

TEST_CASE("No token where one is asked for ends with unauthenticated at once") {
  Cluster cluster = asking_for({"good"});
  Guest guest{cluster};
  CHECK(ended(guest.get("key")) == "unauthenticated");
  CHECK(ended(guest.put("key", "value")) == "unauthenticated");
}

TEST_CASE("A refused token is renewed, and nobody notices") {
  Cluster cluster = asking_for({"one"});
  Reasons reasons;
  Guest guest{with_source(cluster, giving({"one", "two"}, &reasons))};
  REQUIRE(ended(guest.put("key", "value")) == "ok");
  cluster.require_tokens(testing::RequiredTokens{{"two"}});
  CHECK(ended(guest.put("key", "other")) == "ok");
  CHECK(value_of(guest.get("key")) == "other");
  CHECK(reasons == Reasons{"first", "refused"});
}

TEST_CASE("A token that ends is renewed ahead of its end while operations go on") {
  Cluster cluster = asking_for({"one", "two"});
  Reasons reasons;
  Guest guest{with_source(cluster, giving({"one", "two"}, &reasons, 1s))};
  // Half of a token's time has to pass, which is real time.
  const TimePoint limit = std::chrono::steady_clock::now() + 20s;
  while (reasons.size() < 3 && std::chrono::steady_clock::now() < limit) REQUIRE(ended(guest.get("key")) == "ok");
  REQUIRE(reasons.size() >= 3);
  CHECK(reasons[0] == "first");
  CHECK(reasons[1] == "expiring");
  CHECK(reasons[2] == "expiring");
  CHECK(cluster.counters().unauthenticated == 0);
}

TEST_CASE("A source may answer late, and operations wait within their own time") {
  Cluster cluster = asking_for({"good"});
  KeptReplies kept;
  Guest guest{with_source(cluster, kept.source())};
  const GetOutcome patient;
  const PutOutcome hasty;
  guest->get("key", {.timeout = 20s}, patient.callback());
  guest->put("key", "value", {.timeout = 100ms}, hasty.callback());
  REQUIRE(guest.wait(hasty));
  CHECK(ended(hasty) == "deadline_exceeded");
  CHECK(hasty.error().phase == Phase::awaiting_token);
  CHECK_FALSE(patient.came());
  REQUIRE(kept.replies.size() == 1);
  kept.replies.front().second.succeed({"good"});
  REQUIRE(guest.wait(patient));
  CHECK(ended(patient) == "ok");
}

TEST_CASE("A source may answer from another thread") {
  Cluster cluster = asking_for({"good"});
  std::thread other;
  Guest guest{with_source(cluster, [&](TokenReason, TokenReply reply) {
    other = std::thread([reply = std::move(reply)] { reply.succeed({"good"}); });
  })};
  CHECK(ended(guest.put("key", "value")) == "ok");
  other.join();
}

TEST_CASE("A source that answers twice is heard once") {
  Cluster cluster = asking_for({"good"});
  Guest guest{with_source(cluster, [](TokenReason, const TokenReply& reply) {
    reply.succeed({"good"});
    reply.succeed({"bad"});
    reply.fail("worse");
  })};
  CHECK(ended(guest.put("key", "value")) == "ok");
  CHECK(ended(guest.get("key")) == "ok");
  CHECK(cluster.counters().unauthenticated == 0);
}

TEST_CASE("A source that drops its reply fails those who wait, with a word about it") {
  Cluster cluster = asking_for({"good"});
  Guest guest{with_source(cluster, [](TokenReason, const TokenReply&) {})};
  const Result<Written> written = guest.put("key", "value");
  CHECK(ended(written) == "unauthenticated");
  CHECK(written.error().message.find("dropped its reply") != std::string::npos);
}

TEST_CASE("A source that fails once is asked again, and all is well") {
  Cluster cluster = asking_for({"good"});
  int asked = 0;
  ClientOptions options = with_source(cluster, [&](TokenReason, const TokenReply& reply) {
    ++asked == 1 ? reply.fail("not now") : reply.succeed({"good"});
  });
  Guest guest{options};
  const Result<Written> first = guest.put("key", "value");
  CHECK(ended(first) == "unauthenticated");
  CHECK(first.error().message == "the token source failed: not now");
  CHECK(ended(guest.put("key", "value")) == "ok");
  CHECK(ended(guest.ready({.timeout = 10s, .need = Need::all_nodes})) == "ok");
}

TEST_CASE("1,000 waiting operations ask for one token") {
  Cluster cluster = asking_for({"good"});
  KeptReplies kept;
  Guest guest{with_source(cluster, kept.source())};
  const std::vector<GetOutcome> reads(1000);
  for (const GetOutcome& read : reads) guest->get("key", {.timeout = 30s}, read.callback());
  REQUIRE(guest.loop().run_until([&] { return !kept.replies.empty(); }));
  guest.loop().run_for(20ms);  // real time: that nothing more comes
  CHECK(kept.replies.size() == 1);
  CHECK(cluster.counters().gets == 0);
  kept.replies.front().second.succeed({"good"});
  REQUIRE(guest.wait(reads, 30s));
  for (const GetOutcome& read : reads) CHECK(ended(read) == "ok");
  CHECK(kept.replies.size() == 1);
}

TEST_CASE("A source is called on the loop's thread, and its answer calls nobody back inside") {
  Cluster cluster = asking_for({"good"});
  std::atomic<std::thread::id> where{};
  Client client = made(create(with_source(cluster, [&](TokenReason, const TokenReply& reply) {
    where = std::this_thread::get_id();
    reply.succeed({"good"});
  })));
  const GetOutcome found;
  client.get("key", found.callback());
  REQUIRE(found.wait());
  CHECK(where.load() == found.thread());
  CHECK(where.load() != std::this_thread::get_id());
}

TEST_CASE("A client that closes while it waits for a token tells everybody, and a late reply is harmless") {
  Cluster cluster = asking_for({"good"});
  KeptReplies kept;
  {
    Guest guest{with_source(cluster, kept.source())};
    const PutOutcome written;
    guest->put("key", "value", written.callback());
    REQUIRE(guest.loop().run_until([&] { return !kept.replies.empty(); }));
    REQUIRE(guest.close());
    CHECK(ended(written) == "closed");
    kept.replies.front().second.succeed({"good"});
  }
  kept.replies.front().second.fail("too late");
  kept.replies.clear();
  CHECK(cluster.counters().puts == 0);
}

TEST_CASE("Replies that come and go on other threads while clients end do no harm") {
  Cluster cluster = asking_for({"good"});
  for (int round = 0; round < 20; ++round) {
    std::vector<std::thread> threads;
    std::mutex mutex;
    const GetOutcome found;
    {
      Client client = made(create(with_source(cluster, [&](TokenReason, TokenReply reply) {
        const std::lock_guard lock(mutex);
        threads.emplace_back([reply = std::move(reply), round] {
          if (round % 3 != 0) reply.succeed({"good"});
        });
      })));
      client.get("key", found.callback());
      if (round % 2 == 0) CHECK(found.wait());
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(found.calls() == 1);
  }
}

TEST_CASE("Key and prefix of the metadata are the user's") {
  Cluster cluster = asking_for({});
  cluster.require_tokens(testing::RequiredTokens{{"good"}, "x-api-key", ""});
  ClientOptions options = with_source(cluster, giving({"good"}));
  options.tokens.metadata_key = "x-api-key";
  options.tokens.prefix = "";
  Guest guest{options};
  CHECK(ended(guest.put("key", "value")) == "ok");
}

TEST_CASE("Tokens go over TLS without further ado") {
  ClusterConfig config{.election = 5ms};
  config.tls = testing::ServerTls{certificates().server.certificate, certificates().server.key};
  config.tokens = testing::RequiredTokens{{"good"}};
  Cluster cluster = start(config);
  ClientOptions options = cluster.client_options();
  options.tls = TlsOptions{.ca = {.text = certificates().ca}};
  options.tokens.source = giving({"good"});
  Guest guest{options};
  CHECK(ended(guest.put("key", "value")) == "ok");
  CHECK(ended(guest.ready({.timeout = 10s, .need = Need::all_nodes})) == "ok");
}

TEST_CASE("A token that can't be sent fails, and is not told") {
  Cluster cluster = asking_for({"good"});
  Guest guest{with_source(cluster, giving({"secret\r\nx-evil: 1"}))};
  const Result<Written> written = guest.put("key", "value");
  CHECK(ended(written) == "unauthenticated");
  CHECK(written.error().describe().find("secret") == std::string::npos);
  CHECK(cluster.counters().puts == 0);
}

TEST_CASE("Without operations nobody asks the source, and an idle client does not hold the loop") {
  Cluster cluster = asking_for({"good"});
  Reasons reasons;
  ClientOptions options = with_source(cluster, giving({"good"}, &reasons));
  options.connection.watch_topology = false;
  Guest guest{options};
  CHECK(guest.loop().run_until_idle());
  CHECK(reasons.empty());
}
