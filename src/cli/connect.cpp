#include "cli/connect.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

namespace norikv::cli {

Outcome<Client> connect(const Target& target) {
  ClientOptions options;
  options.nodes = target.nodes;
  options.total_shards = target.shards;
  options.timeout = target.timeout;
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
