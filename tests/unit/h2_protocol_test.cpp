#include <zlib.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "transport/h2/exchange.hpp"
#include "transport/h2/grpc_protocol.hpp"
#include "transport/h2/inflate.hpp"
#include "transport/h2/memory.hpp"
#include "unit/h2_output.hpp"

// Pure: what gRPC adds to HTTP/2.
namespace norikv::transport::h2 {
namespace {

using namespace std::chrono_literals;
using Result = MessageReader::Result;

std::string framed(const std::string& message) {
  const auto prefix = message_prefix(message.size());
  return std::string(prefix.data(), prefix.size()) + message;
}

// Reads everything in pieces of one size.
std::vector<std::string> read_in_pieces(const std::string& bytes, std::size_t piece, Result& last) {
  MessageReader reader(1000);
  std::vector<std::string> messages;
  last = Result::more;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    std::string_view input = std::string_view(bytes).substr(at, piece);
    while (!input.empty()) {
      last = reader.read(input);
      if (last == Result::message) messages.push_back(reader.take());
      if (last != Result::message && last != Result::more) return messages;
    }
  }
  return messages;
}

TEST_CASE("Messages are put together wherever the bytes are cut") {
  const std::vector<std::string> sent{"one", "", std::string(300, 'x'), "\0\1\2", ""};
  std::string bytes;
  for (const std::string& message : sent) bytes += framed(message);
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    Result last{};
    CHECK(read_in_pieces(bytes, piece, last) == sent);
    CHECK(last == Result::message);
  }
}

TEST_CASE("A message that is not whole is known") {
  MessageReader reader(1000);
  CHECK_FALSE(reader.amid_message());
  const std::string bytes = framed("abc");
  for (std::size_t count = 1; count < bytes.size(); ++count) {
    MessageReader cut(1000);
    std::string_view input = std::string_view(bytes).substr(0, count);
    CHECK(cut.read(input) == Result::more);
    CHECK(cut.amid_message());
  }
  std::string_view all = bytes;
  CHECK(reader.read(all) == Result::message);
  CHECK(reader.take() == "abc");
  CHECK_FALSE(reader.amid_message());
}

TEST_CASE("A length beyond the limit is refused by its prefix, before anything is kept") {
  Result last{};
  (void)read_in_pieces(framed(std::string(1000, 'x')), 7, last);
  CHECK(last == Result::message);
  (void)read_in_pieces(std::string("\0\0\0\x03\xe9", 5), 1, last);
  CHECK(last == Result::too_large);
  (void)read_in_pieces(std::string("\0\xff\xff\xff\xff", 5), 5, last);
  CHECK(last == Result::too_large);
}

TEST_CASE("A compressed message and a flag that does not exist are told apart") {
  MessageReader reader(1000);
  std::string_view input("\1\0\0\0\1x", 6);
  CHECK(reader.read(input) == Result::message);
  CHECK(reader.compressed());
  Result last{};
  (void)read_in_pieces(std::string("\2\0\0\0\1x", 6), 1, last);
  CHECK(last == Result::malformed);
}

std::string compressed(const std::string& bytes, int window_bits) {
  z_stream z{};
  REQUIRE(deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&z, static_cast<uLong>(bytes.size())) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return out;
}

