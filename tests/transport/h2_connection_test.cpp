#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "transport/h2/h2_transport.hpp"
#include "transport/names.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"
#include "transport/test_client.hpp"

// What the h2 transport does with peers that a gRPC server can't play.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;
using core::Sent;

constexpr int cancelled = 1;
constexpr int unknown = 2;
constexpr int internal = 13;
constexpr int unavailable = 14;

// HTTP/2 frame types.
constexpr int data = 0;
constexpr int headers = 1;
constexpr int rst_stream = 3;
constexpr int settings = 4;
constexpr int ping = 6;
constexpr int goaway = 7;
constexpr int window_update = 8;
constexpr int continuation = 9;
constexpr int end_stream = 1;
constexpr int ack = 1;
constexpr int end_headers = 4;
constexpr int padded = 8;
// What the client gives a stream, in its SETTINGS, and a connection, in front of its first request.
constexpr std::size_t stream_window = 4 * 1024 * 1024;
constexpr std::size_t connection_window = 16 * 1024 * 1024;

const TransportKind h2{"h2", &transport::make_h2_transport};

std::string number(unsigned value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}
std::string max_streams(unsigned count) { return std::string("\0\3", 2) + number(count); }
std::string last_stream(unsigned id) { return number(id) + number(0); }

const std::string answer_headers = header_block({{":status", "200"}, {"content-type", "application/grpc"}});

TEST_CASE("h2: calls beyond the streams that the peer allows wait for their turn, and all are answered") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    connection.write_frame(settings, 0, 0, max_streams(2));
    unsigned open = 0;
    while (connection.read_until_frame(data)) {
      // Two at a time: answered when the second one is there, or the last one.
      if (++open == 2 || connection.stream() == 9) {
        if (open == 2) answer_ok(connection, connection.stream() - 2);
        answer_ok(connection, connection.stream());
        open = 0;
      }
    }
  });
  TestClient client(h2, {peer.address()});
  std::vector<core::CallId> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(client.start(peer.address()));
  for (const core::CallId id : calls) CHECK(client.reply_of(id).status == 0);
  CHECK(peer.accepted() == 1);
}

TEST_CASE("h2: a call that waits for a stream and is cancelled was not sent") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    connection.write_frame(settings, 0, 0, max_streams(1));
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  const core::CallId first = client.start(peer.address());
  const core::CallId second = client.start(peer.address());
  REQUIRE(client.run_until([&] { return peer.accepted() == 1; }));
  for (int i = 0; i < 10; ++i) client.turn();
  client.transport().cancel(second);
  CHECK(client.reply_of(second).sent == Sent::not_sent);
  CHECK_FALSE(client.replied(first));
}

TEST_CASE("h2: after GOAWAY new calls get a new connection, and those under way end on the old one") {
  std::atomic<int> connections{0};
  RawPeer peer(Form::ipv4, [&](RawConnection& connection) {
    const bool first = connections++ == 0;
    connection.write_frame(settings, 0, 0);
    if (!connection.read_until_frame(data)) return;
    const unsigned stream = connection.stream();
    if (!first) {
      answer_ok(connection, stream);
      connection.read_to_end();
      return;
    }
    connection.write_frame(goaway, 0, 0, last_stream(stream));
    // A sign that the client has seen it: its next request comes elsewhere, or it pings.
    connection.write_frame(ping, 0, 0, "12345678");
    if (!connection.read_until_frame(ping)) return;
    answer_ok(connection, stream);
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  CHECK(client.call(peer.address()).status == 0);
  CHECK(client.call(peer.address()).status == 0);
  CHECK(peer.accepted() == 2);
  CHECK(client.run_until([&] { return peer.finished() >= 1; }));  // the old one is given back
}

TEST_CASE("h2: of the calls in flight, GOAWAY gives back those above its last stream, and the others are answered") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    connection.write_frame(settings, 0, 0);
    for (int i = 0; i < 3; ++i) {
      if (!connection.read_until_frame(data)) return;
    }
    connection.write_frame(goaway, 0, 0, last_stream(3));
    answer_ok(connection, 1);
    answer_ok(connection, 3);
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  std::vector<core::CallId> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(client.start(peer.address()));
  CHECK(client.reply_of(calls[0]).status == 0);
  CHECK(client.reply_of(calls[1]).status == 0);
  const core::Reply refused = client.reply_of(calls[2]);
  CHECK(refused.status == unavailable);
  CHECK(refused.sent == Sent::refused_unprocessed);
}

TEST_CASE("h2: calls that wait for a stream when GOAWAY comes are sent on the next connection") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    connection.write_frame(settings, 0, 0, max_streams(1));
    if (!connection.read_until_frame(data)) return;
    connection.write_frame(goaway, 0, 0, last_stream(1));
    answer_ok(connection, 1);
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  std::vector<core::CallId> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(client.start(peer.address()));
  for (const core::CallId id : calls) CHECK(client.reply_of(id).status == 0);
  CHECK(peer.accepted() == 4);
}

