#include "transport/h2/pump.hpp"

#include <utility>

namespace norikv::transport::h2 {
namespace {

template <class Handle>
uv_handle_t* base(Handle& handle) noexcept {
  return reinterpret_cast<uv_handle_t*>(&handle);
}

}  // namespace

struct Pump::Handles {
  uv_prepare_t prepare{};
  uv_check_t check{};
  [[nodiscard]] bool closing() noexcept { return uv_is_closing(base(prepare)) != 0 || uv_is_closing(base(check)) != 0; }
};

Pump::~Pump() {
  for (Handles* handles : all_) delete handles;
}

void Pump::open() {
  handles_ = new Handles;
  all_.push_back(handles_);
  uv_prepare_init(loop_, &handles_->prepare);
  uv_check_init(loop_, &handles_->check);
  handles_->prepare.data = handles_->check.data = this;
  uv_unref(base(handles_->prepare));
  uv_unref(base(handles_->check));
}

void Pump::request() {
  if (requested_ && !handles_->closing()) return;
  requested_ = true;
  if (handles_ == nullptr || handles_->closing()) open();
  uv_prepare_start(&handles_->prepare, [](uv_prepare_t* handle) { static_cast<Pump*>(handle->data)->run(); });
  uv_check_start(&handles_->check, [](uv_check_t* handle) { static_cast<Pump*>(handle->data)->run(); });
}

void Pump::stop() {
  uv_prepare_stop(&handles_->prepare);
  uv_check_stop(&handles_->check);
}

void Pump::run() {
  stop();
  requested_ = false;
  handler_.on_pump();
}

void Pump::close(UniqueFunction<void()> done) {
  done_ = std::move(done);
  if (handles_ == nullptr || handles_->closing()) open();  // so that `done` has a callback to run in
  stop();
  for (uv_handle_t* handle : {base(handles_->prepare), base(handles_->check)}) {
    ++closes_pending_;
    uv_close(handle, [](uv_handle_t* closed) {
      Pump& pump = *static_cast<Pump*>(closed->data);
      if (--pump.closes_pending_ == 0) std::exchange(pump.done_, nullptr)();
    });
  }
}

}  // namespace norikv::transport::h2
