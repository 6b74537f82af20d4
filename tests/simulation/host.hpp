#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/admission.hpp"
#include "core/session.hpp"
#include "simulation/agenda.hpp"
#include "simulation/judge.hpp"
#include "simulation/network.hpp"
#include "simulation/scenario.hpp"
#include "simulation/trace.hpp"

namespace norikv::simulation {

/// One client without its real loop and transport: what `ClientCore` is in the library. It takes inputs in turns,
/// carries the session's actions out, delivers a bounded number of callbacks per turn, and may oversleep.
class Host final : private NetworkSink {
 public:
  Host(const Scenario& scenario, std::size_t index, Agenda& agenda, Trace& trace, Servers& servers);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void start();

  /// What a user asks for. `then` runs in the operation's callback.
  using Then = std::function<void(const OperationRecord&)>;
  struct Stored {
    Value value = missing;
    std::optional<Duration> ttl;
  };
  /// What an update makes of what it has seen (the last one of the record's rounds); none = it keeps that.
  using Decision = std::function<std::optional<Stored>(const OperationRecord&)>;
  struct Ask {
    wire::Method method{};
    std::string key;
    Value value = missing;           ///< Of a put ...
    std::optional<Duration> ttl;     ///< ... and its time to live.
    std::optional<Version> version;  ///< Of a write with a precondition ...
    Value expected = missing;        ///< ... and the value that had this version.
    Looks looks = Looks::never;
    std::uint32_t max_rounds = 0;  ///< Of an update ...
    Decision decide{};             ///< ... whose function this is.
    bool idempotent = false;
    bool users_key = false;               ///< The user chooses the key ...
    std::optional<std::uint64_t> key_of;  ///< ... that of this operation, once more.
    Consistency consistency = Consistency::lease;
    Duration timeout{};
    Then then;
  };
  std::uint64_t submit(Ask ask);
  void cancel(std::uint64_t operation);
  void drain();
  void wait_ready(Need need, Duration timeout);
  void subscribe();
  void set_nodes(const std::vector<std::size_t>& nodes);
  void close(Duration grace);
  /// From now on the token source gives good tokens, and soon.
  void source_behaves() { source_misbehaves_ = false; }
  /// The loop does not turn for so long.
  void oversleep(Duration time);

  /// Nothing is left that could still happen; throws if the client kept something.
  void check_given_back();
  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] bool closing() const { return closing_; }
  [[nodiscard]] bool closed() { return closing_ && session_.closed() && session_.deliveries().empty(); }

  [[nodiscard]] Judge& judge() { return judge_; }
  [[nodiscard]] const Judge& judge() const { return judge_; }
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] const core::Session& session() const { return session_; }

 private:
  // NetworkSink
  void on_reply(core::Reply reply) override;
  void on_view(core::WatchId id, wire::View view) override;
  void on_stream_end(core::StreamEnd end) override;

  void enter(std::function<void()> input);
  void post(std::function<void()> input);
  void input(const std::function<void()>& change);
  void trace_beliefs(const ClusterView& before, const ClusterView& after);
  void wake(TimePoint at);
  void turn();
  void carry_out();
  [[nodiscard]] std::size_t node_of(const std::string& address) const;
  void deliver_some();
  void deliver(core::Completion& completion);
  void deliver(core::Decide& decide);
  void deliver(const core::AskToken& request);
  tl::expected<Token, std::string> some_token();
  void encode(const Ask& ask, OperationRecord& record);
  core::Request request_of(OperationRecord& operation, const core::Ticket& ticket, Decision decide);
  core::Callback callback_of(OperationRecord& operation, Then then);
  void refuse(OperationRecord& operation, Then then);
  template <class Result, class Keep>
  void tell(OperationRecord& operation, const Then& then, Result& result, Keep keep);

  /// Runs what a callback does. An exception can't leave a callback: it is thrown behind it, by `deliver_some`.
  void in_callback(const std::function<void()>& run);
  /// Something that is called back once without a result.
  struct Called {
    std::string what;
    int times = 0;
  };
  Called& expect_call(std::string what);
  struct Started {
    core::Action action;
    const OperationRecord* operation = nullptr;
  };

  const Scenario& scenario_;
  std::size_t index_;
  Agenda& agenda_;
  Trace& trace_;
  Judge judge_;
  core::Session session_;
  core::Admission admission_;
  Network network_;
  Servers& servers_;
  Dice source_dice_;
  bool source_misbehaves_ = true;

  std::deque<std::function<void()>> inbox_;
  std::vector<Started> actions_;
  std::map<core::WatchId, std::size_t> streams_;  // to which node
  std::map<core::WatchId, bool> spoken_;
  std::set<core::WatchId> replaced_;  // streams in whose place there are others, or none
  std::deque<Called> called_;
  std::optional<TimePoint> turn_at_;
  std::uint64_t turn_number_ = 0;
  TimePoint asleep_until_{};
  std::optional<Violation> caught_;
  bool in_turn_ = false;
  bool closing_ = false;          // by its user ...
  bool session_closing_ = false;  // ... which the session hears in a turn of its loop
  std::uint64_t next_id_ = 1;
  std::uint64_t keys_drawn_ = 0;  // for what updates store
};

}  // namespace norikv::simulation
