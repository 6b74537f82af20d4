#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "client/guest.hpp"
#include "support/certificates.hpp"
#include "support/folder.hpp"

// TLS and tokens as options: what is refused before anything is connected, and what the message says about it.
using namespace norikv;
using namespace norikv::test;

namespace {

Identity client() { return certificates().client; }

TlsOptions identified(const Identity& identity) {
  return {
      .ca = {.text = certificates().ca}, .certificate = {.text = identity.certificate}, .key = {.text = identity.key}};
}

struct BadTls {
  std::string what;
  TlsOptions options;
  std::vector<std::string> words;  // what the message has to name
};

std::vector<BadTls> bad_tls() {
  const std::string missing = "/nonexistent/norikv.pem";
  return {
      {"no authority", {.ca = {.text = "nonsense"}}, {"TlsOptions::ca", "no certificate"}},
      {"a key for an authority", {.ca = {.text = client().key}}, {"TlsOptions::ca", "no certificate"}},
      {"a text and a file", {.ca = {.text = certificates().ca, .file = missing}}, {"TlsOptions::ca", "give one"}},
      {"no such file", {.ca = {.file = missing}}, {"TlsOptions::ca", "\"" + missing + "\"", "No such file"}},
      {"a folder", {.ca = {.file = "/"}}, {"TlsOptions::ca", "can't read the file", "directory"}},
      {"a file without an end", {.ca = {.file = "/dev/zero"}}, {"TlsOptions::ca", "4 MiB"}},
      {"no key",
       {.certificate = {.text = client().certificate}},
       {"TlsOptions::certificate", "without TlsOptions::key"}},
      {"no certificate", {.key = {.text = client().key}}, {"TlsOptions::key", "without TlsOptions::certificate"}},
      {"another's key",
       identified({client().certificate, certificates().server.key}),
       {"TlsOptions::key", "does not belong"}},
      {"a key behind a passphrase",
       identified({client().certificate, certificates().encrypted_key}),
       {"TlsOptions::key", "passphrase"}},
      {"a certificate for a key",
       identified({client().certificate, client().certificate}),
       {"TlsOptions::key", "no private key"}},
      {"a key for a certificate",
       identified({client().key, client().key}),
       {"TlsOptions::certificate", "no certificate"}},
      {"a missing key file",
       {.certificate = {.text = client().certificate}, .key = {.file = missing}},
       {"TlsOptions::key", "\"" + missing + "\""}},
      {"a name with a space", {.server_name = "a b"}, {"TlsOptions::server_name"}},
      {"a name with a newline", {.server_name = "a\nb"}, {"TlsOptions::server_name"}},
  };
}

/// Whether a text holds a part of a secret.
bool leaks(const std::string& text, const std::string& pem) {
  for (std::size_t at = pem.find('\n') + 1; at + 12 <= pem.size(); at += 4) {
    if (text.find(pem.substr(at, 12)) != std::string::npos) return true;
  }
  return false;
}

void check_error(const Error& error, const std::vector<std::string>& words) {
  INFO(error.describe());
  CHECK(error.code == ErrorCode::invalid_argument);
  for (const std::string& word : words) CHECK(error.message.find(word) != std::string::npos);
  CHECK_FALSE(leaks(error.describe(), client().key));
  CHECK_FALSE(leaks(error.describe(), client().certificate));
}

ClientOptions secured(TlsOptions tls) {
  ClientOptions options{.nodes = {"127.0.0.1:1"}};
  options.tls = std::move(tls);
  return options;
}

TokenSource silent_source() {
  return [](TokenReason, TokenReply reply) { reply.fail("none"); };
}

}  // namespace

TEST_CASE("TLS options that can't be right are refused at create, naming the field and no text") {
  for (const BadTls& bad : bad_tls()) {
    INFO(bad.what);
    const Result<Client> made = Client::create(secured(bad.options));
    REQUIRE_FALSE(made.has_value());
    check_error(made.error(), bad.words);
  }
}

TEST_CASE("TLS options that can't be right are refused at run time, too") {
  LoopFixture loop;
  Client client = made(create(loop.loop(), secured({})));
  for (const BadTls& bad : bad_tls()) {
    INFO(bad.what);
    const Result<void> set = client.set_tls(bad.options);
    REQUIRE_FALSE(set.has_value());
    check_error(set.error(), bad.words);
  }
  CHECK(client.set_tls(identified(certificates().client)).has_value());
  client.close();
  CHECK(loop.run_until_idle());
}

