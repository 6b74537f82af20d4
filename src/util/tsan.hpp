#pragma once

// ThreadSanitizer sees no happens-before through a library that was built without it. These two mark where an object
// goes into such a library and where it comes back, so that races on our own state still show.
#if defined(__SANITIZE_THREAD__)
#define NORIKV_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NORIKV_UNDER_TSAN 1
#endif
#endif

#ifdef NORIKV_UNDER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace norikv::util {

inline void into_foreign([[maybe_unused]] void* object) noexcept {
#ifdef NORIKV_UNDER_TSAN
  __tsan_release(object);
#endif
}

inline void out_of_foreign([[maybe_unused]] void* object) noexcept {
#ifdef NORIKV_UNDER_TSAN
  __tsan_acquire(object);
#endif
}

}  // namespace norikv::util
