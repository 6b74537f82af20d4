// What can go wrong, and how to tell what to do about it: `code` for programs, `describe()` for people, `maybe_applied`
// for writes whose outcome is unknown, `advice()` for whether to try again.
#include <future>
#include <iostream>
#include <string>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

using namespace std::chrono_literals;

// Runs one operation and waits for it; see own_loop_thread.cpp.
template <class T, class Submit>
norikv::Result<T> wait_for(Submit submit) {
  std::promise<norikv::Result<T>> promise;
  auto answer = promise.get_future();
  submit([promise = std::move(promise)](norikv::Result<T> result) mutable { promise.set_value(std::move(result)); });
  return answer.get();
}

void show(const char* what, const norikv::Error& error) {
  std::cout << what << "\n  " << error.describe() << "\n  advice: " << norikv::to_string(error.advice())
            << (error.maybe_applied ? ", after reading what the key has now\n" : "\n");
}

int main() {
  auto cluster = norikv::testing::Cluster::start();
  if (!cluster) return std::cerr << cluster.error().describe() << '\n', 1;

  const auto refused = norikv::Client::create({.nodes = {"localhost"}});
  show("an option that can't be right", refused.error());

  auto client = norikv::Client::create(cluster->client_options());
  if (!client) return std::cerr << client.error().describe() << '\n', 1;
  const auto put = [&](const std::string& key, norikv::PutOptions options) {
    return wait_for<norikv::Written>([&](auto done) { client->put(key, "v", options, std::move(done)); });
  };
  const auto get = [&] {
    return wait_for<std::optional<norikv::Entry>>([&](auto done) { client->get("key", std::move(done)); });
  };

  show("a key that is too long", put(std::string(2000, 'k'), {}).error());
  std::cout << "a key that is not there\n  no error: " << (get()->has_value() ? "an entry" : "a result without entry")
            << '\n';
  show("a condition on it", put("key", {.precondition = norikv::at({0, 1})}).error());

  cluster->freeze(0);  // accepts everything, answers nothing
  show("a write without an answer", put("key", {.timeout = 300ms}).error());
  cluster->thaw(0);
  cluster->stop(0);
  show("a node that is gone", put("another key", {.timeout = 300ms}).error());
}
