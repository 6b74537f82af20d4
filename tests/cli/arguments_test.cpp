#include "cli/arguments.hpp"

#include <chrono>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include <norikv/version.hpp>

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::cli;
using namespace std::chrono_literals;

namespace {

using Words = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;

Outcome<Invocation> parse(const Words& words, const Variables& variables = {}) {
  return parse_arguments(words, [&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional{found->second};
  });
}

template <class Command>
Command parsed(const Words& words, const Variables& variables = {}) {
  const Outcome<Invocation> invocation = parse(words, variables);
  INFO((invocation ? "" : invocation.error().message));
  REQUIRE(invocation);
  REQUIRE(std::holds_alternative<Command>(invocation->command));
  return std::get<Command>(invocation->command);
}

/// The complaint about a command line that must be refused.
std::string complaint(const Words& words, const Variables& variables = {}) {
  const Outcome<Invocation> invocation = parse(words, variables);
  REQUIRE_FALSE(invocation);
  CHECK(invocation.error().exit_code == ExitCode::usage);
  return invocation.error().message;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("without options a command talks to 127.0.0.1:7447, 1024 shards, for five seconds") {
  const auto get = parsed<Get>({"get", "k"});
  CHECK(get.target.nodes == Words{"127.0.0.1:7447"});
  CHECK(get.target.shards == 1024);
  CHECK(get.target.timeout == 5s);
  CHECK(get.consistency == Consistency::lease);
}

TEST_CASE("shared options may stand before or after the command") {
  const Words words = GENERATE(Words{"--nodes", "a:1,b:2", "--shards", "4", "--timeout", "2s", "--json", "get", "k"},
                               Words{"get", "--nodes", "a:1,b:2", "k", "--shards=4", "--timeout=2s", "--json"});
  const auto get = parsed<Get>(words);
  CHECK(get.target.nodes == Words{"a:1", "b:2"});
  CHECK(get.target.shards == 4);
  CHECK(get.target.timeout == 2s);
  CHECK(parse(words)->json);
}

TEST_CASE("the command's own option comes before the program's, and that before the variable") {
  const Variables variables{{"NORIKV_NODES", "env:1"}, {"NORIKV_SHARDS", "8"}};
  CHECK(parsed<Get>({"get", "k"}, variables).target.nodes == Words{"env:1"});
  CHECK(parsed<Get>({"get", "k"}, variables).target.shards == 8);
  CHECK(parsed<Get>({"--nodes", "out:1", "get", "k"}, variables).target.nodes == Words{"out:1"});
  CHECK(parsed<Get>({"--nodes", "out:1", "get", "k", "--nodes", "in:1"}, variables).target.nodes == Words{"in:1"});
}

TEST_CASE("TLS is used when one of its options is given") {
  CHECK_FALSE(parsed<Get>({"get", "k"}).target.tls);
  CHECK(parsed<Get>({"--tls", "get", "k"}).target.tls);
  const auto get = parsed<Get>(
      {"--tls-ca", "ca.pem", "get", "k", "--tls-cert=me.pem", "--tls-key", "me.key", "--tls-server-name", "node"});
  REQUIRE(get.target.tls);
  CHECK(get.target.tls->ca.file == "ca.pem");
  CHECK(get.target.tls->certificate.file == "me.pem");
  CHECK(get.target.tls->key.file == "me.key");
  CHECK(get.target.tls->server_name == "node");
  CHECK(parsed<Watch>({"watch", "--tls-ca", "ca.pem"}).target.tls->ca.file == "ca.pem");
  CHECK(contains(complaint({"get", "k", "--tls-ca", ""}), "--tls-ca"));
}

TEST_CASE("serve takes certificates in pairs, and a token") {
  const auto serve =
      parsed<Serve>({"serve", "--tls-cert", "c", "--tls-key", "k", "--tls-client-ca", "a", "--token", "abc"});
  CHECK(serve.tls_cert == "c");
  CHECK(serve.tls_key == "k");
  CHECK(serve.tls_client_ca == "a");
  REQUIRE(serve.config.tokens);
  CHECK(serve.config.tokens->accepted == Words{"abc"});
  CHECK_FALSE(parsed<Serve>({"serve"}).config.tokens);
  CHECK(contains(complaint({"serve", "--tls-cert", "c"}), "--tls-key"));
  CHECK(contains(complaint({"serve", "--tls-client-ca", "a"}), "--tls-cert"));
  CHECK(contains(complaint({"--tls-ca", "a", "serve"}), "after serve"));
}

TEST_CASE("a token comes from an option, a file or the environment") {
  CHECK(parsed<Get>({"get", "k", "--tls", "--token", "abc"}).target.token == "abc");
  CHECK(parsed<Get>({"--token-file", "f", "--tls", "get", "k"}).target.token_file == "f");
  CHECK(parsed<Get>({"get", "k", "--tls"}, {{"NORIKV_TOKEN", "env"}}).target.token == "env");
  const auto both = parsed<Get>({"get", "k", "--tls", "--token-file", "f"}, {{"NORIKV_TOKEN", "env"}});
  CHECK(both.target.token_file == "f");
  CHECK(both.target.token.empty());
  CHECK(contains(complaint({"get", "k", "--tls", "--token", "abc", "--token-file", "f"}), "give one"));
}

TEST_CASE("a token is not sent in plain text unless that is asked for, and the complaint does not tell it") {
  for (const Words& words : {Words{"get", "k", "--token", "secret"}, Words{"get", "k", "--token-file", "secret"}}) {
    const std::string text = complaint(words);
    CHECK(contains(text, "--tls"));
    CHECK_FALSE(contains(text, "secret"));
  }
  CHECK(contains(complaint({"get", "k"}, {{"NORIKV_TOKEN", "secret"}}), "NORIKV_TOKEN"));
  CHECK(parsed<Get>({"get", "k", "--token", "abc", "--token-in-plaintext"}).target.token_in_plaintext);
}

TEST_CASE("an empty variable is not set") {
  const auto get = parsed<Get>({"get", "k"}, {{"NORIKV_NODES", ""}, {"NORIKV_SHARDS", ""}});
  CHECK(get.target.nodes == Words{"127.0.0.1:7447"});
  CHECK(get.target.shards == 1024);
}

TEST_CASE("a bad variable is named in the complaint") {
  CHECK(contains(complaint({"get", "k"}, {{"NORIKV_SHARDS", "many"}}), "NORIKV_SHARDS: \"many\""));
  CHECK(contains(complaint({"serve"}, {{"NORIKV_SHARDS", "0"}}), "NORIKV_SHARDS: \"0\""));
  CHECK(parsed<Get>({"get", "k"}, {{"NORIKV_NODES", "nonsense"}}).target.nodes_source == "NORIKV_NODES");
}

TEST_CASE("a bad variable does not matter where an option overrules it") {
  CHECK(parsed<Get>({"get", "k", "--shards", "2"}, {{"NORIKV_SHARDS", "many"}}).target.shards == 2);
}

TEST_CASE("put takes its conditions from options") {
  const auto put = parsed<Put>({"put", "k", "v", "--ttl", "30s", "--if-version", "0:7", "--idempotency-key", "once"});
  CHECK(put.key == "k");
  CHECK(put.value == "v");
  CHECK(put.ttl == Duration{30s});
  CHECK(put.if_version == Version{0, 7});
  CHECK(put.idempotency_key == "once");
}

TEST_CASE("put without options has no conditions") {
  const auto put = parsed<Put>({"put", "k", "v"});
  CHECK_FALSE(put.ttl);
  CHECK_FALSE(put.if_version);
  CHECK_FALSE(put.idempotency_key);
}

TEST_CASE("the value - means stdin") {
  CHECK_FALSE(parsed<Put>({"put", "k", "-"}).value);
  CHECK_FALSE(parsed<Put>({"put", "k", "--", "-"}).value);
  CHECK(parsed<Put>({"put", "-", "v"}).key == "-");
}

TEST_CASE("a key and a value may be any text") {
  const std::string text =
      GENERATE("", " ", "{}", "[]", "[a,b]", "++", "=", "==x", "a=b", "\"q\"", "'q'", "put", "watch", "%%", "\\", "\n",
               "\xff\x01", "{\"a\":[1,2]}", "$HOME", "@file", "#x", "/h");
  CAPTURE(text);
  const auto put = parsed<Put>({"put", text, text});
  CHECK(put.key == text);
  CHECK(put.value == text);
  CHECK(parsed<Get>({"get", text}).key == text);
  const auto shard = parsed<Shard>({"shard", text, "x", text});
  REQUIRE(shard.keys.size() == 3);
  CHECK(shard.keys[0].bytes == text);
  CHECK(shard.keys[2].bytes == text);
}

TEST_CASE("after -- a key and a value may begin with a dash") {
  const std::string text = GENERATE("-x", "--json", "--", "--nodes=a:1", "---", "-5");
  CAPTURE(text);
  const auto put = parsed<Put>({"put", "--ttl", "1s", "--", text, text});
  CHECK(put.key == text);
  CHECK(put.value == text);
  const auto shard = parsed<Shard>({"shard", "a", "--", text, text});
  REQUIRE(shard.keys.size() == 3);
  CHECK(shard.keys[1].bytes == text);
  CHECK_FALSE(parse({"shard", "--", text})->json);
}

TEST_CASE("the text of an option may be any text") {
  const std::string text = GENERATE("{}", "[a,b]", "++", "=x", "put");
  CHECK(parsed<Put>({"put", "k", "v", "--idempotency-key", text}).idempotency_key == text);
  CHECK(parsed<Put>({"put", "k", "v", "--idempotency-key=" + text}).idempotency_key == text);
  CHECK(parsed<Get>({"--nodes", text, "get", "k"}).target.nodes_source == "--nodes");
}

TEST_CASE("a dash that begins no option is pointed out") {
  CHECK(contains(complaint({"put", "k", "-value"}), "goes after --"));
  CHECK(contains(complaint({"get", "--bogus", "k"}), "\"--bogus\" is not expected here"));
}

TEST_CASE("missing and surplus words are complained about by name") {
  CHECK(contains(complaint({"put"}), "KEY is required"));
  CHECK(contains(complaint({"put", "k"}), "VALUE is required"));
  CHECK(contains(complaint({"get"}), "KEY is required"));
  CHECK(contains(complaint({"shard"}), "KEY is required"));
  CHECK(contains(complaint({"put", "k", "v", "w"}), "\"w\" is not expected here"));
  CHECK(contains(complaint({"watch", "w"}), "\"w\" is not expected here"));
}

TEST_CASE("a complaint about the command lists the commands") {
  CHECK(contains(complaint({}), "name a command: put, get, del, watch, serve, shard, bench"));
  CHECK(contains(complaint({"--json"}), "name a command"));
  CHECK(complaint({"frob", "x"}) == "\"frob\" is not a command: use one of put, get, del, watch, serve, shard, bench");
  CHECK(contains(complaint({"set", "--wat"}), "\"set\" is not a command"));
}

TEST_CASE("an option that lacks its text, or comes twice, is a usage error") {
  CHECK(contains(complaint({"put", "k", "v", "--ttl"}), "--ttl"));
  CHECK(contains(complaint({"get", "k", "--nodes", "a:1", "--nodes", "b:1"}), "--nodes"));
}

TEST_CASE("a malformed text of an option is complained about with the option's name") {
  CHECK(contains(complaint({"put", "k", "v", "--ttl", "30"}), "--ttl: \"30\""));
  CHECK(contains(complaint({"put", "k", "v", "--ttl", "0s"}), "--ttl: \"0s\""));
  CHECK(contains(complaint({"put", "k", "v", "--ttl", "-1s"}), "--ttl: \"-1s\""));
  CHECK(contains(complaint({"put", "k", "v", "--if-version", "7"}), "--if-version: \"7\""));
  CHECK(contains(complaint({"put", "k", "v", "--idempotency-key", ""}), "--idempotency-key"));
  CHECK(contains(complaint({"get", "k", "--consistency", "strong"}), "--consistency: \"strong\""));
  CHECK(contains(complaint({"get", "k", "--timeout", "5"}), "--timeout: \"5\""));
  CHECK(contains(complaint({"--timeout", "0s", "get", "k"}), "--timeout: \"0s\""));
  CHECK(contains(complaint({"get", "k", "--shards", "0"}), "--shards: \"0\""));
  CHECK(contains(complaint({"shard", "--hex", "ff", "xy"}), "--hex: \"xy\""));
}

TEST_CASE("serve serves one node of the norikv profile at port 7447, with as many shards as clients expect") {
  const auto serve = parsed<Serve>({"serve"});
  CHECK(serve.config.nodes == 1);
  CHECK(serve.config.port == 7447);
  CHECK(serve.config.total_shards == 1024);
  CHECK(serve.config.profile == testing::Profile::norikv);
  CHECK_FALSE(serve.config.commit_delay);
}

TEST_CASE("serve takes a number of nodes, shards, a port, a profile and the commit delay") {
  const auto serve = parsed<Serve>(
      {"serve", "--nodes", "3", "--shards", "4", "--port", "0", "--profile", "replicated", "--commit-delay"});
  CHECK(serve.config.nodes == 3);
  CHECK(serve.config.port == 0);
  CHECK(serve.config.total_shards == 4);
  CHECK(serve.config.profile == testing::Profile::replicated);
  CHECK(serve.config.commit_delay);
}

TEST_CASE("serve does not take the addresses of a cluster for its own") {
  CHECK(parsed<Serve>({"serve"}, {{"NORIKV_NODES", "a:1"}}).config.nodes == 1);
  CHECK(contains(complaint({"--nodes", "a:1", "serve"}), "serve --nodes N"));
  CHECK(contains(complaint({"serve", "--nodes", "a:1"}), "--nodes: \"a:1\""));
}

TEST_CASE("serve refuses numbers out of range") {
  CHECK(contains(complaint({"serve", "--shards", "0"}), "--shards"));
  CHECK(contains(complaint({"serve", "--shards", "1048577"}), "--shards"));
  CHECK(contains(complaint({"serve", "--nodes", "0"}), "--nodes"));
  CHECK(contains(complaint({"serve", "--port", "65536"}), "--port"));
  CHECK(contains(complaint({"serve", "--port", "65534", "--nodes", "3"}), "--port"));
  CHECK(parsed<Serve>({"serve", "--port", "65534", "--nodes", "2"}).config.port == 65534);
  CHECK(contains(complaint({"serve", "--profile", "raft"}), "--profile: \"raft\""));
}

TEST_CASE("shard keeps hex keys as they were given") {
  const auto shard = parsed<Shard>({"shard", "--hex", "00FF", ""});
  REQUIRE(shard.keys.size() == 2);
  CHECK(shard.keys[0].given == "00FF");
  CHECK(shard.keys[0].bytes == std::string("\x00\xff", 2));
  CHECK(shard.keys[1].bytes.empty());
}

TEST_CASE("help and version are shown wherever they are asked for") {
  const Words words =
      GENERATE(Words{"--help"}, Words{"-h"}, Words{"put", "--help"}, Words{"shard", "-h"}, Words{"--version"});
  CHECK_FALSE(parsed<Show>(words).text.empty());
}

TEST_CASE("the version is the library's") {
  CHECK(parsed<Show>({"--version"}).text == std::string{"norikv "} + version() + "\n");
}

TEST_CASE("a command line that is wrong still tells whether it asks for JSON") {
  CHECK(asks_for_json({"frob", "--json"}));
  CHECK_FALSE(asks_for_json({"put", "--", "--json"}));
  CHECK_FALSE(asks_for_json({"put"}));
}

TEST_CASE("a bench without options gets 1000 keys of 100 bytes for ten seconds, 64 in flight") {
  const auto bench = parsed<Bench>({"bench"});
  CHECK(bench.verb == Verb::get);
  CHECK(bench.time == 10s);
  CHECK(bench.in_flight == 64);
  CHECK(bench.value_bytes == 100);
  CHECK(bench.keys == 1000);
  CHECK_FALSE(bench.rate);
  CHECK(bench.transport == TransportKind::grpc);
  CHECK(bench.writes_per_shard == 1);
  CHECK(bench.prefix == "norikv-bench/");
}

TEST_CASE("every option of a bench is taken") {
  const auto bench = parsed<Bench>({"bench", "--op",      "put", "--time",        "3s", "--in-flight",
                                    "16",    "--rate",    "500", "--value-bytes", "0",  "--keys",
                                    "7",     "--prefix",  "",    "--transport",   "h2", "--writes-per-shard",
                                    "0",     "--timeout", "1s"});
  CHECK(bench.verb == Verb::put);
  CHECK(bench.time == 3s);
  CHECK(bench.in_flight == 16);
  CHECK(bench.rate == 500U);
  CHECK(bench.value_bytes == 0);
  CHECK(bench.keys == 7);
  CHECK(bench.prefix.empty());
  CHECK(bench.transport == TransportKind::h2);
  CHECK(bench.writes_per_shard == 0);
  CHECK(bench.target.timeout == 1s);
}

TEST_CASE("a bench refuses what is out of bounds, naming the option") {
  const auto [option, text] = GENERATE(table<const char*, std::string>({{"--op", "del"},
                                                                        {"--time", "10"},
                                                                        {"--in-flight", "0"},
                                                                        {"--rate", "0"},
                                                                        {"--value-bytes", "1048577"},
                                                                        {"--keys", "0"},
                                                                        {"--transport", "http"},
                                                                        {"--writes-per-shard", "-1"},
                                                                        {"--prefix", std::string(1001, 'p')}}));
  CAPTURE(option);
  CHECK(complaint({"bench", option, text}).starts_with(std::string{option} + ": "));
}
