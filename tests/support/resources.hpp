#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <thread>

// What this process holds, as Linux counts it.
namespace norikv::test {

inline std::ptrdiff_t entries(const char* directory) {
  return std::distance(std::filesystem::directory_iterator(directory), std::filesystem::directory_iterator{});
}
inline std::ptrdiff_t threads() { return entries("/proc/self/task"); }
inline std::ptrdiff_t descriptors() { return entries("/proc/self/fd"); }

/// Whether it comes down to so much: gRPC ends connections and threads a moment after they are given back.
template <class Count>
bool comes_down(Count count, std::ptrdiff_t most) {
  for (int tries = 0; tries < 1000 && count() > most; ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  return count() <= most;
}

}  // namespace norikv::test
