#include "transport/h2/h2_transport.hpp"

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>
#include <variant>

#include "transport/h2/line.hpp"
#include "transport/h2/pump.hpp"
#include "util/deadlines.hpp"
#include "util/earlier.hpp"

namespace norikv::transport {
namespace {

using namespace h2;

constexpr std::size_t longest_text = 1024;
constexpr std::size_t input_size = 256 * 1024;
// Exchanges and events that are kept for the next ones.
constexpr std::size_t most_spare = 4096;

core::Metadata on_the_wire(core::Metadata metadata) {
  for (auto& [key, value] : metadata) {
    if (is_binary(key)) value = base64(value);
  }
  return metadata;
}

// Of the views of one stream, each time that events are told: a fraction of a millisecond, up to three times in an
// iteration of the loop.
constexpr std::size_t decoded_at_once = 128 * 1024;
// What a view costs beside its bytes.
constexpr std::size_t least_view = 64;

/// A stream keeps bytes that were not told. There is at most one for each stream.
struct KeptViews {
  core::WatchId id{};
};
using Calls = std::unordered_map<core::CallId, Exchange>;
using Event = std::variant<core::Reply, KeptViews, core::StreamEnd>;

/// Carries calls over connections of its own, all of them on the loop's thread. Owned by the client core.
///
/// Nothing is told or written where it comes up: in each iteration of the loop the sockets are read, then `on_pump`
/// tells the sink everything that came in, has the client's turn, and writes what all of it brought about, once per
/// connection.
class H2Transport final : public core::Transport, private LineOwner, private Lookups, private Pump::Handler {
 public:
  H2Transport(loop::EventLoop& loop, core::TransportSink& sink, const ConnectionOptions& options)
      : loop_(loop), sink_(sink), options_(options), shared_{loop.raw(), options_, *this}, pump_(loop.raw(), *this) {
    shared_.input.resize(input_size);
  }

  // --- core::Transport ---

  void start(core::Call call) override {
    const TimePoint now = std::chrono::steady_clock::now();
    if (!core::may_be_sent(call.metadata)) return refuse(call.id, Status::invalid_argument, illegal_metadata);
    if (call.deadline <= now)
      return refuse(call.id, Status::deadline_exceeded, "The deadline had passed before the call was sent");
    Node* const node = find(call.address);
    if (node == nullptr) return refuse(call.id, Status::unavailable, not_connected);
    Exchange& exchange = insert(calls_, spare_calls_, call.id);
    exchange.kind = Exchange::Kind::call;
    exchange.id = static_cast<std::uint64_t>(call.id);
    exchange.path = &wire::path(call.method);
    exchange.payload = std::move(call.payload);
    exchange.suffix = std::move(call.suffix);
    exchange.metadata = on_the_wire(std::move(call.metadata));
    exchange.deadline = call.deadline;
    deadlines_.add(call.deadline, call.id, calls_);
    node->next().submit(exchange, now);
  }

  void watch(core::WatchId id, const std::string& address, const core::Metadata& metadata) override {
    if (!core::may_be_sent(metadata)) return refuse(id, Status::invalid_argument, illegal_metadata);
    Node* const node = find(address);
    if (node == nullptr) return refuse(id, Status::unavailable, not_connected);
    Exchange& exchange = watches_.try_emplace(id, options_.max_reply_size).first->second;
    exchange.kind = Exchange::Kind::watch;
    exchange.id = static_cast<std::uint64_t>(id);
    exchange.path = &wire::path(wire::Method::watch_cluster);
    exchange.payload = watch_payload_;
    exchange.metadata = on_the_wire(metadata);
    node->lines.front()->submit(exchange, std::chrono::steady_clock::now());
  }

  void cancel(core::CallId id) override {
    if (const auto found = calls_.find(id); found != calls_.end())
      give_up(found->second, Status::cancelled, "Cancelled");
  }

  void cancel(core::WatchId id) override {
    const auto found = watches_.find(id);
    if (found == watches_.end()) return;
    found->second.muted = true;
    if (!found->second.ended) give_up(found->second, Status::cancelled, "Cancelled");
  }

  void retain(const std::vector<std::string>& addresses) override {
    if (closing_) return;
    std::erase_if(nodes_, [&](const auto& entry) {
      if (std::ranges::find(addresses, entry.first) != addresses.end()) return false;
      retire(entry.second);
      return true;
    });
    for (const std::string& address : addresses) {
      if (!nodes_.contains(address)) nodes_.emplace(address, new_node(address));
    }
  }

  void secure(const core::TlsMaterial& material) override {
    if (closing_) return;
    security_ = std::make_shared<const Security>(material);
    for (auto& [address, node] : nodes_) {
      retire(node);
      node = new_node(address);
    }
  }

  void close(UniqueFunction<void()> done) override {
    closing_ = true;
    done_ = std::move(done);
    while (!calls_.empty()) give_up(calls_.begin()->second, Status::cancelled, "Cancelled");
    for (auto& [id, exchange] : watches_) {
      exchange.muted = true;
      if (!exchange.ended) give_up(exchange, Status::cancelled, "Cancelled");
    }
    nodes_.clear();
    for (const auto& line : lines_) line->drop();
    pump_.request();
  }

