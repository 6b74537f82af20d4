#include <chrono>
#include <cstdlib>
#include <iostream>

#include <norikv/norikv.hpp>

#include <uv.h>

using namespace std::chrono_literals;

void complain(const norikv::Error& error) { std::cerr << error.describe() << '\n'; }

int main() {
  const char* node = std::getenv("NORIKV_NODES");
  auto client = norikv::Client::create(uv_default_loop(), {.nodes = {node ? node : "127.0.0.1:7447"}});
  if (!client) return complain(client.error()), 1;

  int status = 1;
  client->put("user:alice", "hello", {.ttl = 1h}, [&](norikv::Result<norikv::Written> written) {
    if (!written) return complain(written.error());
    client->get("user:alice", [&](norikv::Result<std::optional<norikv::Entry>> found) {
      if (!found) return complain(found.error());
      std::cout << "user:alice = " << (*found ? (*found)->value : "nothing") << '\n';
      status = 0;
    });
  });
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);  // until every callback has come
  client->close();
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);  // until everything is given back
  return status;
}
