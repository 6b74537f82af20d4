#include "cli/connect.hpp"

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
  if (failure.message.starts_with("nodes")) {
    failure.message = fmt::format("{}: {}", target.nodes_source, failure.message);
  }
  return tl::unexpected(std::move(failure));
}

}  // namespace norikv::cli
