#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "transport/h2/tunnel.hpp"

// Pure: which proxy is followed, and the talk with it.
namespace norikv::transport::h2 {
namespace {

using util::Address;

const Address node{Address::Kind::name, "Db7.Example.org", 7447};

std::string address_of(std::string_view uri, std::string_view exceptions = {}) {
  const ProxyChoice choice = choose_proxy(uri, exceptions, node);
  if (!choice) return choice.error();
  return *choice ? host_and_port((*choice)->address) : "none";
}

Tunnel::Result receive(Tunnel& tunnel, std::string bytes, std::string* rest = nullptr) {
  std::string_view input = bytes;
  const Tunnel::Result result = tunnel.receive(input);
  if (rest != nullptr) *rest = input;
  return result;
}

TEST_CASE("A proxy's URI may have a scheme, credentials, a path, and no port") {
  CHECK(address_of("") == "none");
  CHECK(address_of("http://proxy:3128") == "proxy:3128");
  CHECK(address_of("HTTP://proxy") == "proxy:80");
  CHECK(address_of("proxy:3128") == "proxy:3128");
  CHECK(address_of("http://me:a@b@10.0.0.9:3128/path?query") == "10.0.0.9:3128");
  CHECK(address_of("http://[::1]:3128") == "[::1]:3128");
  CHECK(address_of("http://[::1]") == "[::1]:80");
}

TEST_CASE("A proxy that can't be followed is an error without its credentials") {
  CHECK(address_of("https://proxy:3128").find("only http://") != std::string::npos);
  CHECK(address_of("socks5://me:secret@proxy").find("socks5://") != std::string::npos);
  for (const char* const uri :
       {"http://", "http://me:secret@", "http://me:secret@a b:1", "http://me:secret@proxy:port"}) {
    INFO(uri);
    CHECK(address_of(uri).find("names no host") != std::string::npos);
    CHECK(address_of(uri).find("secret") == std::string::npos);
  }
}

TEST_CASE("Hosts and domains that are named as exceptions have no proxy") {
  const auto excepted = [](std::string_view list) { return address_of("proxy:1", list) == "none"; };
  CHECK(excepted("*"));
  CHECK(excepted("db7.example.org"));
  CHECK(excepted("localhost, example.org"));
  CHECK(excepted("other,.EXAMPLE.ORG"));
  CHECK_FALSE(excepted(""));
  CHECK_FALSE(excepted(",, ,"));
  CHECK_FALSE(excepted("ample.org"));
  CHECK_FALSE(excepted("www.example.org"));
}

TEST_CASE("A request for a tunnel names the node, and carries credentials if there are some") {
  const Proxy plain = **choose_proxy("http://proxy:1", {}, node);
  CHECK(Tunnel::request(plain, node) == "CONNECT Db7.Example.org:7447 HTTP/1.1\r\nHost: Db7.Example.org:7447\r\n\r\n");
  const Proxy secured = **choose_proxy("http://me:p%40ss@proxy:1", {}, node);
  const Address ipv6{Address::Kind::ipv6, "::1", 7447};
  CHECK(Tunnel::request(secured, ipv6) ==
        "CONNECT [::1]:7447 HTTP/1.1\r\nHost: [::1]:7447\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n");
}

TEST_CASE("A tunnel opens at the end of a success, wherever it is cut, and the rest is the node's") {
  const std::string answer = "HTTP/1.1 200 OK\r\nVia: x\r\n\r\n";
  for (std::size_t cut = 0; cut <= answer.size(); ++cut) {
    INFO(cut);
    Tunnel tunnel;
    std::string rest;
    const Tunnel::Result first = receive(tunnel, answer.substr(0, cut), &rest);
    CHECK(rest.empty());
    if (cut == answer.size()) {
      CHECK(first == Tunnel::Result::open);
      continue;
    }
    CHECK(first == Tunnel::Result::more);
    CHECK(receive(tunnel, answer.substr(cut) + "node", &rest) == Tunnel::Result::open);
    CHECK(rest == "node");
  }
}

TEST_CASE("A proxy that refuses, speaks something else or has no end is told apart") {
  Tunnel refusing, other, endless;
  CHECK(receive(refusing, "HTTP/1.1 403 For\x01idden\r\n\r\n") == Tunnel::Result::refused);
  CHECK(refusing.error() == "it answered \"HTTP/1.1 403 For idden\"");
  CHECK(receive(other, "SSH-2.0-x\r\n\r\n") == Tunnel::Result::refused);
  CHECK(other.error() == "it does not speak HTTP/1: \"SSH-2.0-x\"");
  CHECK(receive(endless, std::string(16 * 1024 - 1, 'x')) == Tunnel::Result::more);
  CHECK(receive(endless, "xx") == Tunnel::Result::refused);
  CHECK(endless.error() == "its answer to CONNECT has no end");
}

}  // namespace
}  // namespace norikv::transport::h2
