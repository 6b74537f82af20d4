// The proxy between plain sockets, and between a stub and a node.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <future>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <norikv/testing/proxy.hpp>

#include "support/catch.hpp"
#include "support/resources.hpp"
#include "testing/cluster_stub.hpp"

using namespace cluster_tests;
using norikv::test::descriptors;

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

/// One end of a TCP connection.
class Peer {
 public:
  explicit Peer(int socket) : socket_(socket) {}
  explicit Peer(const std::string& address) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in target = loopback(port_of(address));
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0;
  }
  Peer(Peer&& other) noexcept : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_) {}
  ~Peer() { close(); }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  void send_end() const { ::shutdown(socket_, SHUT_WR); }

  [[nodiscard]] bool connected() const { return connected_; }
  bool send(const std::string& bytes) const {
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  /// What comes up to so many bytes, the end of the connection or the limit. `error`: 0 = an end in order.
  std::string read(std::size_t count, Duration limit = 10s, int* error = nullptr) const {
    std::string bytes;
    const auto end = Clock::now() + limit;
    while (bytes.size() < count) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
      pollfd waiting{socket_, POLLIN, 0};
      if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) break;
      char part[4096];
      const ssize_t got = ::recv(socket_, part, std::min(sizeof part, count - bytes.size()), 0);
      if (error != nullptr) *error = got < 0 ? errno : 0;
      if (got <= 0) break;
      bytes.append(part, static_cast<std::size_t>(got));
    }
    return bytes;
  }

 private:
  int socket_;
  bool connected_ = true;
};

/// A server's port.
class Server {
 public:
  Server() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    REQUIRE(::listen(socket_, 64) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~Server() { ::close(socket_); }
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] Peer accept() const { return Peer(::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  int socket_;
  std::string address_;
};

/// A client and a server with a proxy in between.
struct Pair {
  Server listener;
  Proxy proxy = Proxy::start(listener.address()).value();
  Peer client{proxy.address()};
  Peer server = listener.accept();
};

}  // namespace

TEST_CASE("A proxy passes bytes on in both directions and counts them") {
  Pair on;
  REQUIRE(on.client.send("hello"));
  CHECK(on.server.read(5) == "hello");
  REQUIRE(on.server.send("hi"));
  CHECK(on.client.read(2) == "hi");
  const Proxy::Counters counters = on.proxy.counters();
  CHECK(counters.connections == 1);
  CHECK(counters.open == 1);
  CHECK(counters.to_server == 5);
  CHECK(counters.to_client == 2);
}

TEST_CASE("A proxy passes megabytes on whole, to a reader that takes its time") {
  Pair on;
  std::string sent(5'000'000, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 7 + i / 251);
  auto sender = std::async(std::launch::async, [&] { return on.client.send(sent); });
  // It stops where its buffers and the kernel's are full.
  REQUIRE(eventually([&] { return on.proxy.counters().to_server > 0; }));
  CHECK(on.server.read(sent.size()) == sent);
  CHECK(sender.get());
}

TEST_CASE("A proxy passes the end of one direction on and keeps the other open") {
  Pair on;
  REQUIRE(on.client.send("bye"));
  on.client.send_end();
  int error = -1;
  CHECK(on.server.read(100, 10s, &error) == "bye");
  CHECK(error == 0);
  REQUIRE(on.server.send("still here"));
  CHECK(on.client.read(10) == "still here");
  on.server.close();
  CHECK(on.client.read(1, 10s, &error).empty());
  CHECK(error == 0);
  CHECK(eventually([&] { return on.proxy.counters().open == 0; }));
}

TEST_CASE("A proxy is started in front of an address of 127.0.0.1 and no other") {
  for (const char* address : {"", "127.0.0.1", "localhost:7447", "10.0.0.1:7447", "unix:/tmp/x", "[::1]:7447"}) {
    const auto proxy = Proxy::start(address);
    REQUIRE_FALSE(proxy);
    CHECK(proxy.error().code == ErrorCode::invalid_argument);
  }
}

TEST_CASE("A proxy takes the port it was told, and says if it is taken") {
  Server server;
  const auto first = Proxy::start(server.address());
  const auto second = Proxy::start(server.address(), port_of(first->address()));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::unavailable);
}

TEST_CASE("A proxy resets a connection to a server that is not there") {
  std::string address;
  {
    Server gone;
    address = gone.address();
  }
  Proxy proxy = Proxy::start(address).value();
  Peer client(proxy.address());
  int error = 0;
  CHECK(client.read(1, 10s, &error).empty());
  CHECK(error == ECONNRESET);
  CHECK(proxy.counters().unreachable == 1);
}

TEST_CASE("Connections are cut with a reset, or in order, on both sides") {
  Pair on;
  REQUIRE(on.client.send("x"));
  REQUIRE(on.server.read(1) == "x");
  const Ending ending = GENERATE(Ending::rst, Ending::fin);
  on.proxy.cut(ending);
  int client_error = -1;
  int server_error = -1;
  CHECK(on.client.read(1, 10s, &client_error).empty());
  CHECK(on.server.read(1, 10s, &server_error).empty());
  CHECK(client_error == (ending == Ending::rst ? ECONNRESET : 0));
  CHECK(server_error == (ending == Ending::rst ? ECONNRESET : 0));
  CHECK(on.proxy.counters().cut == 1);
  CHECK(on.proxy.counters().open == 0);
  CHECK(Peer(on.proxy.address()).connected());
}

