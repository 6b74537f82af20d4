#include <fstream>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include <norikv/testing/cluster.hpp>

#include "cli/commands.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/parse.hpp"
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

Outcome<std::string> read_file(const char* option, const std::string& path) {
  if (path.empty()) return std::string{};
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file && !text.empty()) return text;
  return tl::unexpected(usage_failure(fmt::format("{}: can't read {}", option, in_quotes(path))));
}

/// The certificates that are asked for, as texts.
Outcome<testing::ClusterConfig> secured(const Serve& serve) {
  testing::ClusterConfig config = serve.config;
  if (serve.tls_cert.empty()) return config;
  testing::ServerTls tls;
  for (const auto& [option, path, text] :
       {std::tuple{"--tls-cert", &serve.tls_cert, &tls.certificate}, std::tuple{"--tls-key", &serve.tls_key, &tls.key},
        std::tuple{"--tls-client-ca", &serve.tls_client_ca, &tls.client_ca}}) {
    auto read = read_file(option, *path);
    if (!read) return tl::unexpected(std::move(read.error()));
    *text = std::move(*read);
  }
  config.tls = std::move(tls);
  return config;
}

}  // namespace

Outcome<void> run(const Serve& serve, Format format) {
  Stop stop;
  const auto config = secured(serve);
  if (!config) return tl::unexpected(config.error());
  auto cluster = testing::Cluster::start(*config);
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
