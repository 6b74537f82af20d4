#include "core/token_cache.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace norikv::core {
namespace {

using namespace std::chrono_literals;
using Step = TokenCache::Step;

const TimePoint start{1h};

TokenOptions with_source(TokenOptions options = {}) {
  options.source = [](TokenReason, const TokenReply&) { FAIL("the cache itself never calls the source"); };
  return options;
}

/// A cache and its time. Every pause is as long as it can be.
class Tokens {
 public:
  explicit Tokens(TokenOptions options = {}) : cache_(with_source(std::move(options))) {}

  /// What a request would carry now: "" = it has to wait.
  std::string use(std::uint64_t refused = 0) {
    const TokenCache::Usable* const usable = cache_.use(now, refused);
    return usable == nullptr ? "" : usable->value;
  }
  std::uint64_t generation() {
    const TokenCache::Usable* const usable = cache_.use(now);
    return usable == nullptr ? 0 : usable->generation;
  }
  /// The request that the source gets now: "" = none.
  std::string asked() {
    const auto ask = cache_.take_ask();
    if (!ask) return "";
    last = ask->id;
    return std::string(to_string(ask->reason));
  }
  Step answer(std::string text, std::optional<Duration> lifetime = {}) {
    return answer(last, std::move(text), lifetime);
  }
  Step answer(AskId id, std::string text, std::optional<Duration> lifetime = {}) {
    Token token{std::move(text)};
    if (lifetime) token.expires = now + *lifetime;
    return cache_.on_answer(id, std::move(token), now, 1.0);
  }
  Step fail(std::string why) { return cache_.on_answer(last, tl::unexpected(std::move(why)), now, 1.0); }
  void refuse(std::uint64_t generation) { cache_.on_refused(generation, now, 1.0); }
  void accept(std::uint64_t generation) { cache_.on_accepted(generation); }
  TokenCache& cache() { return cache_; }

  TimePoint now = start;
  AskId last{};

 private:
  TokenCache cache_;
};

/// A cache that has a token.
Tokens given(const std::string& text, std::optional<Duration> lifetime = {}, TokenOptions options = {}) {
  Tokens tokens{std::move(options)};
  CHECK(tokens.use().empty());
  CHECK(tokens.asked() == "first");
  CHECK(tokens.answer(text, lifetime) == Step::renewed);
  return tokens;
}

TEST_CASE("Without a source there are no tokens") {
  CHECK_FALSE(TokenCache{TokenOptions{}}.enabled());
  CHECK(TokenCache{with_source()}.enabled());
}

TEST_CASE("The source is asked when the first token is needed, not before") {
  Tokens tokens;
  CHECK(tokens.asked().empty());
  CHECK(tokens.use().empty());
  CHECK(tokens.asked() == "first");
  CHECK(tokens.answer("abc") == Step::renewed);
  CHECK(tokens.use() == "Bearer abc");
}

TEST_CASE("However many wait, the source is asked once") {
  Tokens tokens;
  for (int i = 0; i < 1000; ++i) CHECK(tokens.use().empty());
  CHECK(tokens.asked() == "first");
  for (int i = 0; i < 1000; ++i) CHECK(tokens.use().empty());
  CHECK(tokens.asked().empty());
}

TEST_CASE("A token without an end is kept for ever") {
  Tokens tokens = given("abc");
  tokens.now += 24h * 365;
  CHECK(tokens.use() == "Bearer abc");
  CHECK(tokens.asked().empty());
}

TEST_CASE("A token is renewed ahead of its end, and used until then") {
  Tokens tokens = given("old", 100s);
  tokens.now = start + 69s;
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked().empty());
  tokens.now = start + 70s;
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked() == "expiring");
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked().empty());
  CHECK(tokens.answer("new", 100s) == Step::renewed);
  CHECK(tokens.use() == "Bearer new");
}

TEST_CASE("Nobody asks for a token that nobody uses") {
  Tokens tokens = given("old", 100s);
  tokens.now = start + 1h;
  CHECK(tokens.asked().empty());
  CHECK(tokens.use().empty());
  CHECK(tokens.asked() == "first");
}

TEST_CASE("A token that lives shorter than the margin is renewed after half of its time") {
  Tokens tokens = given("old", 10s);
  tokens.now = start + 4900ms;
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked().empty());
  tokens.now = start + 5s;
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked() == "expiring");
}

TEST_CASE("A token is not used when it has ended") {
  Tokens tokens = given("old", 100s);
  tokens.now = start + 99999ms;
  CHECK(tokens.use() == "Bearer old");
  tokens.now = start + 100s;
  CHECK(tokens.use().empty());
}