  [[nodiscard]] std::optional<TimePoint> next_deadline() const override {
    told_ = earliest();
    return told_;
  }

  void advance_to(TimePoint now) override {
    while (const auto id = deadlines_.take_due(now, calls_))
      give_up(calls_.at(*id), Status::deadline_exceeded, "No answer in time");
    for (std::size_t i = 0; i < lines_.size(); ++i) lines_[i]->advance_to(now);
  }

 private:
  static constexpr const char* illegal_metadata = "Metadata that HTTP/2 can't carry";
  static constexpr const char* not_connected = "Not a node of this client";

  struct Node {
    std::vector<Line*> lines;
    std::size_t at = 0;
    Line& next() noexcept {
      if (at == lines.size()) at = 0;
      return *lines[at++];
    }
  };

  // --- LineOwner ---

  void on_kept(Exchange& exchange) override {
    if (!std::exchange(exchange.has_unread, true)) tell_later(KeptViews{core::WatchId{exchange.id}});
  }

  void on_end(Exchange& exchange, Outcome outcome) override {
    if (outcome.message.size() > longest_text) outcome.message.resize(longest_text);
    if (exchange.kind == Exchange::Kind::watch) {
      exchange.ended = true;
      return tell_later(core::StreamEnd{core::WatchId{exchange.id}, outcome.status, std::move(outcome.message)});
    }
    core::Reply reply;
    reply.id = core::CallId{exchange.id};
    reply.status = outcome.status;
    reply.message = std::move(outcome.message);
    reply.sent = outcome.sent;
    if (outcome.status == Status::ok) {
      reply.body = std::move(exchange.body);
    } else {
      reply.metadata = std::move(exchange.reply_metadata);
    }
    drop_call(reply.id);
    tell_later(std::move(reply));
  }

  void on_output(Connection& connection) override {
    pump_.request();
    if (std::exchange(connection.listed, true)) return;
    to_flush_.push_back(&connection);
  }

  [[nodiscard]] bool loop_is_held() const override { return loop_.held(); }

  // --- Lookups ---

  void on_lookup_over() override { pump_.request(); }

  // --- the pump ---

  void on_pump() override {
    // What the turn brings about may end at once, and more than twice is left to the next iteration.
    for (int round = 0; round < 3; ++round) {
      const bool told = tell();
      const std::optional<TimePoint> due = earliest();
      if (told || (due && (!told_ || *due < *told_))) loop_.turn_now();
      flush_all();
      if (events_.empty() && to_flush_.empty()) break;
    }
    tidy();
    if (!events_.empty() || !to_flush_.empty()) {
      pump_.request();
      loop_.wake();
    }
    finish_close();
  }

  // Whether there was something to tell.
  bool tell() {
    if (events_.empty()) return false;
    telling_.swap(events_);
    for (Event& event : telling_) std::visit([this](auto& it) { tell(it); }, event);
    telling_.clear();
    if (telling_.capacity() > most_spare) telling_.shrink_to_fit();
    return true;
  }

  void tell(core::Reply& reply) { sink_.on_reply(std::move(reply)); }

  void tell(KeptViews& kept) {
    const auto found = watches_.find(kept.id);
    if (found == watches_.end()) return;
    Exchange& exchange = found->second;
    for (std::size_t budget = decoded_at_once; budget > 0 && !exchange.muted;) {
      if (exchange.decoder == nullptr && !take_view(exchange)) return;
      const std::size_t part = std::min(budget, exchange.undecoded);
      const bool whole = exchange.decoder->advance(part);
      exchange.undecoded -= part;
      budget -= std::min(budget, part + least_view);
      if (whole) tell_view(exchange);
    }
    if (!exchange.muted) tell_later(kept);
  }

  // False: there is none.
  bool take_view(Exchange& exchange) {
    std::optional<std::string> message = exchange.next_kept_message();
    if (exchange.connection != nullptr) exchange.connection->give_back(exchange);
    if (message) {
      exchange.undecoded = message->size();
      exchange.decoder = std::make_unique<wire::ViewDecoder>(std::move(*message));
      return true;
    }
    exchange.has_unread = false;
    if (exchange.failure) break_off(exchange);
    return false;
  }

  void tell_view(Exchange& exchange) {
    wire::Decoded<wire::LeaderView> view = std::exchange(exchange.decoder, nullptr)->take();
    if (view) return sink_.on_view(core::WatchId{exchange.id}, std::move(*view));
    exchange.failure = {Status::internal, "The topology stream sent a message that is no view: " + view.error()};
    break_off(exchange);
  }

  // It has a failure, which is its end, also if the peer had ended it before.
  void break_off(Exchange& exchange) {
    exchange.muted = true;
    if (!exchange.ended) give_up(exchange, exchange.failure->status, exchange.failure->message);
  }

