#include <string>
#include <utility>

#include <fmt/format.h>

#include <norikv/testing/cluster.hpp>

#include "cli/commands.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/stop.hpp"

namespace norikv::cli {
namespace {

Failure start_failure(Error error) {
  if (error.code == ErrorCode::unavailable) {
    return {ExitCode::other, "port_taken",
            fmt::format("{} (--port takes another one, or 0 for any that are free)", error.message)};
  }
  return client_failure(std::move(error), {});
}

}  // namespace

Outcome<void> run(const Serve& serve, Format format) {
  Stop stop;
  auto cluster = testing::Cluster::start(serve.config);
  if (!cluster) return tl::unexpected(start_failure(std::move(cluster.error())));
  std::string lines;
  for (const std::string& address : cluster->addresses()) {
    lines += format == Format::json ? JsonObject{}.text("listening", address).str() : "listening " + address;
    lines += '\n';
  }
  if (auto written = write_stdout(lines); !written) return written;
  stop.listen();
  while (!stop.requested()) stop.wait();
  return {};
}

}  // namespace norikv::cli
