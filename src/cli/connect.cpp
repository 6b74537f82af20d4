#include "cli/connect.hpp"

#include <fstream>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "cli/parse.hpp"

namespace norikv::cli {

namespace {

/// Reads the file whenever a token is needed, so that whoever renews it need not tell.
TokenSource token_source(const Target& target) {
  if (target.token_file.empty())
    return [token = target.token](TokenReason, const TokenReply& reply) { reply.succeed({token}); };
  return [path = target.token_file](TokenReason, const TokenReply& reply) {
    std::ifstream file(path);
    std::string token;
    if (!std::getline(file, token)) return reply.fail(fmt::format("--token-file {}: no token in it", in_quotes(path)));
    reply.succeed({std::move(token)});
  };
}

}  // namespace

Outcome<Client> connect(const Target& target, ClientOptions options) {
  options.nodes = target.nodes;
  options.total_shards = target.shards;
  options.timeout = target.timeout;
  options.tls = target.tls;
  if (!target.token.empty() || !target.token_file.empty()) options.tokens.source = token_source(target);
  options.tokens.allow_plaintext = target.token_in_plaintext;
  Result<Client> made = Client::create(std::move(options));
  if (made) return std::move(*made);
  Failure failure = client_failure(std::move(made.error()), target);
  // "ClientOptions::nodes[0] "host": why": the user of a command knows the list by another name.
  const std::size_t text = failure.message.find('"');
  if (failure.message.starts_with("ClientOptions::nodes[") && text != std::string::npos) {
    failure.message = fmt::format("{}: {}", target.nodes_source, failure.message.substr(text));
  }
  return tl::unexpected(std::move(failure));
}

}  // namespace norikv::cli
