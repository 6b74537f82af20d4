#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/resources.hpp"
#include "transport/h2/h2_transport.hpp"
#include "transport/names.hpp"
#include "transport/raw_peer.hpp"
#include "transport/scripted_server.hpp"
#include "transport/test_client.hpp"

// A name with several addresses, some of which do not answer. The order and the times are `DialPlan`'s, which has tests
// of its own.
namespace norikv::test {
namespace {

using namespace std::chrono_literals;
using core::Sent;

constexpr int unavailable = 14;

const TransportKind h2{"h2", &transport::make_h2_transport};

/// An address that does not answer whoever dials it: it listens, and its queue of connections is full. That is Linux's
/// way with a queue that is full, and silence enough for the transport.
class SilentPeer {
 public:
  SilentPeer(const char* host, int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, host, &address_.sin_addr);
    if (bind(fd_, get(), sizeof address_) != 0 || listen(fd_, 0) != 0) throw std::runtime_error("It can't listen");
    socklen_t size = sizeof address_;
    getsockname(fd_, get(), &size);
    while (fill_a_place()) {
      if (fillers_.size() > 100) throw std::runtime_error("The queue has no end");
    }
  }
  ~SilentPeer() {
    for (const int filler : fillers_) close(filler);
    close(fd_);
  }
  SilentPeer(const SilentPeer&) = delete;
  SilentPeer& operator=(const SilentPeer&) = delete;

  [[nodiscard]] int port() const noexcept { return ntohs(address_.sin_port); }

  /// Answers: takes those out of the queue that are ours, then serves the one that comes next, and waits for its end.
  void serve(const RawPeer::Script& script) {
    const timeval patience{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (std::size_t i = 0; i < fillers_.size(); ++i) close(accept(fd_, nullptr, nullptr));
    const int fd = accept(fd_, nullptr, nullptr);
    if (fd < 0) return;
    RawConnection connection(fd);
    script(connection);
    close(fd);
  }

 private:
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&address_); }

  // False: there is none. Nobody on loopback waits a tenth of a second otherwise.
  bool fill_a_place() {
    const int filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    pollfd connected{filler, POLLOUT, 0};
    if (connect(filler, get(), sizeof address_) == 0 || poll(&connected, 1, 100) == 1) {
      fillers_.push_back(filler);
      return true;
    }
    close(filler);
    return false;
  }

  int fd_;
  sockaddr_in address_{};
  std::vector<int> fillers_;
};

int port_of(const RawPeer& peer) { return std::stoi(peer.address().substr(peer.address().rfind(':') + 1)); }

std::string named(int port) { return std::string(two_addresses) + ":" + std::to_string(port); }

// One address after the other, the call's time is over before the first address is given up.
TEST_CASE("h2: while one address of a name is silent the next one is dialled, and the node is reached there") {
  RawPeer peer(Form::ipv4, answer_all);
  const SilentPeer silent("127.0.0.2", port_of(peer));
  const std::string node = named(silent.port());
  TestClient client(h2, {node}, {.connect_timeout = 60s});
  const std::ptrdiff_t before = descriptors();
  CHECK(client.call(node, {.timeout = 5s}).status == 0);
  // The other attempt is given back: what is left is the connection, with both of its ends.
  CHECK(client.run_until([&] { return descriptors() == before + 2; }));
}

TEST_CASE("h2: while one address of a name is silent the node is reached at the next one with TLS too") {
  ScriptedServer server(always({}), "127.0.0.1:0",
                        ServerTls{certificates().server.certificate, certificates().server.key, {}});
  const SilentPeer silent("127.0.0.2", server.port());
  const std::string node = named(silent.port());
  TestClient client(h2, {node}, {.connect_timeout = 60s},
                    core::TlsMaterial{.ca = certificates().ca, .server_name = "localhost"});
  CHECK(client.call(node, {.timeout = 5s}).status == 0);
}

TEST_CASE("h2: while one address of a proxy is silent the node is reached through the next one") {
  RawPeer proxy(Form::ipv4, [](RawConnection& connection) {
    (void)connection.read_head();
    connection.write("HTTP/1.1 200 OK\r\n\r\n");
    answer_all(connection);
  });
  const SilentPeer silent("127.0.0.2", port_of(proxy));
  REQUIRE(setenv("http_proxy", ("http://" + named(silent.port())).c_str(), 1) == 0);
  {
    TestClient client(h2, {"node.example:7447"}, {.connect_timeout = 60s, .use_http_proxy = true});
    CHECK(client.call("node.example:7447", {.timeout = 5s}).status == 0);
  }
  unsetenv("http_proxy");
}

