#include <array>
#include <atomic>
#include <vector>

#include "guest.hpp"
#include "loop/mailbox.hpp"
#include "seams.hpp"

using namespace norikv::test;
using norikv::loop::EventLoop;
using norikv::loop::Mailbox;
using norikv::loop::Task;

namespace {

constexpr auto per_turn = static_cast<int>(EventLoop::tasks_per_turn);

std::vector<int> numbers(int count) {
  std::vector<int> all;
  for (int i = 0; i < count; ++i) all.push_back(i);
  return all;
}

}  // namespace

TEST_CASE("Tasks of one thread run in the order in which it posted them", "[order]") {
  constexpr int threads = 4, each = 5000;
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::array<std::vector<int>, threads> ran;
  std::vector<std::thread> producers;
  std::atomic<int> refused = 0;
  for (int t = 0; t < threads; ++t) {
    producers.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        if (!guest->post([&ran, t, i] { ran[static_cast<std::size_t>(t)].push_back(i); })) ++refused;
      }
    });
  }
  CHECK(host.run_until([&] {
    std::size_t sum = 0;
    for (const auto& list : ran) sum += list.size();
    return sum == threads * each;
  }));
  for (auto& producer : producers) producer.join();
  for (const auto& list : ran) CHECK(list == numbers(each));
  CHECK(refused == 0);
}

TEST_CASE("Posts that are ordered between threads run in that order", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  constexpr int rounds = 1000;
  std::vector<int> ran;
  std::atomic<int> turn = 0;
  const auto post_every_second = [&](int first) {
    for (int i = first; i < rounds; i += 2) {
      while (turn != i) std::this_thread::yield();
      static_cast<void>(guest->post([&ran, i] { ran.push_back(i); }));
      turn = i + 1;
    }
  };
  std::thread even([&] { post_every_second(0); });
  std::thread odd([&] { post_every_second(1); });
  CHECK(host.run_until([&] { return ran.size() == rounds; }));
  even.join();
  odd.join();
  CHECK(ran == numbers(rounds));
}

TEST_CASE("A batch costs one wake and one turn, however many threads posted it", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  int ran = 0;
  const int before = seams::async_sends;
  for (int i = 0; i < 50; ++i) guest.post_from_elsewhere([&] { ++ran; });
  for (int i = 0; i < 50; ++i) guest.post([&] { ++ran; });
  guest->wake();
  CHECK(seams::async_sends - before == 1);
  CHECK(host.run_until_idle());
  CHECK(ran == 100);
  CHECK(guest.turns == 1);
  CHECK(seams::async_sends - before == 1);
}

TEST_CASE("After a turn the next post wakes again", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  const int before = seams::async_sends;
  for (int i = 0; i < 3; ++i) {
    bool ran = false;
    guest.post_from_elsewhere([&] { ran = true; });
    CHECK(host.run_until([&] { return ran; }));
  }
  CHECK(seams::async_sends - before == 3);
}

TEST_CASE("A wake from another thread is a turn without tasks", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::thread([&] {
    guest->wake();
    guest->wake();
  }).join();
  CHECK(host.run_until([&] { return guest.turns > 0; }));
  uv_run(host.loop(), UV_RUN_NOWAIT);
  CHECK(guest.turns == 1);
}

TEST_CASE("A turn may ask for another one", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  guest.in_turn = [&] {
    if (guest.turns < 3) guest->wake();
  };
  guest->wake();
  CHECK(host.run_until([&] { return guest.turns == 3; }));
}

TEST_CASE("A turn runs a bounded number of tasks, and the rest before what was posted later", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::vector<int> ran;
  std::vector<std::size_t> ran_by_turn;
  guest.in_turn = [&] { ran_by_turn.push_back(ran.size()); };
  guest.post([&] {
    ran.push_back(0);
    guest.post([&] { ran.push_back(2 * per_turn + 10); });
  });
  for (int i = 1; i < 2 * per_turn + 10; ++i) guest.post([&ran, i] { ran.push_back(i); });
  CHECK(host.run_until_idle());
  CHECK(ran == numbers(2 * per_turn + 11));
  CHECK(ran_by_turn == std::vector<std::size_t>{256, 512, 522, 523});
}

TEST_CASE("A long task leaves those behind it to the next turn", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::vector<int> ran;
  std::vector<std::size_t> ran_by_turn;
  guest.in_turn = [&] { ran_by_turn.push_back(ran.size()); };
  for (int i = 0; i < 6; ++i) {
    guest.post([&, i] {
      ran.push_back(i);
      if (i % 2 == 1) guest->leave_rest();
    });
  }
  CHECK(host.run_until_idle());
  CHECK(ran == numbers(6));
  CHECK(ran_by_turn == std::vector<std::size_t>{2, 4, 6});
}

