#pragma once

#include <norikv/testing/faults.hpp>
#include <norikv/unique_function.hpp>

#include "testing/fault_book.hpp"

namespace norikv::testing {

/// What a fault has to undo, and whom it has hit. It knows its cluster only as long as that is there.
struct Fault::State {
  FaultBook::Hits hits;  ///< None for faults that hit no requests.
  UniqueFunction<void()> undo;
};

}  // namespace norikv::testing