// This takes a second: it is when Linux dials for the second time.
TEST_CASE("h2: an address that is slow is not given up for one that somebody else is at") {
  RawPeer other(Form::ipv4, [](RawConnection&) {});  // hangs up
  SilentPeer slow("127.0.0.2", port_of(other));
  std::thread server([&] {
    for (int tries = 0; tries < 10'000 && other.finished() == 0; ++tries) std::this_thread::sleep_for(1ms);
    slow.serve(answer_all);
  });
  const std::string node = named(slow.port());
  {
    TestClient client(h2, {node}, {.connect_timeout = 60s});
    CHECK(client.call(node).status == 0);
    CHECK(other.accepted() == 1);
  }
  server.join();
}

TEST_CASE("h2: a name whose addresses are all silent fails after the connect timeout, and nothing was sent") {
  const SilentPeer second("127.0.0.1", 0);
  const SilentPeer first("127.0.0.2", second.port());
  const std::string node = named(first.port());
  TestClient client(h2, {node}, {.connect_timeout = 400ms, .reconnect = {.base = 60s, .cap = 60s}});
  const std::ptrdiff_t before = descriptors();
  const core::Reply reply = client.call(node);
  INFO(reply.message);
  CHECK(reply.status == unavailable);
  CHECK(reply.sent == Sent::not_sent);
  CHECK(reply.message.find("ConnectionOptions::connect_timeout (400 ms)") != std::string::npos);
  CHECK(descriptors() == before);
  // As after every failed attempt there is a pause.
  CHECK(client.call(node).message == reply.message);
}

TEST_CASE("h2: when the addresses of a name fail in different ways, the failure tells each of them") {
  RawPeer other(Form::ipv4, [](RawConnection&) {});  // hangs up
  const SilentPeer silent("127.0.0.2", port_of(other));
  const std::string node = named(silent.port());
  TestClient client(h2, {node}, {.connect_timeout = 400ms});
  const std::string text = client.call(node).message;
  INFO(text);
  CHECK(text.find("connect_timeout") != std::string::npos);
  CHECK(text.find("closed the new connection") != std::string::npos);
}

TEST_CASE("h2: a call that is taken back does not have the next address dialled") {
  RawPeer peer(Form::ipv4, answer_all);
  const SilentPeer silent("127.0.0.2", port_of(peer));
  const std::string node = named(silent.port());
  TestClient client(h2, {node}, {.connect_timeout = 60s});
  const std::ptrdiff_t before = descriptors();
  const core::CallId call = client.start(node);
  REQUIRE(client.run_until([&] { return descriptors() == before + 1; }));
  client.transport().cancel(call);
  // Real time: longer than the delay, in which nothing is to happen.
  (void)client.run_until([] { return false; }, 400ms);
  CHECK(peer.accepted() == 0);
  CHECK(client.replied(call));
  // And the next call goes on from there.
  CHECK(client.call(node).status == 0);
}

TEST_CASE("h2: a transport closes while two addresses are dialled, and gives both back") {
  const SilentPeer second("127.0.0.1", 0);
  const SilentPeer first("127.0.0.2", second.port());
  const std::string node = named(first.port());
  const std::ptrdiff_t before = descriptors();
  {
    TestClient client(h2, {node}, {.connect_timeout = 60s});
    const std::ptrdiff_t idle = descriptors();
    client.start(node);
    client.watch(node);
    REQUIRE(client.run_until([&] { return descriptors() == idle + 2; }));
    client.close();
  }
  CHECK(descriptors() == before);
}

TEST_CASE("h2: nodes that are let go while two addresses are dialled are given back") {
  const SilentPeer second("127.0.0.1", 0);
  const SilentPeer first("127.0.0.2", second.port());
  const std::string node = named(first.port());
  TestClient client(h2, {node}, {.connect_timeout = 60s});
  const std::ptrdiff_t before = descriptors();
  const core::CallId call = client.start(node);
  REQUIRE(client.run_until([&] { return descriptors() == before + 2; }));
  client.transport().retain({});
  client.transport().cancel(call);
  CHECK(client.run_until([&] { return descriptors() == before; }));
  CHECK(client.reply_of(call).sent == Sent::not_sent);
}

TEST_CASE("h2: addresses that are dialled do not hold the loop") {
  const SilentPeer second("127.0.0.1", 0);
  const SilentPeer first("127.0.0.2", second.port());
  const std::string node = named(first.port());
  TestClient client(h2, {node}, {.connect_timeout = 60s});
  const std::ptrdiff_t before = descriptors();
  client.start(node, {.timeout = 60s});
  REQUIRE(client.run_until([&] { return descriptors() == before + 2; }));
  CHECK(client.runs_out());
}

}  // namespace
}  // namespace norikv::test
