#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "transport/h2/session.hpp"
#include "unit/h2_output.hpp"

// The HTTP/2 session without a socket, against the server's side of nghttp2 and against hand-made frames.
namespace norikv::transport::h2 {
namespace {

using namespace std::chrono_literals;

// The other end of the wire.
class Peer {
 public:
  explicit Peer(std::vector<nghttp2_settings_entry> settings = {}) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_select_padding_callback(callbacks, pad);
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, 0, settings.data(), settings.size());
  }
  ~Peer() { nghttp2_session_del(session_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  struct Request {
    std::map<std::string, std::string> headers;
    std::string body;
    bool whole = false;
    bool closed = false;
    std::uint32_t code = 0;
  };
  std::map<std::int32_t, Request> requests;
  std::size_t padding = 0;

  void take(const std::string& bytes) {
    REQUIRE(nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()) ==
            static_cast<ssize_t>(bytes.size()));
  }
  std::string give() {
    std::string out;
    const std::uint8_t* data = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &data)) > 0;)
      out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    return out;
  }

  void answer(std::int32_t stream, std::string body, std::vector<std::pair<std::string, std::string>> trailers) {
    Answer& answer = answers_[stream];
    answer = {std::move(body), 0, std::move(trailers)};
    static const std::string names[] = {":status", "200", "content-type", "application/grpc"};
    std::vector<nghttp2_nv> headers{nv(names[0], names[1]), nv(names[2], names[3])};
    nghttp2_data_provider data{};
    data.source.ptr = &answer;
    data.read_callback = read_answer;
    nghttp2_submit_response(session_, stream, headers.data(), headers.size(), &data);
  }
  void answer_message(std::int32_t stream, const std::string& message) {
    const auto prefix = message_prefix(message.size());
    answer(stream, std::string(prefix.data(), prefix.size()) + message, {{"grpc-status", "0"}});
  }
  /// Headers alone, which end the stream.
  void answer_headers(std::int32_t stream, const std::vector<std::pair<std::string, std::string>>& headers) {
    std::vector<nghttp2_nv> all;
    for (const auto& [name, value] : headers) all.push_back(nv(name, value));
    nghttp2_submit_response(session_, stream, all.data(), all.size(), nullptr);
  }
  void reset(std::int32_t stream, std::uint32_t code) { nghttp2_submit_rst_stream(session_, 0, stream, code); }
  void goaway(std::int32_t last) { nghttp2_submit_goaway(session_, 0, last, NGHTTP2_NO_ERROR, nullptr, 0); }

 private:
  struct Answer {
    std::string body;
    std::size_t sent = 0;
    std::vector<std::pair<std::string, std::string>> trailers;
  };
  static Peer& of(void* self) { return *static_cast<Peer*>(self); }
  static nghttp2_nv nv(const std::string& name, const std::string& value) {
    return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
            reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), 0};
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self) {
    of(self).requests[frame->hd.stream_id].headers.emplace(
        std::string(reinterpret_cast<const char*>(name), name_size),
        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data, std::size_t size,
                     void* self) {
    of(self).requests[stream].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
      of(self).requests[frame->hd.stream_id].whole = true;
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t stream, std::uint32_t code, void* self) {
    of(self).requests[stream].closed = true;
    of(self).requests[stream].code = code;
    return 0;
  }
  static ssize_t pad(nghttp2_session*, const nghttp2_frame* frame, std::size_t largest, void* self) {
    return static_cast<ssize_t>(std::min(largest, frame->hd.length + of(self).padding));
  }
  static ssize_t read_answer(nghttp2_session* session, std::int32_t stream, std::uint8_t* to, std::size_t room,
                             std::uint32_t* flags, nghttp2_data_source* source, void*) {
    Answer& answer = *static_cast<Answer*>(source->ptr);
    const std::size_t count = std::min(room, answer.body.size() - answer.sent);
    std::copy_n(answer.body.data() + answer.sent, count, to);
    answer.sent += count;
    if (answer.sent == answer.body.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      std::vector<nghttp2_nv> trailers;
      for (const auto& [name, value] : answer.trailers) trailers.push_back(nv(name, value));
      nghttp2_submit_trailer(session, stream, trailers.data(), trailers.size());
    }
    return static_cast<ssize_t>(count);
  }

  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, Answer> answers_;
};

// A session, what it told, and the peer.
class Wire final : public SessionListener {
 public:
  explicit Wire(std::vector<nghttp2_settings_entry> settings = {}) : peer(std::move(settings)) {}

