#include "core/consistency.hpp"

#include "support/catch.hpp"

using namespace norikv;
using namespace norikv::core;

TEST_CASE("The 0.1.0 server is asked in its own words") {
  CHECK(consistency_text(Consistency::lease, Dialect::server).empty());
  CHECK(consistency_text(Consistency::linearizable, Dialect::server) == "strong");
  CHECK(consistency_text(Consistency::stale, Dialect::server) == "eventual");
  CHECK(consistency_text(Consistency::bounded, Dialect::server) == "bounded_staleness");
}

TEST_CASE("A server that knows the SDKs' words is asked in those") {
  CHECK(consistency_text(Consistency::lease, Dialect::sdk) == "lease");
  CHECK(consistency_text(Consistency::linearizable, Dialect::sdk) == "linearizable");
  CHECK(consistency_text(Consistency::stale, Dialect::sdk) == "stale_ok");
  CHECK(consistency_text(Consistency::bounded, Dialect::sdk) == "stale_ok");
}

TEST_CASE("Only reads that any replica may answer do without a leader") {
  CHECK(needs_leader(Consistency::lease));
  CHECK(needs_leader(Consistency::linearizable));
  CHECK_FALSE(needs_leader(Consistency::stale));
  CHECK_FALSE(needs_leader(Consistency::bounded));
}

TEST_CASE("Each dialect is the other's other") {
  CHECK(other(Dialect::server) == Dialect::sdk);
  CHECK(other(Dialect::sdk) == Dialect::server);
}