TEST_CASE("A compressed message is what it was, within the limit of a whole one") {
  const std::string message(100'000, 'x');
  const std::string gzip = compressed(message, MAX_WBITS + 16);
  CHECK((inflated(gzip, Encoding::gzip, 100'000) == message));
  CHECK((inflated(compressed(message, MAX_WBITS), Encoding::deflate, 100'000) == message));
  CHECK((inflated(compressed("", MAX_WBITS + 16), Encoding::gzip, 0) == std::string{}));
  CHECK(inflated(gzip, Encoding::gzip, 99'999).error() == InflateError::too_large);
  CHECK(inflated(gzip, Encoding::identity, 100'000).error() == InflateError::not_encoded);
  CHECK(inflated(gzip, Encoding::other, 100'000).error() == InflateError::unknown);
  for (std::size_t size = 0; size < gzip.size(); ++size)
    CHECK(inflated(gzip.substr(0, size), Encoding::gzip, 100'000).error() == InflateError::broken);
}

TEST_CASE("A time is sent in at most eight digits, never shorter than it is and at most a hundredth longer") {
  for (const std::int64_t count : {1LL, 999LL, 1000LL, 123'456LL, 99'999'999LL, 5'000'000'000LL, 3'600'000'000'000LL,
                                   86'400'000'000'000LL, 999'999'999'999'999LL, 99'999'999'000'000'000LL}) {
    const Duration left{count};
    const TimeoutText text(left);
    REQUIRE(text.view().size() >= 2);
    REQUIRE(text.view().size() <= 9);
    const std::int64_t number = std::stoll(std::string(text.view().substr(0, text.view().size() - 1)));
    const char unit = text.view().back();
    const double factor = unit == 'u' ? 1e3 : unit == 'm' ? 1e6 : unit == 'S' ? 1e9 : 3.6e12;
    INFO(text.view());
    CHECK(static_cast<double>(number) * factor >= static_cast<double>(count));
    if (count > 100'000) CHECK(static_cast<double>(number) * factor <= 1.011 * static_cast<double>(count));
  }
  CHECK(TimeoutText(Duration::max()).view().size() <= 9);
  CHECK(TimeoutText(-1s).view() == "1u");
  CHECK(TimeoutText(4999'998us).view() == "5000m");
  CHECK(TimeoutText(5s).view() == "5000m");
}

TEST_CASE("A status text is percent-decoded, and what is no good encoding stays") {
  CHECK(percent_decoded("plain") == "plain");
  CHECK(percent_decoded("a%20b%C3%BC%25") == "a b\xc3\xbc%");
  CHECK(percent_decoded("%e4%E4") == "\xe4\xe4");
  for (const std::string bad : {"%", "%2", "%zz", "100% sure", "%2g"}) CHECK(percent_decoded(bad) == bad);
}

TEST_CASE("Bytes become base64 without padding") {
  const std::vector<std::pair<std::string, std::string>> known{
      {"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xff\xfe\xfd", "//79"}};
  for (const auto& [bytes, text] : known) CHECK(base64(bytes) == text);
  CHECK(is_binary("trace-bin"));
  CHECK_FALSE(is_binary("trace"));
}

TEST_CASE("A status that is no number is UNKNOWN") {
  CHECK(parse_status("0") == 0);
  CHECK(parse_status("14") == 14);
  CHECK(parse_status("42") == 42);
  for (const char* bad : {"", "x", "1x", "-1", " 0", "0 ", "99999999999"}) CHECK(parse_status(bad) == Status::unknown);
}

TEST_CASE("HTTP statuses and HTTP/2 error codes become the statuses that gRPC gives them") {
  CHECK(status_of_http(400) == Status::internal);
  CHECK(status_of_http(401) == Status::unauthenticated);
  CHECK(status_of_http(403) == Status::permission_denied);
  CHECK(status_of_http(404) == Status::unimplemented);
  for (const int busy : {429, 502, 503, 504}) CHECK(status_of_http(busy) == Status::unavailable);
  for (const int other : {0, 200, 302, 500}) CHECK(status_of_http(other) == Status::unknown);
  for (const std::uint32_t code : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 9U, 10U, 99U})
    CHECK(status_of_reset(code) == Status::internal);
  CHECK(status_of_reset(7) == Status::unavailable);
  CHECK(status_of_reset(8) == Status::cancelled);
  CHECK(status_of_reset(11) == Status::resource_exhausted);
  CHECK(status_of_reset(12) == Status::permission_denied);
}

TEST_CASE("Only gRPC's media types are gRPC's") {
  for (const char* good : {"application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"})
    CHECK(is_grpc(good));
  for (const char* bad : {"", "text/html", "application/grpc-web", "application/grpcx"}) CHECK_FALSE(is_grpc(bad));
}

// --- what an answer says ---

Outcome concluded(const std::vector<std::pair<std::string, std::string>>& headers) {
  Exchange exchange(1000);
  for (const auto& [name, value] : headers) exchange.take_header(name, value);
  return exchange.conclude();
}

TEST_CASE("A status of gRPC counts whatever HTTP says") {
  CHECK(concluded({{":status", "503"}, {"grpc-status", "5"}}).status == 5);
  CHECK(concluded({{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}}).status == 0);
}

TEST_CASE("An answer without gRPC's status gets one from HTTP, or is UNKNOWN") {
  CHECK(concluded({{":status", "503"}, {"content-type", "text/html"}}).status == Status::unavailable);
  CHECK(concluded({{":status", "404"}}).status == Status::unimplemented);
  CHECK(concluded({{":status", "200"}, {"content-type", "text/html"}}).status == Status::unknown);
  CHECK(concluded({{":status", "200"}, {"content-type", "application/grpc"}}).status == Status::unknown);
  CHECK(concluded({}).status == Status::unknown);
}

TEST_CASE("Only wanted metadata is kept, and not without end") {
  Exchange exchange(1000);
  exchange.take_header("secret", "x");
  for (int i = 0; i < 100; ++i) exchange.take_header("leader-hint", std::string(5000, 'h'));
  CHECK(exchange.reply_metadata.size() == 16);
  CHECK(exchange.reply_metadata.front().second.size() == 1024);
}

TEST_CASE("The request's parts are read in pieces of any size") {
  for (std::size_t room = 1; room < 30; ++room) {
    Exchange exchange(1000);
    exchange.payload = std::make_shared<const std::string>("payload bytes");
    exchange.suffix = "suffix";
    exchange.prefix = message_prefix(19);
    Output sent;
    while (sent.size() < exchange.body_size()) {
      const std::size_t count = std::min(room, exchange.body_left());
      const std::size_t before = sent.size();
      exchange.append_body(sent, count);
      REQUIRE(sent.size() == before + count);
    }
    CHECK(test::written(sent) == framed("payload bytessuffix"));
  }
}

TEST_CASE("Output is written in order, in pieces of any size, and lets go of what was written") {
  std::string bytes;
  for (int i = 0; bytes.size() < 20'000; ++i) bytes += std::to_string(i);
  const auto payload = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view part = std::string_view(*payload).substr(3, 10'000);
  for (const std::size_t at_once : {1UL, 999UL, 10'000UL, 1'000'000UL}) {
    Output output;
    output.append("head");
    output.append(payload, part);
    output.bytes() += "middle";
    output.append(payload, part.substr(1));
    output.append(payload, "short, so it is copied");
    CHECK(payload.use_count() == 3);
    CHECK(output.size() == 4 + 10'000 + 6 + 9'999 + 22);
    const std::size_t parts = GENERATE(1U, 2U, 8U);
    CHECK((test::written(output, at_once, parts) ==
           "head" + std::string(part) + "middle" + std::string(part.substr(1)) + "short, so it is copied"));
    CHECK(payload.use_count() == 1);
    CHECK(output.empty());
  }
}

TEST_CASE("A queue gives back in order, and lets anyone leave") {
  std::vector<Exchange> all;
  for (std::size_t i = 0; i < 5; ++i) all.emplace_back(1);
  all[1].kind = Exchange::Kind::watch;
  Queue queue;
  for (Exchange& one : all) queue.push_back(one);
  CHECK(queue.calls() == 4);
  queue.remove(all[0]);
  queue.remove(all[4]);
  queue.remove(all[2]);
  CHECK(&queue.pop_front() == &all[1]);
  CHECK(&queue.pop_front() == &all[3]);
  CHECK(queue.empty());
  CHECK(queue.calls() == 0);
  queue.push_back(all[2]);
  CHECK(queue.front() == &all[2]);
}

TEST_CASE("Blocks of memory are used again, keep what they hold when they grow, and are given back") {
  Memory memory;
  void* const first = memory.allocate(100);
  memory.free(first);
  CHECK(memory.allocate(120) == first);  // of the same class
  auto* text = static_cast<char*>(memory.allocate(3));
  std::copy_n("ab", 3, text);
  for (const std::size_t size : {1UL, 64UL, 65UL, 500UL, 5000UL, 100'000UL}) {
    text = static_cast<char*>(memory.reallocate(text, size));
    CHECK(std::string(text) == "ab");
  }
  memory.free(text);
  memory.free(first);
  memory.free(nullptr);
  void* const nothing = memory.allocate(0);
  CHECK(nothing != nullptr);
  memory.free(nothing);
  CHECK(memory.allocate(static_cast<std::size_t>(-1)) == nullptr);
}

}  // namespace
}  // namespace norikv::transport::h2
