#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>

namespace norikv::testing {

/// A thread that runs tasks at their times, one after the other. Owned by the cluster; `at` from any thread, a task's
/// own among them.
class TimerThread {
 public:
  TimerThread();
  ~TimerThread() { stop(); }
  TimerThread(const TimerThread&) = delete;
  TimerThread& operator=(const TimerThread&) = delete;

  /// Tasks that have not run are forgotten, and so are those to come.
  void stop();
  void at(TimePoint due, UniqueFunction<void()> task);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<TimePoint, UniqueFunction<void()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace norikv::testing
