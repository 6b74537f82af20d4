#include "core/watch_op.hpp"

#include "core/backoff.hpp"

namespace norikv::core {

WatchOp::Step WatchOp::start(TimePoint now) {
  Step step = open_again(now);
  if (state_ != ConnectionState::connecting || !started_) step.news = ConnectionState::connecting;
  state_ = ConnectionState::connecting;
  started_ = true;
  return step;
}

WatchOp::Step WatchOp::open_again(TimePoint now) {
  last_heard_ = now;
  return {.open = true, .wake_at = now + silence_, .news = {}, .retry_in = {}};
}

WatchOp::Step WatchOp::on_view(TimePoint now) {
  last_heard_ = now;
  failures_ = 0;
  silences_ = 0;
  Step step{.open = false, .wake_at = now + silence_, .news = {}, .retry_in = {}};
  if (state_ != ConnectionState::connected) step.news = ConnectionState::connected;
  state_ = ConnectionState::connected;
  return step;
}

WatchOp::Step WatchOp::on_end(TimePoint now, double fraction) {
  const Duration pause = backoff_delay(reconnect_, failures_, fraction);
  ++failures_;
  state_ = ConnectionState::backing_off;
  return {.open = false, .wake_at = now + pause, .news = ConnectionState::backing_off, .retry_in = pause};
}

WatchOp::Step WatchOp::on_timer(TimePoint now, double fraction) {
  if (state_ == ConnectionState::backing_off) return start(now);
  if (now < last_heard_ + silence_)
    return {.open = false, .wake_at = last_heard_ + silence_, .news = {}, .retry_in = {}};
  if (state_ != ConnectionState::silent) {
    // It is given one more pause: a loop that was blocked finds the timer first, and the views behind it.
    state_ = ConnectionState::silent;
    return {.open = false, .wake_at = now + backoff_delay(reconnect_, 0, fraction), .news = state_, .retry_in = {}};
  }
  Step step = open_again(now);
  *step.wake_at += backoff_delay(reconnect_, ++silences_, fraction);
  return step;
}

}  // namespace norikv::core
