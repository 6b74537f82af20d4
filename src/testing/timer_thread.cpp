#include "testing/timer_thread.hpp"

#include <chrono>
#include <utility>

namespace norikv::testing {

TimerThread::TimerThread() : thread_([this] { run(); }) {}

void TimerThread::stop() {
  decltype(tasks_) forgotten;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    forgotten.swap(tasks_);
  }
  changed_.notify_one();
  thread_.join();
}

void TimerThread::at(TimePoint due, UniqueFunction<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    const auto added = tasks_.emplace(due, std::move(task));
    if (added != tasks_.begin()) return;
  }
  changed_.notify_one();
}

void TimerThread::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (tasks_.empty()) {
      changed_.wait(lock);
    } else if (const TimePoint due = tasks_.begin()->first; std::chrono::steady_clock::now() < due) {
      changed_.wait_until(lock, due);
    } else {
      UniqueFunction<void()> task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }
}

}  // namespace norikv::testing
