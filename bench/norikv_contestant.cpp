#include <string>
#include <utility>

#include <norikv/norikv.hpp>

#include <uv.h>

#include "contestants.hpp"

namespace norikv::bench {

namespace {

class Contestant {
 public:
  Contestant(const Workload& workload, Meter& meter, Client& client)
      : workload_(workload), meter_(meter), client_(client), value_(workload.value_bytes, 'v') {}

  void start_all() {
    running_ = workload_.in_flight;
    for (std::uint32_t i = 0; i < workload_.in_flight; ++i) start(Clock::now());
  }

 private:
  void start(Clock::time_point now) {
    const std::string& key = next_key(turn_);
    if (workload_.op == Op::put) {
      client_.put(key, value_, [this, now](const Result<Written>& written) {
        if (!written) give_up(written.error().describe());
        on_end(now);
      });
    } else {
      client_.get(key, [this, now](const Result<std::optional<Entry>>& found) {
        if (!found) give_up(found.error().describe());
        if (!*found || (*found)->value.size() != value_.size()) give_up("another value");
        on_end(now);
      });
    }
  }

  void on_end(Clock::time_point started) {
    const auto now = Clock::now();
    if (meter_.on_end(started, now)) return start(now);
    if (--running_ == 0) client_.close();
  }

  const Workload& workload_;
  Meter& meter_;
  Client& client_;
  const std::string value_;
  std::size_t turn_ = 0;
  std::uint32_t running_ = 0;
};

ClientOptions options_for(const Workload& workload, TransportKind transport) {
  ClientOptions options;
  options.nodes = {workload.address};
  options.total_shards = workload.shards;
  options.connection.transport = transport;
  // One write per shard at a time would measure the lanes. The reply server loses nothing.
  options.writes.in_flight_per_shard = 0;
  options.limits.operations = 2 * std::size_t{workload.in_flight};
  options.limits.in_flight_per_node = options.limits.operations;
  options.limits.bytes = std::size_t{1} << 30;
  return options;
}

}  // namespace

void run_norikv(const Workload& workload, Meter& meter, TransportKind transport) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  {
    auto client = Client::create(&loop, options_for(workload, transport));
    if (!client) give_up(client.error().describe());
    Contestant contestant{workload, meter, *client};
    client->wait_ready({}, [&](const Result<void>& ready) {
      if (!ready) give_up(ready.error().describe());
      contestant.start_all();
    });
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  if (uv_loop_close(&loop) != 0) give_up("something is left on the loop");
}

}  // namespace norikv::bench
