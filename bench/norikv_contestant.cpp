#include <optional>
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

  void start_all(uv_loop_t* loop) {
    if (workload_.rate > 0) return arrive(loop);
    running_ = workload_.in_flight;
    for (std::uint32_t i = 0; i < workload_.in_flight; ++i) start(Clock::now());
  }

 private:
  void arrive(uv_loop_t* loop) {
    arrivals_.emplace(workload_.rate);
    uv_timer_init(loop, &timer_);
    timer_.data = this;
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { static_cast<Contestant*>(timer->data)->start_due(); }, 1, 1);
  }

  void start_due() {
    const auto now = Clock::now();
    while (const auto due = arrivals_->next(now)) {
      ++running_;
      start(*due);
    }
  }

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
    const bool more = meter_.on_end(started, now);
    if (more && !arrivals_) return start(now);
    --running_;
    if (!more && arrivals_ && uv_is_active(reinterpret_cast<uv_handle_t*>(&timer_)) != 0) uv_timer_stop(&timer_);
    if (!more && running_ == 0) end();
  }

  void end() {
    if (arrivals_) uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
    client_.close();
  }

  const Workload& workload_;
  Meter& meter_;
  Client& client_;
  const std::string value_;
  std::size_t turn_ = 0;
  std::uint32_t running_ = 0;
  std::optional<Arrivals> arrivals_;
  uv_timer_t timer_{};
};

ClientOptions options_for(const Workload& workload, TransportKind transport) {
  ClientOptions options;
  options.nodes = workload.addresses;
  options.total_shards = workload.shards;
  options.connection.transport = transport;
  // One write per shard at a time would measure the lanes. The reply server loses nothing.
  options.writes.in_flight_per_shard = 0;
  // An open loop takes what comes.
  options.limits.operations = workload.rate > 0 ? 100'000 : 2 * std::size_t{workload.in_flight};
  options.limits.in_flight_per_node = workload.sent_per_node > 0 ? workload.sent_per_node : options.limits.operations;
  options.limits.queued_per_node = options.limits.operations;
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
    client->wait_ready({.timeout = {}, .need = Need::all_nodes, .scope = {}}, [&](const Result<void>& ready) {
      if (!ready) give_up(ready.error().describe());
      contestant.start_all(&loop);
    });
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  if (uv_loop_close(&loop) != 0) give_up("something is left on the loop");
}

}  // namespace norikv::bench
