// What a client makes of a cluster in trouble: scripted answers, a broken connection, a slow line. docs/testing.md
// explains the calls.
#include <future>
#include <iostream>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>
#include <norikv/testing/proxy.hpp>

using namespace norikv::testing;
using namespace std::chrono_literals;

std::string read(norikv::Client& client) {
  std::promise<std::string> value;
  client.get("key", [&](norikv::Result<std::optional<norikv::Entry>> found) {
    value.set_value(found && *found ? (*found)->value : "nothing");
  });
  return value.get_future().get();
}

void scripted() {
  Cluster cluster = Cluster::start({.profile = Profile::replicated}).value();
  cluster.seed("key", "value");
  auto client = norikv::Client::create(cluster.client_options()).value();
  const Fault first = cluster.reply_with(replies::not_leader(), {.method = Method::get, .times = 2});
  const Fault then = cluster.reply_with(replies::throttled(20ms), {.method = Method::get, .times = 1});
  std::cout << read(client) << " after " << first.hits() + then.hits() << " refusals\n";

  const Fault broken = cluster.drop_connection(Moment::before_applied, {.times = 1});
  std::cout << read(client) << " after " << broken.hits() << " broken connection\n";
}

void over_a_slow_line() {
  Cluster cluster = Cluster::start({.profile = Profile::replicated}).value();
  cluster.seed("key", "value");
  Proxy proxy = Proxy::start(cluster.addresses()[0]).value();
  norikv::ClientOptions options = cluster.client_options();
  options.nodes = {proxy.address()};
  auto client = norikv::Client::create(options).value();
  const Fault slow = proxy.delay(20ms);
  std::cout << read(client) << " over a slow line\n";
}

void guarded() {
  Cluster cluster = Cluster::start({.tokens = RequiredTokens{.accepted = {"secret"}}}).value();
  norikv::ClientOptions options = cluster.client_options();
  options.tokens.source = [](norikv::TokenReason, norikv::TokenReply reply) { reply.succeed({.text = "secret"}); };
  options.tokens.allow_plaintext = true;  // nothing leaves this machine
  cluster.seed("key", "value");
  auto client = norikv::Client::create(options).value();
  std::cout << read(client) << " with a token\n";
}

int main() {
  scripted();
  guarded();
  over_a_slow_line();
}
