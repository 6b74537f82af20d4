// The client as a guest on the program's own loop, beside the program's own handles.
//
// Everything happens on one thread, so the callbacks need no lock. The client keeps the loop running while an operation
// is pending and not a moment longer; `close` gives its handles back, and the loop can be closed cleanly.
#include <iostream>
#include <string>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

#include <uv.h>

// A thermometer that is read every 20 ms, five times. Each reading is stored.
struct Thermometer {
  norikv::Client& client;
  uv_timer_t timer{};
  int readings = 0;

  void start(uv_loop_t* loop) {
    uv_timer_init(loop, &timer);
    timer.data = this;
    uv_timer_start(
        &timer, [](uv_timer_t* handle) { static_cast<Thermometer*>(handle->data)->read(); }, 20, 20);
  }

  void read() {
    const std::string key = "temperature:" + std::to_string(readings);
    const std::string value = std::to_string(20 + readings) + " C";
    client.put(key, value, [key, value](norikv::Result<norikv::Written> written) {
      std::cout << key << " = " << value << (written ? "" : ": " + written.error().describe()) << '\n';
    });
    if (++readings == 5) uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  }
};

int main() {
  auto cluster = norikv::testing::Cluster::start();
  if (!cluster) return std::cerr << cluster.error().describe() << '\n', 1;
  uv_loop_t loop;
  uv_loop_init(&loop);
  auto client = norikv::Client::create(&loop, cluster->client_options());
  if (!client) return std::cerr << client.error().describe() << '\n', 1;

  Thermometer thermometer{*client};
  thermometer.start(&loop);
  uv_run(&loop, UV_RUN_DEFAULT);  // until the thermometer has stopped and every write has called back
  std::cout << "idle: the client lets the loop go\n";

  client->close();
  uv_run(&loop, UV_RUN_DEFAULT);
  std::cout << (uv_loop_close(&loop) == 0 ? "closed: nothing is left on the loop\n"
                                          : "something is left on the loop\n");
}