  void tell(core::StreamEnd& end) {
    const auto found = watches_.find(end.id);
    if (found != watches_.end()) {
      const Exchange& exchange = found->second;
      // Behind its views, unless nobody wants them any more.
      if (exchange.has_unread && !exchange.muted) return tell_later(std::move(end));
      if (exchange.failure) {
        end = {end.id, exchange.failure->status, exchange.failure->message.substr(0, longest_text)};
      } else if (end.status == Status::ok && exchange.reader.amid_message()) {
        end = {end.id, Status::internal, cut_short_text};
      }
      watches_.erase(found);
    }
    sink_.on_stream_end(std::move(end));
  }

  void flush_all() {
    flushing_.swap(to_flush_);
    for (Connection* connection : flushing_) {
      connection->listed = false;
      connection->flush();
    }
    flushing_.clear();
  }

  void tidy() {
    std::erase_if(lines_, [](const std::unique_ptr<Line>& line) { return line->tidy(); });
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      lines_[i]->try_lookup();
      if (lines_[i]->wants_lookup()) pump_.request();
    }
    std::erase_if(to_flush_, [](Connection* connection) { return connection->dead(); });
    shared_.graveyard.clear();
  }

  void tell_later(Event event) {
    events_.push_back(std::move(event));
    pump_.request();
  }

  // --- calls and their end ---

  template <class Map, class Spare, class Id>
  Exchange& insert(Map& map, Spare& spare, Id id) {
    if (spare.empty()) return map.try_emplace(id, options_.max_reply_size).first->second;
    auto node = std::move(spare.back());
    spare.pop_back();
    node.key() = id;
    return map.insert(std::move(node)).position->second;
  }

  void drop_call(core::CallId id) {
    auto node = calls_.extract(id);
    if (spare_calls_.size() >= most_spare) return;
    node.mapped() = Exchange(options_.max_reply_size);
    spare_calls_.push_back(std::move(node));
  }

  // Ends it from our side.
  void give_up(Exchange& exchange, int status, std::string message) {
    const core::Sent sent = exchange.on_wire ? core::Sent::unknown : core::Sent::not_sent;
    if (exchange.line != nullptr) exchange.line->take_back(exchange);
    on_end(exchange, {status, std::move(message), sent});
  }

  void refuse(core::CallId id, int status, const char* message) {
    core::Reply reply;
    reply.id = id;
    reply.status = status;
    reply.message = message;
    reply.sent = core::Sent::not_sent;
    tell_later(std::move(reply));
  }

  void refuse(core::WatchId id, int status, const char* message) { tell_later(core::StreamEnd{id, status, message}); }

  [[nodiscard]] std::optional<TimePoint> earliest() const {
    std::optional<TimePoint> next = deadlines_.next(calls_);
    for (const auto& line : lines_) next = util::earlier(next, line->next_deadline());
    return next;
  }

  // --- nodes ---

  [[nodiscard]] Node* find(const std::string& address) {
    const auto found = nodes_.find(address);
    return found == nodes_.end() || closing_ ? nullptr : &found->second;
  }

  [[nodiscard]] LineOwner& line_owner() noexcept { return *this; }

  Node new_node(const std::string& address) {
    Node node;
    for (std::uint32_t i = 0; i < std::max(options_.per_node, 1U); ++i) {
      lines_.push_back(std::make_unique<Line>(shared_, line_owner(), address, security_));
      node.lines.push_back(lines_.back().get());
    }
    return node;
  }

  void retire(const Node& node) {
    for (Line* line : node.lines) line->retire();
    pump_.request();
  }

  void finish_close() {
    if (!done_ || !events_.empty() || pending() > 0) return;
    lines_.clear();
    shared_.graveyard.clear();
    pump_.close([this] { (void)loop_.post(std::exchange(done_, nullptr)); });
  }

  loop::EventLoop& loop_;
  core::TransportSink& sink_;
  const ConnectionOptions options_;
  Shared shared_;
  Pump pump_;
  std::shared_ptr<const Security> security_ = std::make_shared<const Security>();
  const wire::Payload watch_payload_ = std::make_shared<const std::string>(wire::encode_watch());

  Calls calls_;
  std::vector<Calls::node_type> spare_calls_;
  std::unordered_map<core::WatchId, Exchange> watches_;
  mutable util::Deadlines<core::CallId> deadlines_;
  mutable std::optional<TimePoint> told_;  // what `next_deadline` said last

  std::unordered_map<std::string, Node> nodes_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::vector<Connection*> to_flush_;
  std::vector<Connection*> flushing_;
  std::vector<Event> events_;   // for the sink
  std::vector<Event> telling_;  // being told
  bool closing_ = false;
  UniqueFunction<void()> done_;
};

}  // namespace

std::unique_ptr<core::Transport> make_h2_transport(loop::EventLoop& loop, core::TransportSink& sink,
                                                   const ConnectionOptions& options,
                                                   const std::vector<std::string>& addresses,
                                                   const std::optional<core::TlsMaterial>& tls) {
  auto transport = std::make_unique<H2Transport>(loop, sink, options);
  if (tls) transport->secure(*tls);
  transport->retain(addresses);
  return transport;
}

}  // namespace norikv::transport
