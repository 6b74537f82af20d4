// Places by their latitude and longitude, and the two that are nearest to where we are.
//
// The cluster here serves vectors. Today's server does not: there every call ends with not_supported, and says so.
#include <array>
#include <iostream>
#include <map>
#include <string>

#include <norikv/norikv.hpp>
#include <norikv/testing/cluster.hpp>

#include <uv.h>

using Position = std::array<float, 2>;

const std::map<std::string, Position> places = {
    {"Oslo", {59.9f, 10.8f}}, {"Bergen", {60.4f, 5.3f}}, {"Tromso", {69.6f, 19.0f}}, {"Trondheim", {63.4f, 10.4f}}};

class Search {
 public:
  explicit Search(norikv::Client& client) : client_(client), vectors_(client.vectors()) {}

  void start() {
    vectors_.create_index("places", {.dimensions = 2, .distance = norikv::Distance::euclidean}, [this](auto created) {
      if (!created) return fail(created.error());
      for (const auto& [name, position] : places) insert(name, position);
    });
  }

 private:
  void insert(const std::string& name, const Position& position) {
    vectors_.insert("places", name, position, [this](auto inserted) {
      if (!inserted) return fail(inserted.error());
      if (++inserted_ == places.size()) ask({62.0f, 9.0f});
    });
  }

  void ask(const Position& here) {
    vectors_.search("places", here, 2, [this](norikv::Result<norikv::VectorMatches> found) {
      if (!found) return fail(found.error());
      for (const norikv::VectorMatch& match : found->matches) std::cout << match.id << ' ' << match.distance << '\n';
      client_.close();
    });
  }

  void fail(const norikv::Error& error) { std::cerr << error.describe() << '\n', client_.close(); }

  norikv::Client& client_;
  norikv::Vectors vectors_;
  std::size_t inserted_ = 0;
};

int main() {
  auto cluster = norikv::testing::Cluster::start({.vectors = norikv::testing::VectorService::working});
  auto client = norikv::Client::create(uv_default_loop(), cluster->client_options());
  Search search{*client};
  search.start();
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