TEST_CASE("h2: a peer that ends its side is a connection that was lost") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    (void)take_request(connection);
    connection.end_writing();
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  const core::Reply reply = client.call(peer.address());
  CHECK(reply.status == unavailable);
  CHECK(reply.sent == Sent::unknown);
  CHECK(client.run_until([&] { return peer.finished() == 1; }));
}

TEST_CASE("h2: an answer in front of the end of the connection is not lost") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    (void)take_request(connection);
    answer_ok(connection, 1);
  });
  TestClient client(h2, {peer.address()});
  for (int i = 0; i < 5; ++i) CHECK(client.call(peer.address()).status == 0);
}

TEST_CASE("h2: an answer that is padded, in CONTINUATION frames and with an interim answer in front is read") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    (void)take_request(connection);
    connection.write_frame(headers, end_headers, 1, header_block({{":status", "103"}, {"link", "x"}}));
    const std::string block = '\x09' + answer_headers + std::string(9, '\0');
    connection.write_frame(headers, end_headers | padded, 1, block);
    connection.write_frame(data, padded, 1, std::string("\3\0\0\0\0\1", 6) + "x" + std::string(3, '\0'));
    connection.write_frame(data, padded, 1, std::string("\0", 1));
    const std::string trailers = header_block({{"leader-hint", "1.2.3.4:5"}, {"grpc-status", "0"}});
    connection.write_frame(headers, end_stream, 1, trailers.substr(0, 5));
    for (std::size_t at = 5; at < trailers.size(); ++at)
      connection.write_frame(continuation, at + 1 == trailers.size() ? end_headers : 0, 1, trailers.substr(at, 1));
    connection.read_to_end();
  });
  // As many CONTINUATION frames as nghttp2 takes depends on its version, so the answer may cost the connection.
  TestClient client(h2, {peer.address()});
  const core::Reply reply = client.call(peer.address());
  if (reply.status == 0) CHECK(reply.body == "x");
  if (reply.status != 0) CHECK(reply.sent == Sent::unknown);
}

