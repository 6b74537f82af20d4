#include "transport/h2/dial_plan.hpp"

#include <chrono>
#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace norikv::transport::h2 {
namespace {

using namespace std::chrono_literals;

const TimePoint start = TimePoint{} + 1h;

// Addresses such as "6a": the family, and a letter in place of the rest.
std::vector<Endpoint> endpoints(std::string_view names) {
  std::vector<Endpoint> made;
  for (std::size_t at = 0; at < names.size(); at += 3) {
    Endpoint endpoint;
    endpoint.storage.ss_family = names[at] == '6' ? AF_INET6 : AF_INET;
    endpoint.size = static_cast<socklen_t>(names[at + 1]);
    made.push_back(endpoint);
  }
  return made;
}

std::string order_of(std::string_view found) {
  DialPlan plan;
  plan.assign(endpoints(found));
  std::string order;
  while (plan.has_next()) {
    const Endpoint& next = plan.take(start);
    order += order.empty() ? "" : " ";
    order += {next.storage.ss_family == AF_INET6 ? '6' : '4', static_cast<char>(next.size)};
  }
  return order;
}

TEST_CASE("Addresses of two families are dialled in turns, each family in the order of the look-up") {
  CHECK(order_of("") == "");
  CHECK(order_of("4a") == "4a");
  CHECK(order_of("4a 4b 4c") == "4a 4b 4c");
  CHECK(order_of("6a 6b 4c 4d") == "6a 4c 6b 4d");
  CHECK(order_of("6a 6b 6c 4d") == "6a 4d 6b 6c");
  CHECK(order_of("4a 6b 6c 6d 4e") == "4a 6b 4e 6c 6d");
  CHECK(order_of("6a 4b 6c 4d") == "6a 4b 6c 4d");
}

TEST_CASE("The next address is due a delay after the one before was dialled, until there is none") {
  DialPlan plan;
  CHECK(plan.empty());
  CHECK_FALSE(plan.next_at());
  plan.assign(endpoints("6a 4b 4c"));
  CHECK_FALSE(plan.empty());
  (void)plan.take(start);
  CHECK(plan.next_at() == start + 250ms);
  (void)plan.take(start + 40ms);  // the first one refused
  CHECK(plan.next_at() == start + 290ms);
  (void)plan.take(start + 290ms);
  CHECK_FALSE(plan.has_next());
  CHECK_FALSE(plan.next_at());
}

TEST_CASE("A plan that begins again dials the same addresses, and a new look-up replaces them") {
  DialPlan plan;
  plan.assign(endpoints("6a 4b"));
  (void)plan.take(start);
  plan.restart();
  CHECK(plan.take(start).size == 'a');
  CHECK(plan.take(start).size == 'b');
  plan.assign(endpoints("4c"));
  CHECK(plan.take(start).size == 'c');
  CHECK_FALSE(plan.has_next());
}

}  // namespace
}  // namespace norikv::transport::h2
