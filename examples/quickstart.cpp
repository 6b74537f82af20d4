#include <chrono>
#include <cstdlib>
#include <iostream>

#include <norikv/norikv.hpp>

#include <uv.h>

using namespace std::chrono_literals;

int main() {
  const char* node = std::getenv("NORIKV_NODES");
  auto client = norikv::Client::create(uv_default_loop(), {.nodes = {node ? node : "127.0.0.1:7447"}});
  if (!client) return std::cerr << client.error().describe() << '\n', 2;

  int status = 1;
  client->put("user:alice", "hello", {.ttl = 30s}, [&](norikv::Result<norikv::Written> written) {
    if (!written) return std::cerr << written.error().describe() << '\n', client->close();
    client->get("user:alice", [&](norikv::Result<std::optional<norikv::Entry>> found) {
      if (!found) std::cerr << found.error().describe() << '\n';
      if (found && *found) std::cout << "user:alice = " << (*found)->value << '\n', status = 0;
      client->close();
    });
  });
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);  // returns once the client has given everything back
  return status;
}
