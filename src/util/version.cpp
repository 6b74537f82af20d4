#include <norikv/version.hpp>

#include <string_view>

#define NORIKV_TEXT(x) #x
#define NORIKV_JOINED(major, minor, patch) NORIKV_TEXT(major) "." NORIKV_TEXT(minor) "." NORIKV_TEXT(patch)

// NORIKV_PROJECT_VERSION is the version in the top-level meson.build.
static_assert(std::string_view(NORIKV_VERSION_STRING) == NORIKV_PROJECT_VERSION,
              "norikv/version.hpp and the project's version in meson.build disagree");
static_assert(std::string_view(NORIKV_VERSION_STRING) ==
                  NORIKV_JOINED(NORIKV_VERSION_MAJOR, NORIKV_VERSION_MINOR, NORIKV_VERSION_PATCH),
              "NORIKV_VERSION_STRING disagrees with its parts");
static_assert(NORIKV_VERSION == NORIKV_VERSION_MAJOR * 10000 + NORIKV_VERSION_MINOR * 100 + NORIKV_VERSION_PATCH,
              "NORIKV_VERSION disagrees with its parts");

namespace norikv {

const char* version() noexcept { return NORIKV_PROJECT_VERSION; }

}  // namespace norikv