TEST_CASE("A connection is cut after exactly so many bytes of one direction") {
  Pair on;
  REQUIRE(on.client.send("before"));
  REQUIRE(on.server.read(6) == "before");
  const Fault fault = on.proxy.cut_after(4, Direction::to_server, Ending::fin);
  REQUIRE(on.server.send("the other direction"));
  REQUIRE(on.client.read(19) == "the other direction");
  REQUIRE(on.client.send("123456"));
  CHECK(on.server.read(100) == "1234");
  CHECK(fault.hits() == 1);

  Peer next(on.proxy.address());
  const Peer accepted = on.listener.accept();
  REQUIRE(next.send("1234"));
  CHECK(accepted.read(100) == "1234");
  CHECK(fault.hits() == 2);
}

TEST_CASE("A healed cut lets the connections live") {
  Pair on;
  Fault fault = on.proxy.cut_after(4, Direction::to_server);
  REQUIRE(on.client.send("123"));
  REQUIRE(on.server.read(3) == "123");
  fault.heal();
  REQUIRE(on.client.send("456"));
  CHECK(on.server.read(3) == "456");
  CHECK(fault.hits() == 0);
}

TEST_CASE("Delayed bytes take their time") {
  Pair on;
  const Fault fault = on.proxy.delay(200ms);
  const auto start = Clock::now();
  REQUIRE(on.client.send("x"));
  CHECK(on.server.read(1) == "x");
  CHECK(Clock::now() - start >= 200ms);  // Real time: it is what is tested.
}

TEST_CASE("Throttled bytes pass at their rate") {
  Pair on;
  const Fault fault = on.proxy.throttle(10'000);
  const auto start = Clock::now();
  REQUIRE(on.client.send(std::string(3000, 'x')));
  CHECK(on.server.read(3000).size() == 3000);
  CHECK(Clock::now() - start >= 250ms);  // Real time: it is what is tested.
}

TEST_CASE("A proxy that holds accepts and is silent, and passes everything on afterwards") {
  Pair on;
  Fault fault = on.proxy.hold();
  REQUIRE(on.client.send("held"));
  Peer next(on.proxy.address());
  CHECK(next.connected());
  CHECK(on.server.read(1, 50ms).empty());
  CHECK(on.proxy.counters().to_server == 0);
  fault.heal();
  CHECK(on.server.read(4) == "held");
}

TEST_CASE("A proxy that refuses keeps what is open, and accepts again when it heals") {
  Pair on;
  Fault fault = on.proxy.refuse();
  CHECK_FALSE(Peer(on.proxy.address()).connected());
  REQUIRE(on.client.send("x"));
  CHECK(on.server.read(1) == "x");
  {
    const Fault second = on.proxy.refuse();
    fault.heal();
    CHECK_FALSE(Peer(on.proxy.address()).connected());
  }
  CHECK(Peer(on.proxy.address()).connected());
}

TEST_CASE("A proxy's faults may outlive it") {
  auto on = std::make_unique<Pair>();
  Fault held = on->proxy.hold();
  Fault cut = on->proxy.cut_after(1, Direction::to_client);
  on.reset();
  held.heal();
  CHECK(cut.hits() == 0);
}

TEST_CASE("A proxy that ends closes its connections and its port, and leaves no descriptor") {
  Server server;
  { const Proxy warm_up = Proxy::start(server.address()).value(); }
  const std::ptrdiff_t before = descriptors();
  std::string address;
  for (int i = 0; i < 20; ++i) {
    auto proxy = std::make_unique<Proxy>(Proxy::start(server.address()).value());
    address = proxy->address();
    std::vector<Peer> peers;
    for (int each = 0; each < 5; ++each) {
      peers.emplace_back(address);
      peers.push_back(server.accept());
    }
    REQUIRE(peers[0].send("x"));
    REQUIRE(peers[1].read(1) == "x");
    proxy->cut(Ending::fin);
    proxy.reset();
    CHECK(peers[0].read(1).empty());
  }
  CHECK_FALSE(Peer(address).connected());
  CHECK(descriptors() == before);
}

TEST_CASE("A node behind a proxy answers, and its client meets what the proxy does") {
  Fixture on(instant());
  Proxy proxy = Proxy::start(on.cluster.addresses()[0]).value();
  Stub stub(proxy.address());
  REQUIRE(stub.put("key", "v").ok());
  {
    const Fault held = proxy.hold();
    CHECK(stub.get("key", "", 50ms).code == grpc::DEADLINE_EXCEEDED);
  }
  CHECK(stub.get("key").body.value() == "v");
  proxy.cut(Ending::rst);
  CHECK(eventually([&] { return stub.get("key").ok(); }));
  {
    const Fault refused = proxy.refuse();
    proxy.cut(Ending::fin);
    CHECK(eventually([&] { return stub.get("key").code == grpc::UNAVAILABLE; }));
  }
  CHECK(eventually([&] { return stub.get("key").ok(); }));
}

TEST_CASE("A reply that is cut in its middle is no reply") {
  Fixture on(instant());
  on.cluster.seed("key", std::string(100'000, 'v'));
  Proxy proxy = Proxy::start(on.cluster.addresses()[0]).value();
  Stub stub(proxy.address());
  REQUIRE(stub.get("missing").ok());
  const Fault fault = proxy.cut_after(50'000, Direction::to_client);
  CHECK(stub.get("key").code == grpc::UNAVAILABLE);
  CHECK(fault.hits() == 1);
}
