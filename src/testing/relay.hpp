#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <vector>

#include <poll.h>

#include <norikv/testing/proxy.hpp>

#include "testing/fault_book.hpp"
#include "testing/proxy_flow.hpp"

namespace norikv::testing {

/// Cuts each connection after so many bytes.
struct CutPlan {
  std::uint64_t bytes = 0;
  Direction direction{};
  Ending ending{};
  FaultBook::Hits hits;  ///< Names the plan, too.
};

/// The sockets of a proxy, and what is done to them. One thread; waits for nothing itself.
class Relay {
 public:
  Relay(std::uint16_t port, std::uint16_t server);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// False if the port is taken.
  [[nodiscard]] bool listen();
  void refuse();
  void accept();

  void cut_all(Ending ending);
  void add_cut(const CutPlan& plan);
  void remove_cut(const FaultBook::Hits& hits);

  void add_delay(Duration time) noexcept { conditions_.delay += time; }
  void remove_delay(Duration time) noexcept { conditions_.delay -= time; }
  void add_limit(std::uint64_t bytes_per_second);
  void remove_limit(std::uint64_t bytes_per_second);
  void hold() noexcept { conditions_.held = ++holds_ > 0; }
  void release() noexcept { conditions_.held = --holds_ > 0; }

  [[nodiscard]] Proxy::Counters counters() const;

  /// Appends what to wait for, and returns until when at most.
  TimePoint prepare(std::vector<pollfd>& waiting, TimePoint now);
  /// Does what can be done after a wait for what `prepare` appended at `first`.
  void turn(const pollfd* first, TimePoint now);

 private:
  struct Side;
  struct Connection;

  void take_connections();
  void on_events(Connection& connection, const pollfd* events, TimePoint now);
  /// False if the connection broke.
  [[nodiscard]] bool read(Side& from, Flow& into, TimePoint now);
  [[nodiscard]] bool write(Connection& connection, Direction direction, TimePoint now);
  void pass_end(Side& from, Side& to, const Flow& flow);
  void end(Connection& connection, Ending ending);

  const std::uint16_t port_;
  const std::uint16_t server_;
  int listening_ = -1;
  int refusals_ = 0;
  int holds_ = 0;
  FlowConditions conditions_;
  std::multiset<std::uint64_t> limits_;
  std::vector<CutPlan> cuts_;
  std::list<Connection> connections_;
  std::size_t prepared_ = 0;  ///< Connections that `prepare` has seen; the first ones.
  Proxy::Counters counters_;
};

}  // namespace norikv::testing
