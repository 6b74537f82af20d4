#pragma once

#include <cstdlib>
#include <string_view>
#include <utility>

#include <norikv/client.hpp>
#include <norikv/options.hpp>

namespace norikv::test {

/// The transport that the tests are run with: NORIKV_TEST_TRANSPORT, or what a client has by default.
[[nodiscard]] inline TransportKind chosen_transport() {
  const char* const chosen = std::getenv("NORIKV_TEST_TRANSPORT");  // NOLINT(concurrency-mt-unsafe)
  return chosen != nullptr && std::string_view(chosen) == to_string(TransportKind::h2) ? TransportKind::h2
                                                                                       : TransportKind::grpc;
}

[[nodiscard]] inline ClientOptions over_chosen_transport(ClientOptions options) {
  options.connection.transport = chosen_transport();
  return options;
}

/// `Client::create` over that transport.
[[nodiscard]] inline Result<Client> create(uv_loop_s* loop, ClientOptions options) {
  return Client::create(loop, over_chosen_transport(std::move(options)));
}
[[nodiscard]] inline Result<Client> create(ClientOptions options) {
  return Client::create(over_chosen_transport(std::move(options)));
}

}  // namespace norikv::test
