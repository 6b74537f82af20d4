#include "util/trace_context.hpp"

#include <string>

#include "support/catch.hpp"

using norikv::TraceContext;
using norikv::util::is_traceparent;
using norikv::util::is_tracestate;
using norikv::util::well_formed;

namespace {

const std::string trace(32, 'a');
const std::string parent(16, 'b');
const std::string good = "00-" + trace + "-" + parent + "-01";

std::string members(int count) {
  std::string list;
  for (int i = 0; i < count; ++i) list += (i == 0 ? "k" : ",k") + std::to_string(i) + "=v";
  return list;
}

}  // namespace

TEST_CASE("A trace parent of version 0 is four fields of lower-case hex digits") {
  CHECK(is_traceparent(good));
  CHECK(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
  CHECK_FALSE(is_traceparent(""));
  CHECK_FALSE(is_traceparent("00"));
  CHECK_FALSE(is_traceparent(good.substr(1)));
  CHECK_FALSE(is_traceparent(good + "0"));
  CHECK_FALSE(is_traceparent(good + "-00"));
  CHECK_FALSE(is_traceparent("00-" + std::string(32, 'A') + "-" + parent + "-01"));
  CHECK_FALSE(is_traceparent("00-" + std::string(32, 'g') + "-" + parent + "-01"));
  CHECK_FALSE(is_traceparent("00_" + trace + "-" + parent + "-01"));
  CHECK_FALSE(is_traceparent("00-" + trace + "_" + parent + "-01"));
  CHECK_FALSE(is_traceparent("00-" + trace + "-" + parent + "_01"));
  CHECK_FALSE(is_traceparent("00-" + trace + "-" + parent + "-0x"));
}

TEST_CASE("A trace parent without a trace or without a parent is none") {
  CHECK_FALSE(is_traceparent("00-" + std::string(32, '0') + "-" + parent + "-01"));
  CHECK_FALSE(is_traceparent("00-" + trace + "-" + std::string(16, '0') + "-01"));
}

TEST_CASE("A trace parent of a later version may have more fields") {
  CHECK(is_traceparent("01-" + trace + "-" + parent + "-01"));
  CHECK(is_traceparent("cc-" + trace + "-" + parent + "-01-future"));
  CHECK_FALSE(is_traceparent("cc-" + trace + "-" + parent + "-01.future"));
  CHECK_FALSE(is_traceparent("cc-" + trace + "-" + parent + "-01-a\nb"));
  CHECK_FALSE(is_traceparent("cc-" + trace + "-" + parent + "-01-" + std::string(300, 'x')));
  CHECK_FALSE(is_traceparent("ff-" + trace + "-" + parent + "-01"));
}

TEST_CASE("A trace state is a list of vendors and their values") {
  CHECK(is_tracestate("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
  CHECK(is_tracestate("fw529a3039@dt=FfAxJ , other=a b"));
  CHECK(is_tracestate("a=1,,b=2"));
  CHECK(is_tracestate(members(32)));
}

TEST_CASE("A trace state that is not well-formed is none") {
  CHECK_FALSE(is_tracestate(""));
  CHECK_FALSE(is_tracestate(","));
  CHECK_FALSE(is_tracestate("vendor"));
  CHECK_FALSE(is_tracestate("=value"));
  CHECK_FALSE(is_tracestate("vendor="));
  CHECK_FALSE(is_tracestate("Vendor=1"));
  CHECK_FALSE(is_tracestate("vendor=a=b"));
  CHECK_FALSE(is_tracestate("vendor=a\nb"));
  CHECK_FALSE(is_tracestate("a=1,\tb=2"));
  CHECK_FALSE(is_tracestate("vendor=\xc3\xa9"));
  CHECK_FALSE(is_tracestate("a=1,b=2,a=3"));
  CHECK_FALSE(is_tracestate(members(33)));
  CHECK_FALSE(is_tracestate("vendor=" + std::string(600, 'x')));
}

TEST_CASE("A trace context travels only with a parent, and a bad state does not keep it back") {
  CHECK(well_formed({}) == nullptr);
  CHECK(well_formed({"nonsense", "rojo=1"}) == nullptr);
  CHECK(well_formed({good, "rojo=1"})->tracestate == "rojo=1");
  CHECK(well_formed({good, "no list"})->traceparent == good);
  CHECK(well_formed({good, "no list"})->tracestate.empty());
}
