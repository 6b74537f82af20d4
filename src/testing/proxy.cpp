#include <norikv/testing/proxy.hpp>

#include <algorithm>
#include <utility>

#include "testing/fault_state.hpp"
#include "testing/port.hpp"
#include "testing/proxy_loop.hpp"
#include "testing/relay.hpp"
#include "util/address.hpp"

namespace norikv::testing {
namespace {

tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  return tl::unexpected(std::move(error));
}

}  // namespace

struct Proxy::Impl {
  Impl(ReservedPort reserved, std::uint16_t server)
      : port(std::move(reserved)), address("127.0.0.1:" + std::to_string(port.number())), loop(port.number(), server) {}

  /// Applies a change now, and its undo when the fault heals.
  template <class Apply, class Undo>
  static Fault fault(const std::shared_ptr<Impl>& self, FaultBook::Hits hits, Apply apply, Undo undo) {
    self->loop.run([&](Relay& relay) { apply(relay); });
    return Fault(std::make_unique<Fault::State>(Fault::State{std::move(hits), [weak = std::weak_ptr(self), undo] {
                                                               const auto alive = weak.lock();
                                                               if (alive)
                                                                 alive->loop.run([&](Relay& relay) { undo(relay); });
                                                             }}));
  }

  ReservedPort port;
  std::string address;
  ProxyLoop loop;
};

Result<Proxy> Proxy::start(std::string_view server, std::uint16_t port) {
  const auto address = util::parse_address(server);
  if (!address || address->kind != util::Address::Kind::ipv4 || address->host != "127.0.0.1") {
    return fail(ErrorCode::invalid_argument,
                "a proxy's server must be an address such as 127.0.0.1:7447, and not " + std::string(server));
  }
  std::optional<ReservedPort> reserved = ReservedPort::take(port);
  if (!reserved) return fail(ErrorCode::unavailable, "port " + std::to_string(port) + " of 127.0.0.1 is taken");
  auto impl = std::make_shared<Impl>(std::move(*reserved), address->port);
  bool listening = false;
  impl->loop.run([&](Relay& relay) { listening = relay.listen(); });
  if (!listening) return fail(ErrorCode::unavailable, "port " + std::to_string(port) + " of 127.0.0.1 is taken");
  return Proxy(std::move(impl));
}

Proxy::Proxy(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Proxy::Proxy(Proxy&&) noexcept = default;
Proxy& Proxy::operator=(Proxy&&) noexcept = default;
Proxy::~Proxy() = default;

const std::string& Proxy::address() const noexcept { return impl_->address; }

void Proxy::cut(Ending ending) {
  impl_->loop.run([&](Relay& relay) { relay.cut_all(ending); });
}

Fault Proxy::cut_after(std::uint64_t bytes, Direction direction, Ending ending) {
  auto hits = std::make_shared<std::atomic<std::uint64_t>>(0);
  const CutPlan plan{bytes, direction, ending, hits};
  return Impl::fault(
      impl_, hits, [&](Relay& relay) { relay.add_cut(plan); }, [hits](Relay& relay) { relay.remove_cut(hits); });
}

Fault Proxy::delay(Duration time) {
  return Impl::fault(
      impl_, {}, [&](Relay& relay) { relay.add_delay(time); }, [time](Relay& relay) { relay.remove_delay(time); });
}

Fault Proxy::throttle(std::uint64_t bytes_per_second) {
  return Impl::fault(
      impl_, {}, [&](Relay& relay) { relay.add_limit(bytes_per_second); },
      [bytes_per_second](Relay& relay) { relay.remove_limit(bytes_per_second); });
}

Fault Proxy::hold() {
  return Impl::fault(
      impl_, {}, [](Relay& relay) { relay.hold(); }, [](Relay& relay) { relay.release(); });
}

Fault Proxy::refuse() {
  return Impl::fault(
      impl_, {}, [](Relay& relay) { relay.refuse(); }, [](Relay& relay) { relay.accept(); });
}

Proxy::Counters Proxy::counters() const {
  Counters counters;
  impl_->loop.run([&](Relay& relay) { counters = relay.counters(); });
  return counters;
}

}  // namespace norikv::testing