TEST_CASE("A renewal that is under way when the token ends is waited for, not repeated") {
  Tokens tokens = given("old", 100s);
  tokens.now = start + 80s;
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked() == "expiring");
  tokens.now = start + 101s;
  CHECK(tokens.use().empty());
  CHECK(tokens.asked().empty());
  CHECK(tokens.answer("new") == Step::renewed);
  CHECK(tokens.use() == "Bearer new");
}

TEST_CASE("A failed renewal stops nobody while the token is good, and is tried again after a pause") {
  Tokens tokens = given("old", 100s);
  tokens.now = start + 80s;
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked() == "expiring");
  CHECK(tokens.fail("away") == Step::kept);
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked().empty());
  tokens.now += 100ms;
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked() == "expiring");
}

TEST_CASE("A source that fails is asked again after pauses that grow to two seconds") {
  Tokens tokens;
  for (const Duration pause : {100ms, 200ms, 400ms, 800ms, 1600ms, 2000ms, 2000ms}) {
    CHECK(tokens.use().empty());
    CHECK(tokens.asked() == "first");
    CHECK(tokens.fail("no key") == Step::failed);
    CHECK(tokens.cache().failure() == "the token source failed: no key");
    CHECK(tokens.cache().next_step() == tokens.now + pause);
    tokens.now += pause - 1ns;
    CHECK(tokens.use().empty());
    CHECK(tokens.asked().empty());
    tokens.now += 1ns;
  }
  CHECK(tokens.use().empty());
  CHECK(tokens.asked() == "first");
  CHECK(tokens.answer("abc") == Step::renewed);
  CHECK(tokens.use() == "Bearer abc");
  CHECK(tokens.cache().failure().empty());
}

TEST_CASE("A refused token is not used again by whom it was refused, and another one is asked for") {
  Tokens tokens = given("old");
  const std::uint64_t old = tokens.generation();
  tokens.accept(old);
  tokens.refuse(old);
  CHECK(tokens.use(old).empty());
  CHECK(tokens.asked() == "refused");
  CHECK(tokens.answer("new") == Step::renewed);
  CHECK(tokens.use(old) == "Bearer new");
}

TEST_CASE("A token that some node has taken is used on by all but those whom it was refused") {
  Tokens tokens = given("old");
  const std::uint64_t old = tokens.generation();
  tokens.accept(old);
  tokens.refuse(old);
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.asked() == "refused");
  CHECK(tokens.use(old).empty());
  CHECK(tokens.fail("out of order") == Step::failed);
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.use(old).empty());
}

TEST_CASE("A token that nobody has taken yet is used by nobody after a refusal, unless somebody takes it after all") {
  Tokens tokens = given("old");
  const std::uint64_t old = tokens.generation();
  tokens.refuse(old);
  CHECK(tokens.use().empty());
  tokens.accept(old);
  CHECK(tokens.use() == "Bearer old");
  CHECK(tokens.use(old).empty());
}

TEST_CASE("One node that refuses whatever the others take does not have the source asked all the time") {
  Tokens tokens = given("first");
  int asked = 0;
  for (const TimePoint end = tokens.now + 60s; tokens.now < end; tokens.now += 1ms) {
    const std::uint64_t generation = tokens.generation();
    REQUIRE(generation != 0);
    tokens.accept(generation);
    tokens.refuse(generation);
    static_cast<void>(tokens.use(generation));
    if (tokens.asked().empty()) continue;
    ++asked;
    CHECK(tokens.answer("another") == Step::renewed);
  }
  CHECK(asked >= 20);
  CHECK(asked <= 40);
}

TEST_CASE("A refusal of an older token does not touch the one in use") {
  Tokens tokens = given("old");
  const std::uint64_t old = tokens.generation();
  tokens.accept(old);
  for (int i = 0; i < 100; ++i) tokens.refuse(old);
  CHECK(tokens.use(old).empty());
  CHECK(tokens.asked() == "refused");
  CHECK(tokens.answer("new") == Step::renewed);
  tokens.refuse(old);
  CHECK(tokens.use() == "Bearer new");
  CHECK(tokens.asked().empty());
}

