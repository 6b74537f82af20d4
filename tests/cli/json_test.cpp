#include "cli/json.hpp"

#include <string>

#include "support/catch.hpp"

using namespace norikv::cli;

TEST_CASE("well-formed UTF-8 is told from anything else") {
  CHECK(is_utf8(""));
  CHECK(is_utf8(std::string("a\0b", 3)));
  CHECK(is_utf8("Hello \xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\x9a\x80 \xc3\xa9"));
  CHECK(is_utf8("\xf4\x8f\xbf\xbf"));
  CHECK_FALSE(is_utf8("\xff"));
  CHECK_FALSE(is_utf8("\x80"));              // a tail without a head
  CHECK_FALSE(is_utf8("\xc3"));              // a head without a tail
  CHECK_FALSE(is_utf8("\xe4\xb8"));          // cut
  CHECK_FALSE(is_utf8("\xc0\xaf"));          // overlong in two bytes
  CHECK_FALSE(is_utf8("\xe0\x80\xaf"));      // overlong in three
  CHECK_FALSE(is_utf8("\xf0\x80\x80\xaf"));  // overlong in four
  CHECK_FALSE(is_utf8("\xed\xa0\x80"));      // a surrogate
  CHECK_FALSE(is_utf8("\xf4\x90\x80\x80"));  // beyond U+10FFFF
}

TEST_CASE("base64 is RFC 4648's, with padding") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string("\x00\xff\xfe", 3)) == "AP/+");
}

TEST_CASE("a JSON string escapes quotes, backslashes and control characters") {
  CHECK(json_string(std::string("a\"\\\n\t\x01\x7f\0z", 9)) == R"("a\"\\\n\t\u0001\u007f\u0000z")");
}

TEST_CASE("fields come in the order in which they were written") {
  CHECK(JsonObject{}.text("b", "x").number("a", 18446744073709551615U).boolean("c", true).raw("d", "null").str() ==
        R"({"b":"x","a":18446744073709551615,"c":true,"d":null})");
  CHECK(JsonObject{}.str() == "{}");
}

TEST_CASE("bytes that are not UTF-8 come in base64 under another name") {
  CHECK(JsonObject{}.bytes("value", "caf\xc3\xa9").str() == "{\"value\":\"caf\xc3\xa9\"}");
  CHECK(JsonObject{}.bytes("value", "\xff").str() == R"({"value_base64":"/w=="})");
}

TEST_CASE("a text that is not UTF-8 still makes valid JSON") {
  CHECK(JsonObject{}.text("message", "a\xff\xc3\xa9").str() == "{\"message\":\"a?\xc3\xa9\"}");
}