TEST_CASE("A timer of the host fires between the turns of a long batch", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  struct Seen {
    int ran = 0;
    int ran_when_fired = -1;
  } seen;
  uv_timer_t timer;
  timer.data = &seen;
  uv_timer_init(host.loop(), &timer);
  guest.post([&] {
    const auto fired = [](uv_timer_t* self) {
      auto& shared = *static_cast<Seen*>(self->data);
      shared.ran_when_fired = shared.ran;
    };
    uv_timer_start(&timer, fired, 0, 0);
  });
  for (int i = 0; i < 10 * per_turn; ++i) guest.post([&] { ++seen.ran; });
  CHECK(host.run_until_idle());
  CHECK(seen.ran == 10 * per_turn);
  CHECK(seen.ran_when_fired > 0);
  CHECK(seen.ran_when_fired <= 2 * per_turn);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
}

TEST_CASE("A task that posts itself for ever does not keep its turn from ending", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  bool stop = false;
  std::function<void()> again = [&] {
    if (!stop) guest.post([&] { again(); });
  };
  again();
  CHECK(host.run_until([&] { return guest.turns == 10; }));
  stop = true;
  CHECK(host.run_until_idle());
}

// --- when a thing may be done at once instead of being posted ---

TEST_CASE("Nothing starts directly before the first turn", "[order]") {
  LoopFixture host;
  Guest guest(host);
  CHECK_FALSE(guest->on_loop_thread());
  CHECK_FALSE(guest->may_start_directly());
}

TEST_CASE("An idle loop lets its own thread start directly, and no other", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  CHECK(guest->may_start_directly());
  bool elsewhere = true, elsewhere_on_loop = true;
  std::thread([&] {
    elsewhere = guest->may_start_directly();
    elsewhere_on_loop = guest->on_loop_thread();
  }).join();
  CHECK_FALSE(elsewhere);
  CHECK_FALSE(elsewhere_on_loop);
}

TEST_CASE("The loop's thread does not overtake what another thread posted before", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  bool first_ran = false;
  guest.post_from_elsewhere([&] { first_ran = true; });
  CHECK_FALSE(guest->may_start_directly());
  CHECK(host.run_until([&] { return first_ran; }));
  CHECK(guest->may_start_directly());
}

TEST_CASE("A task does not overtake the rest of its batch", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::vector<bool> direct;
  const auto ask = [&] { direct.push_back(guest->may_start_directly()); };
  guest.post(ask);
  guest.post_from_elsewhere(ask);
  guest.post(ask);
  CHECK(host.run_until_idle());
  CHECK(direct == std::vector<bool>{false, false, true});
}

TEST_CASE("A task does not overtake what is posted while it runs", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  bool before = false, after = true;
  guest.post([&] {
    before = guest->may_start_directly();
    guest.post_from_elsewhere([] {});
    after = guest->may_start_directly();
  });
  CHECK(host.run_until_idle());
  CHECK(before);
  CHECK_FALSE(after);
}

TEST_CASE("Nothing starts directly between the turns of a long batch", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  std::vector<bool> direct;
  guest.in_turn = [&] { direct.push_back(guest->may_start_directly()); };
  for (int i = 0; i < per_turn + 1; ++i) guest.post([] {});
  CHECK(host.run_until([&] { return guest.turns == 1; }));
  CHECK_FALSE(guest->may_start_directly());
  CHECK(host.run_until_idle());
  CHECK(direct == std::vector<bool>{false, true});
}

TEST_CASE("A loop that goes on in another thread belongs to that thread from its first turn there", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  bool there = false;
  std::thread([&] {
    guest->wake();
    static_cast<void>(host.run_until([&] { return guest.turns > 0; }));
    there = guest->on_loop_thread();
  }).join();
  CHECK(there);
  CHECK_FALSE(guest->on_loop_thread());
}

// --- memory ---

TEST_CASE("Posting and running tasks allocates nothing once the mailbox has its size", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle()->hold(true);
  int ran = 0;
  const auto round = [&] {
    for (int i = 0; i < 1000; ++i) static_cast<void>(guest->post([&ran] { ++ran; }));
    const int end = ran + 1000;
    while (ran < end) uv_run(host.loop(), UV_RUN_NOWAIT);
  };
  round();
  round();
  const std::size_t before = seams::allocations;
  for (int i = 0; i < 10; ++i) round();
  CHECK(seams::allocations == before);
}

TEST_CASE("What a flood needed is given back", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  const auto more_than_before = [before = seams::bytes_allocated.load()] {
    return static_cast<std::ptrdiff_t>(seams::bytes_allocated - before);
  };
  constexpr std::ptrdiff_t flood = 100'000, kept = 2 * Mailbox::kept_capacity;
  for (int i = 0; i < flood; ++i) guest.post([] {});
  CHECK(more_than_before() > flood * std::ptrdiff_t{sizeof(Task)});
  CHECK(host.run_until_idle());
  CHECK(more_than_before() <= kept * std::ptrdiff_t{sizeof(Task)});
}

TEST_CASE("A task is destroyed when it has run, before the next one", "[order]") {
  LoopFixture host;
  Guest guest(host);
  guest.settle();
  auto alive = std::make_shared<int>();
  const std::weak_ptr<int> watched = alive;
  bool gone = false;
  guest.post([alive = std::move(alive)] {});
  guest.post([&] { gone = watched.expired(); });
  CHECK(host.run_until_idle());
  CHECK(gone);
}
