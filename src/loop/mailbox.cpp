#include "loop/mailbox.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <uv.h>

namespace norikv::loop {

bool Mailbox::post(Task& task) {
  std::lock_guard lock(mutex_);
  if (sealed_) return false;
  posted_.push_back(std::move(task));
  posted_count_.store(posted_.size(), std::memory_order_relaxed);
  arm();
  return true;
}

void Mailbox::wake() {
  std::lock_guard lock(mutex_);
  arm();
}

void Mailbox::measure() {
  std::lock_guard lock(mutex_);
  measured_ = true;
}

void Mailbox::open(uv_async_s* async) {
  std::lock_guard lock(mutex_);
  async_ = async;
  if (std::exchange(armed_, false)) arm();
}

void Mailbox::shut() {
  std::lock_guard lock(mutex_);
  async_ = nullptr;
}

bool Mailbox::try_seal() {
  std::lock_guard lock(mutex_);
  if (!posted_.empty() || !batch_used_up()) return false;
  sealed_ = true;
  return true;
}

std::optional<TimePoint> Mailbox::fetch() {
  std::lock_guard lock(mutex_);
  armed_ = false;
  const std::optional<TimePoint> armed_at = std::exchange(armed_at_, std::nullopt);
  if (!batch_used_up()) return armed_at;  // what was posted later stays behind it
  batch_.clear();
  next_ = 0;
  batch_.swap(posted_);
  posted_count_.store(0, std::memory_order_relaxed);
  return armed_at;
}

std::size_t Mailbox::run(std::size_t limit) {
  const std::size_t begin = next_;
  const std::size_t end = begin + std::min(limit, batch_.size() - begin);
  rest_is_left_ = false;
  while (next_ < end && !rest_is_left_) {
    Task task = std::move(batch_[next_++]);
    task();
  }
  const std::size_t ran = next_ - begin;
  if (batch_used_up() && batch_.capacity() > kept_capacity) {
    batch_ = std::vector<Task>();
    next_ = 0;
  }
  return ran;
}

void Mailbox::wake_for_rest() {
  if (!empty()) wake();
}

bool Mailbox::empty() const noexcept { return batch_used_up() && posted_count_.load(std::memory_order_relaxed) == 0; }

void Mailbox::arm() {
  if (armed_ || async_ == nullptr) return;
  armed_ = true;
  if (measured_) armed_at_ = std::chrono::steady_clock::now();
  uv_async_send(async_);
}

}  // namespace norikv::loop
