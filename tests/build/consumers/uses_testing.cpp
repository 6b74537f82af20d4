// A user's test that links norikv-testing: a put and a get against the ephemeral cluster.
#include <chrono>
#include <cstdio>
#include <future>
#include <optional>
#include <utility>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

int main() {
  auto cluster = norikv::testing::Cluster::start();
  if (!cluster) return std::printf("no cluster: %s\n", cluster.error().message.c_str()), 1;
  auto client = norikv::Client::create(cluster->client_options());
  if (!client) return std::printf("no client: %s\n", client.error().message.c_str()), 1;

  std::promise<norikv::Result<std::optional<norikv::Entry>>> answer;
  client->put("user:alice", "hello", [&](norikv::Result<norikv::Written> written) {
    if (!written) return answer.set_value(tl::unexpected(std::move(written.error())));
    client->get("user:alice",
                [&](norikv::Result<std::optional<norikv::Entry>> found) { answer.set_value(std::move(found)); });
  });
  auto arrived = answer.get_future();
  if (arrived.wait_for(std::chrono::seconds{20}) != std::future_status::ready) return std::puts("no answer"), 1;
  const auto found = arrived.get();
  if (!found) return std::printf("%s\n", found.error().describe().c_str()), 1;
  const bool right = *found && (*found)->value == "hello" && cluster->stored("user:alice") == "hello";
  return std::puts(right ? "put and get agree" : "wrong value"), right ? 0 : 1;
}