TEST_CASE("h2: answers that break the rules cost the call or the connection, never more") {
  const auto [type, flags, stream, payload] = GENERATE(table<int, int, unsigned, std::string>(
      {{data, 0, 1, std::string(5, '\0')},                              // DATA in front of the headers
       {headers, end_headers | end_stream, 1, "\xff\xff\xff\xff\xff"},  // no HPACK
       {headers, end_headers, 2, answer_headers},                       // a stream of the server
       {headers, end_headers, 99, answer_headers},                      // one that was never opened
       {settings, 0, 1, ""},                                            // SETTINGS in a stream
       {settings, 0, 0, "abc"},                                         // of no size
       {5, end_headers, 1, number(2) + answer_headers},                 // PUSH_PROMISE
       {8, 0, 0, number(0)},                                            // WINDOW_UPDATE of nothing
       {continuation, end_headers, 1, answer_headers}}));
  RawPeer peer(Form::ipv4, [&, type = type, flags = flags, stream = stream, payload = payload](auto& connection) {
    (void)take_request(connection);
    if (connection.stream() == 1) connection.write_frame(type, flags, stream, payload);
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  const core::Reply reply = client.call(peer.address(), {.timeout = 2s});
  CHECK(reply.status != 0);
  CHECK(reply.sent == Sent::unknown);
}

TEST_CASE("h2: a stream that is reset has the status that belongs to the code") {
  const auto [code, status] = GENERATE(table<unsigned, int>({{2, internal}, {8, cancelled}, {11, 8}, {12, 7}}));
  RawPeer peer(Form::ipv4, [code = code](RawConnection& connection) {
    (void)take_request(connection);
    connection.write_frame(rst_stream, 0, 1, number(code));
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  const core::Reply reply = client.call(peer.address());
  CHECK(reply.status == status);
  CHECK(reply.sent == Sent::unknown);
}

TEST_CASE("h2: an answer that is not gRPC's is no success") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    (void)take_request(connection);
    connection.write_frame(headers, end_headers, 1, header_block({{":status", "200"}, {"content-type", "text/html"}}));
    connection.write_frame(data, end_stream, 1, "<html>");
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  CHECK(client.call(peer.address()).status == unknown);
}

unsigned number_at(const std::string& bytes, std::size_t at) {
  unsigned value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

// One that sends as much as the windows allow, at once: a ClusterView of so many nodes, back to back.
class Flood {
 public:
  Flood(RawConnection& connection, std::size_t views) : connection_(connection), views_(views) {
    std::string view;
    for (int i = 0; i < 40'000; ++i) view += std::string{"\x12\x03\x0a\x01n", 5};
    message_ = std::string("\0", 1) + number(static_cast<unsigned>(view.size())) + view;
  }
  [[nodiscard]] static std::size_t view_size() { return 5 + 40'000 * 5; }

  void run(std::atomic<std::size_t>& sent) {
    connection_.write_frame(settings, 0, 0);
    if (!connection_.read_until_frame(data)) return;
    connection_.write_frame(settings, ack, 0);
    connection_.write_frame(headers, end_headers, 1, answer_headers);
    for (std::size_t view = 0; view < views_; ++view) {
      for (std::size_t at = 0; at < message_.size(); at += largest_frame) {
        const std::string_view piece = std::string_view(message_).substr(at, largest_frame);
        while (stream_window_ < piece.size() || connection_window_ < piece.size()) {
          if (!read_window()) return;
        }
        stream_window_ -= piece.size();
        connection_window_ -= piece.size();
        sent += piece.size();
        connection_.write_frame(data, 0, 1, piece);
      }
    }
    connection_.read_to_end();
  }

 private:
  static constexpr std::size_t largest_frame = 16'384;

  bool read_window() {
    if (!connection_.read_until_frame(window_update)) return false;
    (connection_.stream() == 0 ? connection_window_ : stream_window_) += number_at(connection_.payload(), 0);
    return true;
  }

  RawConnection& connection_;
  const std::size_t views_;
  std::string message_;
  std::size_t stream_window_ = stream_window;
  std::size_t connection_window_ = connection_window;
};

// With a window that opens when bytes come, tens of megabytes wait.
TEST_CASE("h2: of views that come faster than they are decoded no more than a window waits") {
  constexpr std::size_t views = 150;  // 30 MB
  std::atomic<std::size_t> sent{0};
  RawPeer peer(Form::ipv4, [&](RawConnection& connection) { Flood(connection, views).run(sent); });
  TestClient client(h2, {peer.address()});
  core::WatchId id{};
  std::size_t told = 0;
  std::size_t most_waiting = 0;
  client.on_anything = [&] {
    most_waiting = std::max(most_waiting, sent - told * Flood::view_size());
    ++told;
    client.views.at(id).clear();
  };
  id = client.watch(peer.address());
  REQUIRE(client.run_until([&] { return told == views; }, 60s));
  // And the one that is decoded.
  CHECK(most_waiting <= stream_window + Flood::view_size());
}

TEST_CASE("h2: while views flood in, calls on the same connection are answered") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    connection.write_frame(settings, 0, 0);
    if (!connection.read_until_frame(data)) return;
    connection.write_frame(headers, end_headers, 1, answer_headers);
    connection.write_frame(settings, ack, 0);
    // A window of views that are empty: as many as there can be.
    const std::string frame(16'384 / 5 * 5, '\0');
    for (std::size_t left = stream_window; left >= frame.size(); left -= frame.size())
      connection.write_frame(data, 0, 1, frame);
    if (connection.read_until_frame(data)) answer_ok(connection, connection.stream());
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  core::WatchId id{};
  std::size_t views = 0;
  client.on_anything = [&] {
    views += client.views.at(id).size();
    client.views.at(id).clear();
  };
  id = client.watch(peer.address());
  REQUIRE(client.run_until([&] { return views > 0; }));
  CHECK(client.call(peer.address()).status == 0);
}

TEST_CASE("h2: a topology stream that ends amid a message ends with INTERNAL, behind its views") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    (void)take_request(connection);
    connection.write_frame(headers, end_headers, 1, answer_headers);
    connection.write_frame(data, 0, 1, std::string("\0\0\0\0\2\x08\x07\0\0\0\0\2\x08", 13));
    connection.write_frame(headers, end_headers | end_stream, 1, header_block({{"grpc-status", "0"}}));
    connection.read_to_end();
  });
  TestClient client(h2, {peer.address()});
  const core::WatchId id = client.watch(peer.address());
  CHECK(client.end_of(id).status == internal);
  REQUIRE(client.views.at(id).size() == 1);
  CHECK(client.views.at(id).front().epoch == 7);
}

TEST_CASE("h2: a PING that stays unanswered ends the connection, and one that is answered does not") {
  const bool answers = GENERATE(false, true);
  RawPeer peer(Form::ipv4, [answers](RawConnection& connection) {
    (void)take_request(connection);
    for (int pings = 0; connection.read_until_frame(ping); ++pings) {
      if (answers) connection.write_frame(ping, ack, 0, connection.payload());
      if (pings == 5) answer_ok(connection, 1);
    }
  });
  TestClient client(h2, {peer.address()}, {.keepalive = 20ms, .keepalive_timeout = 200ms});
  const core::Reply reply = client.call(peer.address());
  CHECK(reply.status == (answers ? 0 : unavailable));
  if (!answers) CHECK(reply.sent == Sent::unknown);
}

TEST_CASE("h2: in the pause after a failed attempt calls fail at once, with its reason, and nothing is dialled") {
  RawPeer peer(Form::ipv4, [](RawConnection&) {});
  TestClient client(h2, {peer.address()}, {.reconnect = {.base = 60s, .cap = 60s}});
  REQUIRE(client.call(peer.address()).sent == Sent::not_sent);
  for (int i = 0; i < 10; ++i) {
    const core::Reply reply = client.call(peer.address());
    CHECK(reply.status == unavailable);
    CHECK(reply.message.find(peer.address()) != std::string::npos);
  }
  CHECK(peer.accepted() == 1);
}

// Without MSG_NOSIGNAL the process would be gone.
TEST_CASE("h2: a peer that resets the connection amid our writing raises no signal") {
  struct sigaction before {};
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  sigaction(SIGPIPE, &standard, &before);
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    connection.write_frame(settings, 0, 0);
    connection.read_until_frame(headers);
    connection.write_frame(8, 0, 0, number(0x7fff0000 - 65535));  // room for everything
    connection.write_frame(8, 0, 1, number(0x7fff0000 - 65535));
    connection.reset();
  });
  for (int round = 0; round < 20; ++round) {
    TestClient client(h2, {peer.address()}, {.reconnect = {.base = 1ms, .cap = 1ms}});
    const core::CallId id = client.start(peer.address(), {.body = std::string(20'000'000, 'x')});
    CHECK(client.reply_of(id).status == unavailable);
  }
  sigaction(SIGPIPE, &before, nullptr);
}

TEST_CASE("h2: a transport closes during a look-up, whenever that comes home") {
  for (int turns = 0; turns < 20; ++turns) {
    TestClient client(h2, {"localhost:1", "no-such-name.invalid:1"});
    client.start("localhost:1");
    client.start("no-such-name.invalid:1");
    for (int turn = 0; turn < turns; ++turn) client.turn();
    client.close();
  }
}

TEST_CASE("h2: a transport closes during a TLS handshake") {
  RawPeer mute(Form::ipv4, [](RawConnection& connection) { connection.read_to_end(); });
  for (int turns = 0; turns < 20; ++turns) {
    TestClient client(h2, {mute.address()}, {}, core::TlsMaterial{.ca = certificates().ca});
    client.start(mute.address());
    client.watch(mute.address());
    for (int turn = 0; turn < turns; ++turn) client.turn();
    client.close();
  }
}

TEST_CASE("h2: a transport closes with a request that is half written") {
  RawPeer peer(Form::ipv4, [](RawConnection& connection) {
    connection.write_frame(settings, 0, 0, std::string("\0\4", 2) + number(0x7fffffff));
    connection.write_frame(8, 0, 0, number(0x7fffffff - 65535));
    connection.read_until_frame(headers);
    while (connection.read_until_frame(rst_stream)) {
    }
  });
  for (int turns = 0; turns < 20; ++turns) {
    TestClient client(h2, {peer.address()});
    client.start(peer.address(), {.body = std::string(30'000'000, 'x')});
    for (int turn = 0; turn < turns; ++turn) client.turn();
    client.close();
  }
}

TEST_CASE("h2: a name that no operation needs is not looked up, so that the loop is free to end") {
  TestClient client(h2, {"localhost:1"}, {.reconnect = {.base = 1ms, .cap = 1ms}});
  const core::WatchId stream = client.watch("localhost:1");
  for (int i = 0; i < 100; ++i) client.turn();
  CHECK_FALSE(client.ended(stream));
  // A call is reason enough, and serves the stream too.
  CHECK(client.call("localhost:1").status == unavailable);
  CHECK(client.end_of(stream).status == unavailable);
}

TEST_CASE("h2: of a name's addresses the next one is tried when one refuses, and the failure says why") {
  RawPeer peer(Form::ipv4, answer_all);
  const std::string port = peer.address().substr(peer.address().rfind(':'));
  const std::string one_good = std::string(two_addresses) + port;
  const std::string none_good = std::string(two_addresses) + ":1";  // nobody listens at port 1
  TestClient client(h2, {one_good, none_good});
  CHECK(client.call(one_good).status == 0);
  CHECK(peer.accepted() == 1);
  const core::Reply refused = client.call(none_good);
  CHECK(refused.status == unavailable);
  CHECK(refused.sent == Sent::not_sent);
  INFO(refused.message);
  CHECK(refused.message.find("refused") != std::string::npos);
}

TEST_CASE("h2: the text about a server's certificate names OpenSSL's code") {
  const ServerTls tls{certificates().expired_server.certificate, certificates().expired_server.key};
  ScriptedServer server(always({}), "127.0.0.1:0", tls);
  TestClient client(h2, {server.address()}, {}, core::TlsMaterial{.ca = certificates().ca});
  const std::string text = client.call(server.address()).message;
  INFO(text);
  CHECK(text.find("10, certificate has expired") != std::string::npos);
}

TEST_CASE("h2: large values in many streams at once arrive whole, both ways") {
  ScriptedServer server([](ServerCall& call) { call.answer({.body = call.request()}); });
  TestClient client(h2, {server.address()});
  std::vector<core::CallId> calls;
  const auto body = [](int i) {
    return std::string(1024 * 1024 + static_cast<std::size_t>(i), static_cast<char>('a' + i));
  };
  for (int i = 0; i < 20; ++i) calls.push_back(client.start(server.address(), {.body = body(i), .timeout = 60s}));
  for (int i = 0; i < 20; ++i) CHECK((client.reply_of(calls[static_cast<std::size_t>(i)]).body == body(i)));
}

}  // namespace
}  // namespace norikv::test
