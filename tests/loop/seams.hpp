#pragma once

#include <atomic>
#include <cstddef>

// What the library under test asked of libuv and of the system, counted by seams.cpp; what it allocated, too.
namespace norikv::test::seams {

inline std::atomic<int> async_sends{0};
inline std::atomic<int> timer_starts{0};
inline std::atomic<int> joins{0};
inline std::atomic<bool> refuse_threads{false};

inline std::atomic<std::size_t> allocations{0};
inline std::atomic<std::size_t> bytes_allocated{0};  // now

}  // namespace norikv::test::seams
