#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "contestants.hpp"
#include "norikv.grpc.pb.h"

namespace norikv::bench {

namespace {

/// A channel for each node, and the routing that every client of a sharded store needs.
class Stubs {
 public:
  explicit Stubs(const Workload& workload) : workload_(workload) {
    for (const std::string& address : workload.addresses)
      stubs_.push_back(v1::Kv::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())));
  }
  [[nodiscard]] v1::Kv::Stub& of(std::string_view key) {
    return stubs_.size() == 1 ? *stubs_.front() : *stubs_[node_of(workload_, key)];
  }

 private:
  const Workload& workload_;
  std::vector<std::unique_ptr<v1::Kv::Stub>> stubs_;
};

void check(const grpc::Status& status) {
  if (!status.ok()) give_up(status.error_message());
}

class Slot;

/// Slots that are free, for an open loop.
class Pool {
 public:
  template <class Make>
  Slot& take(Make make) {
    const std::lock_guard lock(mutex_);
    if (spare_.empty()) {
      all_.push_back(make());
      return *all_.back();
    }
    Slot& slot = *spare_.back();
    spare_.pop_back();
    return slot;
  }
  void give_back(Slot& slot) {
    const std::lock_guard lock(mutex_);
    spare_.push_back(&slot);
  }
  [[nodiscard]] bool whole() {
    const std::lock_guard lock(mutex_);
    return spare_.size() == all_.size();
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<Slot>> all_;
  std::vector<Slot*> spare_;
};

/// One operation in flight. Messages are kept from call to call.
class Slot {
 public:
  Slot(const Workload& workload, Meter& meter, Stubs& stubs, std::atomic<std::uint32_t>& running, std::size_t turn,
       Pool* pool = nullptr)
      : workload_(workload),
        meter_(meter),
        stubs_(stubs),
        running_(running),
        value_(workload.value_bytes, 'v'),
        turn_(turn),
        pool_(pool) {}

  void start(Clock::time_point now) {
    started_ = now;
    context_.emplace();
    const std::string& key = next_key(turn_);
    v1::Kv::Stub& stub = stubs_.of(key);
    if (workload_.op == Op::put) {
      put_.set_key(key);
      put_.set_value(value_);
      stub.async()->Put(&*context_, &put_, &written_, [this](const grpc::Status& status) { on_end(status); });
    } else {
      get_.set_key(key);
      stub.async()->Get(&*context_, &get_, &found_, [this](const grpc::Status& status) { on_end(status); });
    }
  }

 private:
  void on_end(const grpc::Status& status) {
    check(status);
    if (workload_.op == Op::get && found_.value().size() != value_.size()) give_up("another value");
    const auto now = Clock::now();
    const bool more = meter_.on_end(started_, now);
    if (pool_ != nullptr) {
      if (!more) running_ = 0;
      return pool_->give_back(*this);
    }
    if (more) return start(now);
    if (running_.fetch_sub(1) == 1) running_.notify_all();
  }

  const Workload& workload_;
  Meter& meter_;
  Stubs& stubs_;
  std::atomic<std::uint32_t>& running_;
  const std::string value_;
  std::size_t turn_;
  Pool* const pool_;
  Clock::time_point started_;
  std::optional<grpc::ClientContext> context_;
  v1::GetRequest get_;
  v1::GetResponse found_;
  v1::PutRequest put_;
  v1::PutResponse written_;
};

void call_and_wait(const Workload& workload, Meter& meter, Stubs& stubs, std::size_t turn) {
  const std::string value(workload.value_bytes, 'v');
  v1::GetRequest get;
  v1::GetResponse found;
  v1::PutRequest put;
  v1::PutResponse written;
  auto started = Clock::now();
  for (bool more = true; more;) {
    grpc::ClientContext context;
    const std::string& key = next_key(turn);
    v1::Kv::Stub& stub = stubs.of(key);
    if (workload.op == Op::put) {
      put.set_key(key);
      put.set_value(value);
      check(stub.Put(&context, put, &written));
    } else {
      get.set_key(key);
      check(stub.Get(&context, get, &found));
      if (found.value().size() != value.size()) give_up("another value");
    }
    const auto now = Clock::now();
    more = meter.on_end(started, now);
    started = now;
  }
}

/// `running` becomes 0 when the meter says stop.
void run_open_loop(const Workload& workload, Meter& meter, Stubs& stubs) {
  std::atomic<std::uint32_t> running{1};
  Pool pool;
  std::size_t turn = 0;
  Arrivals arrivals{workload.rate};
  while (running != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
    const auto now = Clock::now();
    while (const auto due = arrivals.next(now)) {
      pool.take([&] { return std::make_shared<Slot>(workload, meter, stubs, running, turn++, &pool); }).start(*due);
    }
  }
  while (!pool.whole()) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  std::this_thread::sleep_for(std::chrono::milliseconds{20});
}

}  // namespace

void run_callback_stub(const Workload& workload, Meter& meter) {
  Stubs stubs{workload};
  if (workload.rate > 0) return run_open_loop(workload, meter, stubs);
  std::atomic<std::uint32_t> running{workload.in_flight};
  std::vector<std::unique_ptr<Slot>> slots;
  for (std::uint32_t i = 0; i < workload.in_flight; ++i) {
    slots.push_back(std::make_unique<Slot>(workload, meter, stubs, running, i));
  }
  for (const auto& slot : slots) slot->start(Clock::now());
  for (std::uint32_t left = running; left != 0; left = running) running.wait(left);
  // The last completion may still be on its way out of its slot.
  std::this_thread::sleep_for(std::chrono::milliseconds{20});
}

void run_sync_stub(const Workload& workload, Meter& meter) {
  Stubs stubs{workload};
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < workload.in_flight; ++i) {
    threads.emplace_back([&, i] { call_and_wait(workload, meter, stubs, i); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace norikv::bench
