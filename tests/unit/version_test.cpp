#include <norikv/version.hpp>

#include <string>

#include "support/catch.hpp"

TEST_CASE("The library that is loaded has the version of the headers") {
  CHECK(std::string(norikv::version()) == NORIKV_VERSION_STRING);
}
