#pragma once

#include <cstdint>

// The program's own malloc: it is the C library's, and counts while it is told to. `operator new` ends there too, as do
// the libraries' own allocators.
namespace norikv::bench {

void start_counting_allocations();
/// Stops, and how many there were in all threads since.
[[nodiscard]] std::uint64_t stop_counting_allocations();

/// From now on it also sums up what is allocated and not freed, for `bytes_held`: to be told at the
/// program's begin, so that nothing is freed that was not counted.
void start_summing_memory();
[[nodiscard]] std::int64_t bytes_held();

}  // namespace norikv::bench
