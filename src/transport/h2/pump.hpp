#pragma once

#include <vector>

#include <uv.h>

#include <norikv/unique_function.hpp>

namespace norikv::transport::h2 {

/// Calls a handler once before and once after the loop waits for its descriptors, in those iterations for which it was
/// asked: whatever an iteration brings is gathered, and then told and written at once. Owned by the transport. [loop
/// thread]
///
/// Its handles never hold the loop. A host that walks its loop may close them; `request` then makes new ones.
class Pump {
 public:
  class Handler {
   public:
    virtual void on_pump() = 0;

   protected:
    ~Handler() = default;
  };

  Pump(uv_loop_t* loop, Handler& handler) noexcept : loop_(loop), handler_(handler) {}
  ~Pump();
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  /// Asks for the handler to be called.
  void request();
  /// No more calls; `done` runs when the handles are gone.
  void close(UniqueFunction<void()> done);

 private:
  struct Handles;
  void run();
  void stop();
  void open();

  uv_loop_t* const loop_;
  Handler& handler_;
  Handles* handles_ = nullptr;  // the last of `all_`
  std::vector<Handles*> all_;   // those that a host closed are kept: nobody tells when libuv is through with them
  bool requested_ = false;
  int closes_pending_ = 0;
  UniqueFunction<void()> done_;
};

}  // namespace norikv::transport::h2
