#include "testing/relay.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include "testing/sockets.hpp"

namespace norikv::testing {
namespace {

#ifdef MSG_NOSIGNAL
constexpr int no_signal = MSG_NOSIGNAL;
#else
constexpr int no_signal = 0;  // The socket has been told (sockets.cpp).
#endif

/// A connection that was ended in order waits so long for the other sides to do likewise: closing before would reset
/// it if they still send.
constexpr Duration linger = std::chrono::seconds{1};

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

struct Relay::Side {
  int socket = -1;
  bool at_end = false;    ///< It sends no more.
  bool told_end = false;  ///< We send it no more.
  bool blocked = false;   ///< It takes no more for now.

  void close() {
    if (socket >= 0) ::close(std::exchange(socket, -1));
  }
};

struct Relay::Connection {
  struct Cut {
    CutPlan plan;
    std::uint64_t left;
  };

  Side client;
  Side server;
  Flow to_server;
  Flow to_client;
  std::vector<Cut> cuts;
  bool connecting = true;
  std::optional<TimePoint> lingers_until;

  Connection(int accepted, int connected, const std::vector<CutPlan>& plans) {
    client.socket = accepted;
    server.socket = connected;
    for (const CutPlan& plan : plans) cuts.push_back({plan, plan.bytes});
  }
  ~Connection() {
    client.close();
    server.close();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] bool over() const noexcept { return client.socket < 0 && server.socket < 0; }
};

Relay::Relay(std::uint16_t port, std::uint16_t server) : port_(port), server_(server) {}

Relay::~Relay() {
  if (listening_ >= 0) ::close(listening_);
}

bool Relay::listen() {
  if (listening_ < 0 && refusals_ == 0) listening_ = sockets::listen(port_);
  return listening_ >= 0;
}

void Relay::refuse() {
  if (++refusals_ == 1 && listening_ >= 0) ::close(std::exchange(listening_, -1));
}

void Relay::accept() {
  // Nobody else can have taken the port: it is reserved.
  if (--refusals_ == 0) (void)listen();
}

void Relay::cut_all(Ending ending) {
  for (Connection& connection : connections_) {
    if (connection.over() || connection.lingers_until) continue;
    ++counters_.cut;
    end(connection, ending);
  }
}

void Relay::add_cut(const CutPlan& plan) {
  cuts_.push_back(plan);
  for (Connection& connection : connections_) connection.cuts.push_back({plan, plan.bytes});
}

void Relay::remove_cut(const FaultBook::Hits& hits) {
  std::erase_if(cuts_, [&](const CutPlan& plan) { return plan.hits == hits; });
  for (Connection& connection : connections_) {
    std::erase_if(connection.cuts, [&](const Connection::Cut& cut) { return cut.plan.hits == hits; });
  }
}

void Relay::add_limit(std::uint64_t bytes_per_second) {
  limits_.insert(bytes_per_second);
  conditions_.bytes_per_second = *limits_.begin();
}

void Relay::remove_limit(std::uint64_t bytes_per_second) {
  limits_.erase(limits_.find(bytes_per_second));
  conditions_.bytes_per_second = limits_.empty() ? std::nullopt : std::optional(*limits_.begin());
}

Proxy::Counters Relay::counters() const {
  Proxy::Counters counters = counters_;
  counters.open =
      static_cast<std::uint64_t>(std::count_if(connections_.begin(), connections_.end(), [](const Connection& each) {
        return !each.over() && !each.lingers_until;
      }));
  return counters;
}

TimePoint Relay::prepare(std::vector<pollfd>& waiting, TimePoint now) {
  TimePoint until = TimePoint::max();
  // A descriptor of -1 is skipped: who wants nothing of a socket must not be told that it hung up, over and over.
  const auto add = [&](int socket, int events) {
    waiting.push_back({events != 0 ? socket : -1, static_cast<short>(events), 0});
  };
  add(listening_, POLLIN);
  for (Connection& each : connections_) {
    if (each.lingers_until) {
      until = std::min(until, *each.lingers_until);
      add(each.client.socket, POLLIN);
      add(each.server.socket, POLLIN);
      continue;
    }
    const bool takes = !conditions_.held && !each.connecting;
    const auto events = [&](const Side& side, const Flow& from) {
      return (takes && !side.at_end && from.room() > 0 ? POLLIN : 0) | (side.blocked ? POLLOUT : 0);
    };
    add(each.client.socket, events(each.client, each.to_server));
    add(each.server.socket, each.connecting ? POLLOUT : events(each.server, each.to_client));
    if (each.connecting) continue;
    if (!each.client.blocked) until = std::min(until, each.to_client.next(conditions_, now));
    if (!each.server.blocked) until = std::min(until, each.to_server.next(conditions_, now));
  }
  prepared_ = connections_.size();
  return until;
}

void Relay::turn(const pollfd* first, TimePoint now) {
  const bool arrived = first->revents != 0;
  const pollfd* events = first + 1;
  auto connection = connections_.begin();
  for (std::size_t i = 0; i < prepared_; ++i, ++connection, events += 2) on_events(*connection, events, now);
  if (arrived) take_connections();
  connections_.remove_if([](const Connection& each) { return each.over(); });
}

void Relay::take_connections() {
  while (listening_ >= 0) {
    const int accepted = sockets::accept(listening_);
    if (accepted < 0) return;
    ++counters_.connections;
    const int connected = sockets::connect(server_);
    Connection& added = connections_.emplace_back(accepted, connected, cuts_);
    if (connected >= 0) continue;
    ++counters_.unreachable;
    end(added, Ending::rst);
  }
}

void Relay::on_events(Connection& connection, const pollfd* events, TimePoint now) {
  Side& client = connection.client;
  Side& server = connection.server;
  if (connection.over()) return;
  if (connection.lingers_until) {
    for (const auto& [side, told] : {std::pair(&client, events[0].revents), std::pair(&server, events[1].revents)}) {
      char unread[4096];
      while (told != 0 && side->socket >= 0) {
        const ssize_t got = ::recv(side->socket, unread, sizeof unread, 0);
        if (got < 0 && would_block()) break;
        if (got <= 0) side->close();
      }
      if (*connection.lingers_until <= now) side->close();
    }
    return;
  }
  if (connection.connecting) {
    if (events[1].revents == 0) return;
    if (sockets::take_error(server.socket) != 0) {
      ++counters_.unreachable;
      return end(connection, Ending::rst);
    }
    connection.connecting = false;
  }
  if ((events[0].revents & POLLOUT) != 0) client.blocked = false;
  if ((events[1].revents & POLLOUT) != 0) server.blocked = false;
  constexpr short readable = POLLIN | POLLHUP | POLLERR;
  const bool alive = ((events[0].revents & readable) == 0 || read(client, connection.to_server, now)) &&
                     ((events[1].revents & readable) == 0 || read(server, connection.to_client, now)) &&
                     write(connection, Direction::to_server, now) && write(connection, Direction::to_client, now);
  if (!alive) return end(connection, Ending::rst);
  if (connection.over() || connection.lingers_until) return;  // It was cut.
  pass_end(client, server, connection.to_server);
  pass_end(server, client, connection.to_client);
  if (client.told_end && server.told_end) {
    client.close();
    server.close();
  }
}

bool Relay::read(Side& from, Flow& into, TimePoint now) {
  char bytes[16 * 1024];
  while (!from.at_end && into.room() > 0) {
    const ssize_t got = ::recv(from.socket, bytes, std::min(sizeof bytes, into.room()), 0);
    if (got < 0) return would_block();
    if (got == 0) from.at_end = true;
    into.take_in({bytes, static_cast<std::size_t>(got)}, conditions_, now);
  }
  return true;
}

bool Relay::write(Connection& connection, Direction direction, TimePoint now) {
  const bool client = direction == Direction::to_client;
  Side& to = client ? connection.client : connection.server;
  Flow& flow = client ? connection.to_client : connection.to_server;
  while (!to.blocked) {
    std::string_view ready = flow.ready(conditions_, now);
    for (Connection::Cut& cut : connection.cuts) {
      if (cut.plan.direction != direction) continue;
      if (cut.left == 0) {
        ++*cut.plan.hits;
        ++counters_.cut;
        end(connection, cut.plan.ending);
        return true;
      }
      ready = ready.substr(0, std::min<std::uint64_t>(ready.size(), cut.left));
    }
    if (ready.empty()) return true;
    const ssize_t sent = ::send(to.socket, ready.data(), ready.size(), no_signal);
    if (sent < 0) return to.blocked = would_block();
    const auto count = static_cast<std::uint64_t>(sent);
    flow.passed_on(count);
    (client ? counters_.to_client : counters_.to_server) += count;
    for (Connection::Cut& cut : connection.cuts) {
      if (cut.plan.direction == direction) cut.left -= count;
    }
  }
  return true;
}

void Relay::pass_end(Side& from, Side& to, const Flow& flow) {
  if (!from.at_end || to.told_end || !flow.empty()) return;
  ::shutdown(to.socket, SHUT_WR);
  to.told_end = true;
}

void Relay::end(Connection& connection, Ending ending) {
  if (ending == Ending::rst) {
    for (Side* side : {&connection.client, &connection.server}) {
      if (side->socket >= 0) sockets::close_with_reset(std::exchange(side->socket, -1));
    }
    return;
  }
  connection.lingers_until = std::chrono::steady_clock::now() + linger;
  for (Side* side : {&connection.client, &connection.server}) {
    if (side->socket >= 0) ::shutdown(side->socket, SHUT_WR);
  }
}

}  // namespace norikv::testing