  Exchange& open(const std::string& body = "request", Exchange::Kind kind = Exchange::Kind::call) {
    exchanges.push_back(std::make_unique<Exchange>(100'000));
    Exchange& exchange = *exchanges.back();
    exchange.kind = kind;
    exchange.path = &wire::path(wire::Method::put);
    exchange.payload = std::make_shared<const std::string>(body);
    exchange.metadata = {{"x-own", "metadata"}};
    exchange.deadline = TimePoint{} + 5s;
    REQUIRE(session.has_room());
    REQUIRE(session.open(exchange, "http", "node:1", TimePoint{}));
    return exchange;
  }
  /// Both sides, until neither has anything to say.
  void settle(std::size_t piece = std::string::npos) {
    for (;;) {
      Output output;
      REQUIRE(session.produce(output, std::string::npos));
      const std::string out = test::written(output);
      peer.take(out);
      const std::string in = peer.give();
      give(in, piece);
      if (out.empty() && in.empty()) return;
    }
  }
  void give(const std::string& in, std::size_t piece = std::string::npos) {
    for (std::size_t at = 0; at < in.size();) {
      const std::size_t size = std::min(piece, in.size() - at);
      REQUIRE(session.receive(std::string_view(in).substr(at, size)));
      at += size;
    }
  }
  void take_messages(Exchange& exchange) {
    while (auto message = exchange.next_kept_message()) messages.push_back(std::move(*message));
    session.give_back(exchange);
  }
  [[nodiscard]] const Outcome& end_of(const Exchange& exchange) {
    const auto found = ends.find(&exchange);
    REQUIRE(found != ends.end());
    return found->second;
  }

  Peer peer;
  Session session{*this};
  std::vector<std::unique_ptr<Exchange>> exchanges;
  std::map<const Exchange*, Outcome> ends;
  std::vector<std::string> messages;
  bool takes = true;  ///< Messages of streams, when they come.
  int greetings = 0;
  int goaways = 0;
  int pongs = 0;

 private:
  void on_greeting() override { ++greetings; }
  void on_goaway() override { ++goaways; }
  void on_pong() override { ++pongs; }
  void on_kept(Exchange& exchange) override {
    if (takes) take_messages(exchange);
  }
  void on_end(Exchange& exchange, Outcome outcome) override {
    REQUIRE(ends.emplace(&exchange, std::move(outcome)).second);
  }
};

TEST_CASE("A session has no room before the peer's settings came, and then it has") {
  Wire wire;
  CHECK_FALSE(wire.session.has_room());
  wire.settle();
  CHECK(wire.greetings == 1);
  CHECK(wire.session.has_room());
}

TEST_CASE("A request has the headers of gRPC and its message behind a prefix") {
  Wire wire;
  wire.settle();
  const Exchange& exchange = wire.open("body");
  wire.settle();
  const Peer::Request& request = wire.peer.requests.at(1);
  const auto& headers = request.headers;
  CHECK(headers.at(":method") == "POST");
  CHECK(headers.at(":scheme") == "http");
  CHECK(headers.at(":path") == "/norikv.v1.Kv/Put");
  CHECK(headers.at(":authority") == "node:1");
  CHECK(headers.at("te") == "trailers");
  CHECK(headers.at("content-type") == "application/grpc");
  CHECK(headers.at("grpc-timeout") == "5000m");
  CHECK(headers.at("x-own") == "metadata");
  CHECK(request.body == std::string("\0\0\0\0\4body", 9));
  CHECK(request.whole);
  CHECK(exchange.on_wire);
  CHECK(wire.ends.empty());
}

TEST_CASE("An answer is read wherever its bytes are cut, padded or not") {
  const std::size_t padding = GENERATE(0, 1, 200);
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 9U, 100U, 1000U}) {
    Wire wire;
    wire.peer.padding = padding;
    wire.settle();
    Exchange& exchange = wire.open();
    wire.settle();
    wire.peer.answer_message(1, std::string(50'000, 'x'));
    wire.settle(piece);
    CHECK(wire.end_of(exchange).status == Status::ok);
    CHECK(exchange.body == std::string(50'000, 'x'));
    CHECK(wire.session.streams() == 0);
  }
}

TEST_CASE("Headers that go on in CONTINUATION frames are read") {
  Wire wire;
  wire.settle();
  Exchange& exchange = wire.open();
  wire.settle();
  wire.peer.answer_headers(1, {{":status", "200"},
                               {"content-type", "application/grpc"},
                               {"grpc-status", "14"},
                               {"leader-hint", std::string(60'000, '~')},
                               {"grpc-message", "NOT_LEADER"}});
  wire.settle(1000);
  CHECK(wire.end_of(exchange).status == Status::unavailable);
  CHECK(wire.end_of(exchange).message == "NOT_LEADER");
  CHECK(exchange.reply_metadata == core::Metadata{{"leader-hint", std::string(1024, '~')}});
}

TEST_CASE("A stream that the peer refuses was surely not processed") {
  Wire wire;
  wire.settle();
  const Exchange& exchange = wire.open();
  wire.settle();
  wire.peer.reset(1, NGHTTP2_REFUSED_STREAM);
  wire.settle();
  CHECK(wire.end_of(exchange).status == Status::unavailable);
  CHECK(wire.end_of(exchange).sent == core::Sent::refused_unprocessed);
}

TEST_CASE("A stream that is reset otherwise may have been processed") {
  Wire wire;
  wire.settle();
  const Exchange& exchange = wire.open();
  wire.settle();
  wire.peer.reset(1, NGHTTP2_INTERNAL_ERROR);
  wire.settle();
  CHECK(wire.end_of(exchange).status == Status::internal);
  CHECK(wire.end_of(exchange).sent == core::Sent::unknown);
}

TEST_CASE("GOAWAY: streams above the last one were surely not processed, the others go on, and no more are opened") {
  Wire wire;
  wire.settle();
  const Exchange& first = wire.open();
  const Exchange& second = wire.open();
  wire.settle();
  wire.peer.goaway(1);
  wire.settle();
  CHECK(wire.goaways == 1);
  CHECK(wire.end_of(second).sent == core::Sent::refused_unprocessed);
  CHECK(wire.ends.size() == 1);
  CHECK_FALSE(wire.session.has_room());
  wire.peer.answer_message(1, "late");
  wire.settle();
  CHECK(wire.end_of(first).status == Status::ok);
}

TEST_CASE("No more streams are opened than the peer allows, and each that ends makes room") {
  Wire wire({{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2}});
  wire.settle();
  const Exchange& first = wire.open();
  wire.open();
  CHECK_FALSE(wire.session.has_room());
  wire.settle();
  CHECK_FALSE(wire.session.has_room());
  wire.peer.answer_message(1, "x");
  wire.settle();
  CHECK(wire.end_of(first).status == Status::ok);
  CHECK(wire.session.has_room());
}

TEST_CASE("A request that is reset before it was sent leaves no trace and takes no room") {
  Wire wire({{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}});
  wire.settle();
  for (int i = 0; i < 3; ++i) {
    Exchange& exchange = wire.open();
    wire.session.reset(exchange);
    CHECK_FALSE(exchange.on_wire);
    wire.exchanges.clear();
    wire.settle();
    CHECK(wire.session.streams() == 0);
  }
  CHECK(wire.peer.requests.empty());
  CHECK(wire.ends.empty());
}

TEST_CASE("A request that is reset amid its body is forgotten, and the peer is told") {
  Wire wire({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000}});
  wire.settle();
  Exchange& exchange = wire.open(std::string(200'000, 'x'));
  Output out;
  REQUIRE(wire.session.produce(out, std::string::npos));
  wire.peer.take(test::written(out));
  wire.session.reset(exchange);
  wire.exchanges.clear();
  wire.settle();
  CHECK(wire.peer.requests.at(1).closed);
  CHECK(wire.peer.requests.at(1).code == NGHTTP2_CANCEL);
  CHECK(wire.session.streams() == 0);
}

TEST_CASE("An answer that comes before the request was read ends it") {
  Wire wire({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000}});
  wire.settle();
  const Exchange& exchange = wire.open(std::string(200'000, 'x'));
  Output out;
  REQUIRE(wire.session.produce(out, std::string::npos));
  wire.peer.take(test::written(out));
  wire.peer.answer_headers(1, {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "8"}});
  wire.give(wire.peer.give());
  CHECK(wire.end_of(exchange).status == Status::resource_exhausted);
  wire.exchanges.clear();
  wire.settle();
  CHECK(wire.session.streams() == 0);
}

TEST_CASE("A second message in answer to a call is an error, and messages of a stream come one by one") {
  Wire wire;
  wire.settle();
  const Exchange& call = wire.open();
  const Exchange& stream = wire.open("", Exchange::Kind::watch);
  wire.settle();
  const std::string two("\0\0\0\0\1a\0\0\0\0\1b", 12);
  wire.peer.answer(1, two, {{"grpc-status", "0"}});
  wire.peer.answer(3, two, {{"grpc-status", "0"}});
  wire.settle();
  CHECK(wire.end_of(call).status == Status::internal);
  CHECK(wire.end_of(stream).status == Status::ok);
  CHECK(wire.messages == std::vector<std::string>{"a", "b"});
}

// With windows that open by themselves all of it is kept.
TEST_CASE("A stream whose messages nobody takes is sent one window of them, and the rest when they are taken") {
  constexpr std::size_t window = 4 * 1024 * 1024;
  constexpr std::size_t sent = 1000;
  Wire wire;
  wire.settle();
  Exchange& stream = wire.open("", Exchange::Kind::watch);
  wire.settle();
  std::string bytes;
  for (std::size_t i = 0; i < sent; ++i) {
    const auto prefix = message_prefix(20'000);
    bytes.append(prefix.data(), prefix.size()).append(20'000, 'v');
  }
  wire.takes = false;
  wire.peer.answer(1, bytes, {{"grpc-status", "0"}});
  wire.settle();
  CHECK(stream.unread.size() == window);
  wire.takes = true;
  wire.take_messages(stream);
  wire.settle();
  CHECK(wire.messages.size() == sent);
  CHECK(wire.end_of(stream).status == Status::ok);
}

TEST_CASE("What comes for requests that were reset leaves the others the connection's window") {
  constexpr std::size_t connection_window = 16 * 1024 * 1024;
  constexpr std::size_t answer = 90'000;
  Wire wire;
  wire.settle();
  std::int32_t stream = 1;
  for (std::size_t sent = 0; sent < connection_window + answer; sent += answer, stream += 2) {
    const Exchange::Kind kind = stream % 4 == 1 ? Exchange::Kind::call : Exchange::Kind::watch;
    Exchange& exchange = wire.open("", kind);
    wire.settle();
    wire.takes = false;
    wire.peer.answer_message(stream, std::string(answer, 'x'));
    // Some comes before, some behind.
    const std::string in = wire.peer.give();
    wire.give(in.substr(0, answer / 2));
    wire.session.reset(exchange);
    wire.give(in.substr(answer / 2));
    wire.settle();
  }
  const Exchange& last = wire.open();
  wire.settle();
  wire.peer.answer_message(stream, std::string(answer, 'x'));
  wire.settle();
  CHECK(wire.end_of(last).status == Status::ok);
}

TEST_CASE("A message that is too large, compressed, malformed or cut short is no success") {
  const auto [bytes, status] = GENERATE(table<std::string, int>({{std::string("\0\0\x7f\0\0xx", 7), 8},
                                                                 {std::string("\1\0\0\0\1x", 6), 13},
                                                                 {std::string("\7\0\0\0\1x", 6), 13},
                                                                 {std::string("\0\0\0\0\2x", 6), 13},
                                                                 {std::string("\0\0\0", 3), 13}}));
  Wire wire;
  wire.settle();
  const Exchange& exchange = wire.open();
  wire.settle();
  wire.peer.answer(1, bytes, {{"grpc-status", "0"}});
  wire.settle();
  CHECK(wire.end_of(exchange).status == status);
  CHECK(wire.end_of(exchange).sent == core::Sent::unknown);
}

TEST_CASE("An answer of a proxy keeps the meaning of its HTTP status") {
  Wire wire;
  wire.settle();
  const Exchange& exchange = wire.open();
  wire.settle();
  wire.peer.answer_headers(1, {{":status", "503"}, {"content-type", "text/html"}});
  wire.settle();
  CHECK(wire.end_of(exchange).status == Status::unavailable);
  CHECK(wire.end_of(exchange).sent == core::Sent::unknown);
}

TEST_CASE("A PING is answered") {
  Wire wire;
  wire.settle();
  wire.session.ping();
  wire.settle();
  CHECK(wire.pongs == 1);
}

TEST_CASE("Bytes that are no HTTP/2 end the session") {
  Wire wire;
  const bool goes_on = wire.session.receive("HTTP/1.1 400 Bad Request\r\n\r\n");
  Output last_words;
  (void)wire.session.produce(last_words, std::string::npos);
  CHECK((!goes_on || wire.session.over()));
  CHECK(wire.greetings == 0);
}

}  // namespace
}  // namespace norikv::transport::h2
