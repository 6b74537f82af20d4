#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "loop/event_loop.hpp"
#include "support/loop_fixture.hpp"

namespace norikv::test {

/// An `EventLoop` on a fixture's loop and its handler, which counts its turns. Closed at the end if the test did not.
class Guest final : public loop::TurnHandler {
 public:
  explicit Guest(LoopFixture& host) : host_(host) {
    int error = 0;
    event_loop_ = loop::EventLoop::create(host.loop(), *this, error);
    REQUIRE(error == 0);
    REQUIRE(event_loop_);
  }
  ~Guest() {
    if (!event_loop_) return;
    if (!closing_) close();
    CHECK(host_.run_until([this] { return closed(); }));
  }

  loop::EventLoop* operator->() { return event_loop_.get(); }
  loop::EventLoop& operator*() { return *event_loop_; }

  /// Runs the first turn, which makes this thread the loop's.
  Guest& settle() {
    REQUIRE(host_.run_until([this] { return turns > 0; }));
    turns = 0;
    return *this;
  }

  /// Starts closing; the event loop is destroyed by its own `done`, after `last` ran.
  void close(std::function<void()> last = [] {}) {
    closing_ = true;
    event_loop_->close([this, last = std::move(last)] {
      last();
      event_loop_.reset();
    });
  }
  [[nodiscard]] bool closed() const { return event_loop_ == nullptr; }

  void post(loop::Task task) { CHECK(event_loop_->post(task)); }
  /// Posts from a thread of its own, which has ended when this returns.
  void post_from_elsewhere(loop::Task task) {
    bool taken = false;
    std::thread([&] { taken = event_loop_->post(task); }).join();
    CHECK(taken);
  }

  int turns = 0;
  std::function<void()> in_turn = [] {};

 private:
  void on_turn() override {
    ++turns;
    in_turn();
  }

  LoopFixture& host_;
  std::unique_ptr<loop::EventLoop> event_loop_;
  bool closing_ = false;
};

}  // namespace norikv::test
