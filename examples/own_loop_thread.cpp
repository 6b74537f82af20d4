// A program without an event loop: the client brings its own loop and thread.
//
// Any thread may call the client. Callbacks run on the client's thread, so a result travels back to whoever waits for
// it, here through a future. Never wait inside a callback: it would stop the loop that is to bring the answer.
#include <future>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

using Stored = norikv::Result<norikv::Written>;
using Found = norikv::Result<std::optional<norikv::Entry>>;

Stored put(norikv::Client& client, const std::string& key, const std::string& value) {
  std::promise<Stored> promise;
  auto answer = promise.get_future();
  client.put(key, value,
             [promise = std::move(promise)](Stored stored) mutable { promise.set_value(std::move(stored)); });
  return answer.get();
}

Found get(norikv::Client& client, const std::string& key) {
  std::promise<Found> promise;
  auto answer = promise.get_future();
  client.get(key, [promise = std::move(promise)](Found found) mutable { promise.set_value(std::move(found)); });
  return answer.get();
}

int main() {
  auto cluster = norikv::testing::Cluster::start();
  if (!cluster) return std::cerr << cluster.error().describe() << '\n', 1;
  auto client = norikv::Client::create(cluster->client_options());
  if (!client) return std::cerr << client.error().describe() << '\n', 1;

  std::vector<std::jthread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&client, key = "worker:" + std::to_string(worker)] {
      if (auto stored = put(*client, key, "done"); !stored) std::cerr << stored.error().describe() << '\n';
    });
  }
  workers.clear();  // waits for all of them

  for (int worker = 0; worker < 4; ++worker) {
    const std::string key = "worker:" + std::to_string(worker);
    const Found found = get(*client, key);
    std::cout << key << ' ' << (found && *found ? (*found)->value : "is missing") << '\n';
  }
}  // the client's destructor closes it and waits for its thread
