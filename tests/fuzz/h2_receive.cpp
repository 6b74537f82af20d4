#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/h2/session.hpp"

// The receiving side of the h2 transport, fed with whatever comes: first a byte that says how the rest is cut, then
// what a peer sends. Every exchange ends at most once, what it holds keeps its limits, and nothing is told after its
// end. What came is decoded: views as the transport does, answers as the core does.
namespace {

using namespace norikv;
using namespace norikv::transport::h2;

constexpr std::size_t largest_message = 4096;

void require(bool holds) {
  if (!holds) std::abort();
}

// In slices, as on the loop; each shard that is told names a leader that is told too, or nobody.
void decode_view(std::string message) {
  constexpr std::size_t slice = 64;
  wire::ViewDecoder decoder(std::move(message));
  while (!decoder.advance(slice)) {
  }
  const wire::Decoded<wire::LeaderView> view = decoder.take();
  if (!view) return;
  for (const wire::LeaderView::Shard& shard : view->shards)
    require(shard.leader == wire::LeaderView::nobody || shard.leader < view->leaders.size());
}

class Receiver final : public SessionListener {
 public:
  void open_what_fits() {
    while (exchanges_.size() < 4 && session_.has_room()) {
      exchanges_.push_back(std::make_unique<Exchange>(largest_message));
      Exchange& exchange = *exchanges_.back();
      exchange.kind = exchanges_.size() % 2 == 0 ? Exchange::Kind::watch : Exchange::Kind::call;
      exchange.path = &wire::path(wire::Method::get);
      exchange.payload = payload_;
      exchange.deadline = TimePoint{} + std::chrono::seconds{5};
      if (!session_.open(exchange, "http", "node:1", TimePoint{})) return;
    }
  }
  bool receive(std::string_view bytes) {
    if (!session_.receive(bytes)) return false;
    open_what_fits();
    Output out;
    return session_.produce(out, 1 << 20) && !session_.over();
  }
  void cancel_all() {
    for (const auto& exchange : exchanges_) {
      if (!exchange->ended) session_.reset(*exchange);
      exchange->ended = true;
    }
    Output out;
    (void)session_.produce(out, 1 << 20);
  }

 private:
  void on_greeting() override {}
  void on_goaway() override {}
  void on_pong() override {}
  void on_kept(Exchange& exchange) override {
    require(!exchange.ended && exchange.kind == Exchange::Kind::watch);
    while (auto message = exchange.next_kept_message()) {
      require(message->size() <= largest_message);
      decode_view(std::move(*message));
    }
    session_.give_back(exchange);
  }
  void on_end(Exchange& exchange, Outcome outcome) override {
    require(!exchange.ended);
    exchange.ended = true;
    require(outcome.message.size() <= 1024);
    require(!exchange.body || exchange.body->size() <= largest_message);
    if (exchange.body) (void)wire::decode_get(std::move(*exchange.body));
    for (const auto& [key, value] : exchange.reply_metadata)
      require(core::wanted_metadata(key) && value.size() <= 1024);
  }

  const wire::Payload payload_ = std::make_shared<const std::string>("request");
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  Session session_{*this};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::size_t piece = static_cast<unsigned char>(rest.front()) + std::size_t{1};
  rest.remove_prefix(1);
  // Alone, so that requests are open for what comes behind it: SETTINGS without any.
  constexpr std::size_t greeting = 9;
  std::size_t count = greeting;
  Receiver client;
  while (!rest.empty()) {
    const std::string_view next = rest.substr(0, count);
    rest.remove_prefix(next.size());
    if (!client.receive(next)) break;
    count = piece;
  }
  client.cancel_all();
  return 0;
}