TEST_CASE("PEM data is taken from files as from texts") {
  const Folder folder;
  folder.write("ca.pem", certificates().ca);
  folder.write("client.pem", certificates().client.certificate);
  folder.write("client.key", certificates().client.key);
  LoopFixture loop;
  Client client = made(create(loop.loop(), secured({.ca = {.file = folder.path("ca.pem")},
                                                    .certificate = {.file = folder.path("client.pem")},
                                                    .key = {.file = folder.path("client.key")}})));
  client.close();
  CHECK(loop.run_until_idle());
}

TEST_CASE("Certificates can't be set when the client is closed or was moved from") {
  LoopFixture loop;
  Client client = made(create(loop.loop(), secured({})));
  client.close();
  REQUIRE(loop.run_until_idle());
  const Result<void> set = client.set_tls({.ca = {.text = certificates().ca}});
  REQUIRE_FALSE(set.has_value());
  CHECK(set.error().code == ErrorCode::closed);
  const Client other = std::move(client);
  CHECK(client.set_tls({}).error().code == ErrorCode::closed);  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("Tokens over plain text are refused at create unless they are allowed") {
  LoopFixture loop;
  ClientOptions options{.nodes = {"127.0.0.1:1"}};
  options.tokens.source = silent_source();
  const Result<Client> refused = Client::create(loop.loop(), options);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::invalid_argument);
  for (const char* word : {"TokenOptions::source", "ClientOptions::tls", "TokenOptions::allow_plaintext"})
    CHECK(refused.error().message.find(word) != std::string::npos);

  options.tokens.allow_plaintext = true;
  Client allowed = made(create(loop.loop(), options));
  options.tokens.allow_plaintext = false;
  options.tls = TlsOptions{};
  Client secured = made(create(loop.loop(), options));
  allowed.close();
  secured.close();
  CHECK(loop.run_until_idle());
}

TEST_CASE("Token options that can't be right are refused, naming the field") {
  struct Bad {
    std::function<void(TokenOptions&)> change;
    std::string field;
  };
  const std::vector<Bad> table = {
      {[](TokenOptions& o) { o.metadata_key = ""; }, "TokenOptions::metadata_key"},
      {[](TokenOptions& o) { o.metadata_key = "Authorization"; }, "TokenOptions::metadata_key"},
      {[](TokenOptions& o) { o.metadata_key = "a b"; }, "TokenOptions::metadata_key"},
      {[](TokenOptions& o) { o.metadata_key = "grpc-token"; }, "TokenOptions::metadata_key"},
      {[](TokenOptions& o) { o.metadata_key = "token-bin"; }, "TokenOptions::metadata_key"},
      {[](TokenOptions& o) { o.prefix = "Bearer\n"; }, "TokenOptions::prefix"},
      {[](TokenOptions& o) { o.refresh_before = -1s; }, "TokenOptions::refresh_before"},
      {[](TokenOptions& o) { o.refresh_before = Duration::max(); }, "TokenOptions::refresh_before"},
      {[](TokenOptions& o) { o.answer_timeout = 0s; }, "TokenOptions::answer_timeout"},
  };
  LoopFixture loop;
  for (const Bad& bad : table) {
    ClientOptions options{.nodes = {"127.0.0.1:1"}};
    options.tokens.source = silent_source();
    options.tokens.allow_plaintext = true;
    bad.change(options.tokens);
    const Result<Client> made = Client::create(loop.loop(), options);
    REQUIRE_FALSE(made.has_value());
    INFO(made.error().message);
    CHECK(made.error().code == ErrorCode::invalid_argument);
    CHECK(made.error().message.find(bad.field) != std::string::npos);
  }
}

TEST_CASE("A token reply is given once, whoever comes first") {
  std::vector<std::string> given;
  const auto note = [&](tl::expected<Token, std::string> answer) {
    given.push_back(answer ? answer->text : "failed: " + answer.error());
  };
  {
    const TokenReply reply{note};
    const TokenReply copy = reply;  // NOLINT(performance-unnecessary-copy-initialization)
    copy.succeed({"one"});
    reply.succeed({"two"});
    reply.fail("three");
  }
  CHECK(given == std::vector<std::string>{"one"});
  given.clear();
  {
    const TokenReply reply{note};
    reply.fail("no key at hand");
    reply.succeed({"late"});
  }
  CHECK(given == std::vector<std::string>{"failed: no key at hand"});
}

TEST_CASE("A token reply that is dropped by its last owner has failed") {
  std::vector<std::string> given;
  {
    std::optional<TokenReply> reply{TokenReply{
        [&](tl::expected<Token, std::string> answer) { given.push_back(answer ? answer->text : answer.error()); }}};
    const TokenReply copy = *reply;  // NOLINT(performance-unnecessary-copy-initialization)
    reply.reset();
    CHECK(given.empty());
  }
  REQUIRE(given.size() == 1);
  CHECK(given.front().find("dropped its reply") != std::string::npos);
}
