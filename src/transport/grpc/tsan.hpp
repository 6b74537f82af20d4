#pragma once

#include "util/tsan.hpp"

namespace norikv::transport {

// gRPC comes without instrumentation.
inline void into_grpc(void* object) noexcept { util::into_foreign(object); }
inline void out_of_grpc(void* object) noexcept { util::out_of_foreign(object); }

}  // namespace norikv::transport
