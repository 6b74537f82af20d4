#pragma once

#include <norikv/options.hpp>

#include "meter.hpp"

// Each runs a workload until its meter says stop, and returns when everything has ended.
namespace norikv::bench {

/// This library, on a borrowed loop that is this thread's.
void run_norikv(const Workload& workload, Meter& meter, TransportKind transport);
/// Generated code, callback API: the next call starts inside the completion of the one before.
void run_callback_stub(const Workload& workload, Meter& meter);
/// Generated code, blocking calls: a thread for each operation in flight.
void run_sync_stub(const Workload& workload, Meter& meter);

}  // namespace norikv::bench
