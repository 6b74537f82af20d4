// A service that ends on SIGINT or SIGTERM without dropping what it has begun: pending operations may finish for a
// while, later ones are refused, and every callback comes. Then everything is given back and `uv_run` returns.
#include <csignal>
#include <iostream>
#include <string>
#include <utility>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

#include <uv.h>

using namespace std::chrono_literals;

struct Service {
  norikv::Client& client;
  uv_signal_t interrupt{}, terminate{};
  int finished = 0;

  void start(uv_loop_t* loop) {
    for (auto [handle, number] : {std::pair{&interrupt, SIGINT}, std::pair{&terminate, SIGTERM}}) {
      uv_signal_init(loop, handle);
      handle->data = this;
      uv_signal_start(
          handle, [](uv_signal_t* signal, int) { static_cast<Service*>(signal->data)->stop(); }, number);
    }
  }

  void work() {
    for (int i = 0; i < 5; ++i) {
      client.put("job:" + std::to_string(i), "done", [this](auto written) { finished += written ? 1 : 0; });
    }
  }

  void stop() {
    for (uv_signal_t* handle : {&interrupt, &terminate}) uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
    std::cout << "stopping with " << client.stats().operations << " jobs pending\n";
    client.close({.grace = 5s}, [this] { std::cout << "closed, " << finished << " of 5 jobs were finished\n"; });
    client.put("job:late", "refused", [](auto written) { std::cout << written.error().describe() << '\n'; });
  }
};

int main() {
  auto cluster = norikv::testing::Cluster::start({.commit_delay = true});
  if (!cluster) return std::cerr << cluster.error().describe() << '\n', 1;
  auto client = norikv::Client::create(uv_default_loop(), cluster->client_options());
  if (!client) return std::cerr << client.error().describe() << '\n', 1;

  Service service{*client};
  service.start(uv_default_loop());
  service.work();
  uv_kill(uv_os_getpid(), SIGTERM);  // stands in for whoever ends the service
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
