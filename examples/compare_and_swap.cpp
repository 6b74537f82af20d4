// Two clients count in one key. Each reads it, adds one, and writes only if the key still has the version that was
// read; if it has not, the other was faster: read again.
//
// The cluster here compares and writes in one step. Today's server does not (see "Today's server" in the README): there
// this pattern is safe for one client, whose writes to a key never overlap, but two clients can overwrite each other.
#include <functional>
#include <iostream>
#include <string>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

#include <uv.h>

struct Counter {
  norikv::Client& client;
  int left;           // increments still to do
  int overtaken = 0;  // how often the other one was faster

  void next() { left > 0 ? read() : client.close(); }

  void read() {
    client.get("counter", [this](norikv::Result<std::optional<norikv::Entry>> found) {
      if (found && *found) return write(std::stoi((*found)->value) + 1, (*found)->version);
      std::cerr << (found ? "the counter is missing" : found.error().describe()) << '\n';
      client.close();
    });
  }

  void write(int value, norikv::Version seen) {
    client.put("counter", std::to_string(value), {.precondition = norikv::at(seen)}, [this](auto written) {
      if (written) return --left, next();
      // retry_now: surely not applied. With any other advice counting again could count twice.
      if (written.error().advice() == norikv::Advice::retry_now) return ++overtaken, read();
      std::cerr << written.error().describe() << '\n';
      client.close();
    });
  }
};

int main() {
  auto cluster = norikv::testing::Cluster::start({.profile = norikv::testing::Profile::replicated});
  if (!cluster) return std::cerr << cluster.error().describe() << '\n', 1;
  cluster->seed("counter", "0");
  auto one = norikv::Client::create(uv_default_loop(), cluster->client_options());
  auto other = norikv::Client::create(uv_default_loop(), cluster->client_options());
  if (!one || !other) return std::cerr << "no client\n", 1;

  Counter counters[] = {{*one, 20}, {*other, 20}};
  for (Counter& counter : counters) counter.next();
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  std::cout << "20 + 20 increments: " << *cluster->stored("counter") << '\n';
  std::cout << "overtaken " << counters[0].overtaken + counters[1].overtaken << " times, none was lost\n";
}