TEST_CASE("A source whose tokens no server takes is asked after pauses") {
  Tokens tokens = given("one");
  for (const Duration pause : {100ms, 200ms, 400ms}) {
    tokens.refuse(tokens.generation());
    CHECK(tokens.use().empty());
    CHECK(tokens.asked().empty());
    CHECK(tokens.cache().next_step() == tokens.now + pause);
    tokens.now += pause;
    CHECK(tokens.use().empty());
    CHECK(tokens.asked() == "refused");
    CHECK(tokens.answer("another") == Step::renewed);
  }
  // One that is taken for a while ends that.
  const std::uint64_t last = tokens.generation();
  tokens.accept(last);
  tokens.now += 5s;
  tokens.refuse(last);
  CHECK(tokens.use(last).empty());
  CHECK(tokens.asked() == "refused");
}

TEST_CASE("A source that does not answer is asked again after a while, and its late answer is ignored") {
  Tokens tokens;
  CHECK(tokens.use().empty());
  CHECK(tokens.asked() == "first");
  const AskId late = tokens.last;
  CHECK(tokens.cache().next_step() == start + 30s);
  tokens.now = start + 30s;
  CHECK(tokens.use().empty());
  CHECK(tokens.asked() == "first");
  CHECK(tokens.cache().failure() == "the token source did not answer for 30 s");
  CHECK(tokens.answer(late, "late") == Step::ignored);
  CHECK(tokens.use().empty());
  CHECK(tokens.answer("abc") == Step::renewed);
  CHECK(tokens.use() == "Bearer abc");
}

TEST_CASE("An answer counts once") {
  Tokens tokens = given("one");
  CHECK(tokens.answer("two") == Step::ignored);
  CHECK(tokens.fail("three") == Step::ignored);
  CHECK(tokens.use() == "Bearer one");
}

TEST_CASE("Key and prefix are the user's") {
  Tokens tokens = given("abc", {}, {.metadata_key = "x-token", .prefix = ""});
  CHECK(tokens.cache().metadata_key() == "x-token");
  CHECK(tokens.use() == "abc");
}

TEST_CASE("What can't be sent is a failure that does not tell the token") {
  const std::vector<std::pair<Token, std::string>> bad = {
      {{""}, "an empty token"},
      {{"secret\nsecret"}, "not printable ASCII"},
      {{"secret\xc3\xa9"}, "not printable ASCII"},
      {{std::string(8193, 's')}, "more than 8192 bytes"},
      {{"secret", start}, "had ended already"},
      {{"secret", TimePoint::min()}, "had ended already"},
  };
  for (const auto& [token, why] : bad) {
    Tokens tokens;
    CHECK(tokens.use().empty());
    CHECK(tokens.asked() == "first");
    CHECK(tokens.cache().on_answer(tokens.last, token, tokens.now, 1.0) == Step::failed);
    INFO(tokens.cache().failure());
    CHECK(tokens.cache().failure().find(why) != std::string::npos);
    CHECK(tokens.cache().failure().find("secret") == std::string::npos);
    CHECK(tokens.use().empty());
  }
}

TEST_CASE("Tokens are taken out of a text wherever they stand, also one that was cut off at its end") {
  Tokens tokens = given("secret-token-1");
  const auto redacted = [&](std::string text) {
    tokens.cache().redact(text);
    return text;
  };
  CHECK(redacted("") == "");
  CHECK(redacted("nothing to see") == "nothing to see");
  CHECK(redacted("secret-token-1") == "<token>");
  CHECK(redacted("a secret-token-1 and secret-token-1secret-token-1") == "a <token> and <token><token>");
  CHECK(redacted("it was secret-tok") == "it was <token>");
  CHECK(redacted("it was secret") == "it was secret");  // too little to tell anything
}

TEST_CASE("A token that could be any word is left where it stands") {
  Tokens tokens = given("abc");
  std::string text = "abc is no secret";
  tokens.cache().redact(text);
  CHECK(text == "abc is no secret");
}

TEST_CASE("Ends as far away as can be are no trouble") {
  Tokens tokens;
  CHECK(tokens.use().empty());
  CHECK(tokens.asked() == "first");
  CHECK(tokens.cache().on_answer(tokens.last, Token{"abc", TimePoint::max()}, tokens.now, 1.0) == Step::renewed);
  CHECK(tokens.use() == "Bearer abc");
  CHECK(tokens.asked().empty());
}

TEST_CASE("What a source says about its failure is kept to one line") {
  Tokens tokens;
  CHECK(tokens.use().empty());
  CHECK(tokens.asked() == "first");
  CHECK(tokens.fail("no\nkey" + std::string(1000, 'x')) == Step::failed);
  CHECK(tokens.cache().failure().find('\n') == std::string::npos);
  CHECK(tokens.cache().failure().size() < 300);
}

}  // namespace
}  // namespace norikv::core
