#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <norikv/cluster.hpp>

#include "core/session.hpp"
#include "simulation/agenda.hpp"
#include "simulation/codec.hpp"
#include "simulation/record.hpp"
#include "simulation/scenario.hpp"

namespace norikv::simulation {

/// Watches one client from outside, as its users, its servers and its wire see it, and throws a `Violation` at the
/// first broken promise. It shares no decision with the client: what it demands is written down a second time here.
class Judge {
 public:
  Judge(const Scenario& scenario, Agenda& agenda, std::size_t client)
      : scenario_(scenario), agenda_(agenda), client_(client) {
    for (const std::string& node : scenario.options.nodes) named_.insert(node_of_address(node).value());
  }

  // Users.
  OperationRecord& submitted(OperationRecord record);
  void told(OperationRecord& operation, std::optional<Error> error);
  void cancelled(OperationRecord& operation) { operation.cancelled = true; }
  /// An update's function is asked, and what it said.
  void asked(OperationRecord& operation, const std::optional<Entry>& found) const;
  void decided(OperationRecord& operation, std::optional<Value> stored, std::optional<Duration> ttl);
  /// The nodes that a user names from now on.
  void named(const std::vector<std::size_t>& nodes) { named_ = std::set(nodes.begin(), nodes.end()); }
  void closing(TimePoint at) { closes_at_ = closes_at_ ? std::min(*closes_at_, at) : at; }

  // The wire. `started` returns the operation that the call belongs to; none for a probe of the client's own.
  /// `before` and `after`: what the client believed around the input that made it start the call.
  OperationRecord* started(const core::Call& call, std::size_t node, const ClusterView& before,
                           const ClusterView& after);
  void given_up(core::CallId call);
  /// What the client believed before and after an input. A search is over when its leader is known, and what changes
  /// is counted, so that users are told.
  void believes(const ClusterView& before, const ClusterView& after);
  /// A topology stream is opened, and connections are kept.
  void watches(std::size_t node, const ClusterView& view) const;
  void retains(std::vector<std::string> addresses, const ClusterView& view);
  /// Where the server notes what becomes of a write; none for reads.
  [[nodiscard]] std::shared_ptr<testing::WriteFate> fate_of(core::CallId call) const;
  void replied(const core::Reply& reply);

  // Tokens: the source is needed, and says something; who carries which one.
  void source_needed(const core::TokenCache::Ask& ask);
  void source_answers(core::AskId id, const tl::expected<Token, std::string>& answer);
  void stream_opens(const core::StartWatch& stream);
  void stream_speaks(core::WatchId id);
  void stream_refused(core::WatchId id);

  // What the client says by itself.
  void topology(const TopologyEvent& event);
  void replay(const ClusterView& view);
  void warning(const WarningEvent& event);
  void view_shown(std::size_t node, bool first_of_stream, const wire::View& view, const ClusterView& before,
                  const ClusterView& after);

  /// After each turn of the client's loop.
  void after_turn(core::Session& session);
  /// Nothing can happen any more.
  void at_end();

  [[nodiscard]] const std::deque<OperationRecord>& operations() const { return operations_; }
  [[nodiscard]] OperationRecord& operation(std::uint64_t number) { return operations_.at(number); }
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  [[nodiscard]] const std::vector<std::uint64_t>& pending_operations() const { return pending_; }

  [[noreturn]] void fail(std::string check, const std::string& detail) const;
  [[noreturn]] void fail(std::string check, const OperationRecord& operation, const std::string& detail) const;

 private:
  struct OnWire {
    OperationRecord* operation = nullptr;  // none: a probe of the client's own
    std::size_t attempt = 0;
    wire::Method method{};
    std::size_t node = 0;
    std::uint32_t shard = 0;
    bool searches = false;  // for a leader that is not known
    bool given_up = false;
    std::size_t token = 0;
    std::optional<TimePoint> moved;  // since when another node is believed to lead the shard
  };

  // judge_wire.cpp: what a call that starts must keep
  struct Belief {
    std::int32_t before = -1, after = -1;
    LeaderSource source = LeaderSource::none;
    bool down_before = false, down_after = false;  // the leader's node
    /// A leader that is only hinted at, or whose node is down, is tried by the search and by those who got the hint.
    [[nodiscard]] bool known() const {
      return (before >= 0 || after >= 0) && source != LeaderSource::hint && !(down_before && down_after);
    }
  };
  [[nodiscard]] static Belief belief_of(const ClusterView& before, const ClusterView& after, std::uint32_t shard);
  OperationRecord* owner_of(const core::Call& call, const ServerRequest& request);
  void check_budget(const OperationRecord& operation, const core::Call& call) const;
  void check_repeat(const OperationRecord& operation, std::size_t node) const;
  void check_beside(const OperationRecord& operation, std::size_t node) const;
  void check_settled(const OperationRecord& operation) const;
  void check_spacing(const OperationRecord& operation) const;
  void check_lane(const OperationRecord& operation);
  void check_order(const OperationRecord& operation) const;
  void check_route(const OperationRecord& operation, std::size_t node, const Belief& belief) const;
  void check_hops(const OperationRecord& operation, wire::Method method, std::size_t node, const Belief& belief) const;
  void check_single_search(std::uint32_t shard) const;
  void check_moved() const;
  void check_members(const ClusterView& view) const;
  [[nodiscard]] bool repeats_where_it_was(const OperationRecord& operation, std::size_t node) const;
  [[nodiscard]] bool follows_hint(const OperationRecord& operation, std::size_t node) const;
  [[nodiscard]] bool needs_leader(const OperationRecord& operation) const;

  // judge_look.cpp: what a write that looks first must keep
  void check_step(const OperationRecord& operation, const core::Call& call, const ServerRequest& request) const;
  void check_look(const OperationRecord& operation) const;
  void check_write(const OperationRecord& operation, const ServerRequest& request) const;
  void check_helpers(const OperationRecord& operation) const;
  void check_judged(const OperationRecord& operation) const;
  void check_updated(const OperationRecord& operation) const;
  void check_looked_in_time() const;
  [[nodiscard]] bool between_look_and_write(const OperationRecord& operation) const;
  [[nodiscard]] bool judged_by_client(const OperationRecord& operation) const;

  // judge_tokens.cpp
  struct KnownToken {
    std::string text;
    std::optional<TimePoint> expires;
    TimePoint given{};
    bool accepted = false, refused = false;  // by some node
  };
  struct StreamToken {
    std::size_t token = 0;
    std::string address;
  };
  [[nodiscard]] const KnownToken* token_at_hand() const;
  [[nodiscard]] std::size_t check_token(const core::Metadata& metadata) const;
  void check_renewed(const OperationRecord& operation, std::size_t token) const;
  void token_answered(std::size_t token, const core::Reply& reply, const Meaning& meaning);
  [[nodiscard]] bool source_failed(const OperationRecord& operation) const;
  [[nodiscard]] bool second_token_refused(const OperationRecord& operation) const;
  void check_secrets(const OperationRecord& operation) const;

  // Requests that look for one shard's leader at once: one, and one beside it.
  static constexpr std::ptrdiff_t max_searches = 2;

  // judge_end.cpp: what an operation that ends must keep
  void check_end(const OperationRecord& operation) const;
  void check_result(const OperationRecord& operation) const;
  void check_code(const OperationRecord& operation) const;
  void check_attempts(const OperationRecord& operation) const;
  void check_maybe_applied(const OperationRecord& operation) const;
  void check_patience(const OperationRecord& operation) const;
  void check_truth(const OperationRecord& operation) const;
  [[nodiscard]] bool answered_by_key(const OperationRecord& operation) const;
  void check_collisions() const;
  void check_retry_budget() const;
  [[nodiscard]] bool claimed_elsewhere(std::size_t node, std::uint32_t shard) const;

  const Scenario& scenario_;
  Agenda& agenda_;
  std::size_t client_;
  std::deque<OperationRecord> operations_;
  std::vector<std::uint64_t> pending_;
  std::unordered_map<const std::string*, OperationRecord*> by_payload_;
  std::unordered_map<Value, OperationRecord*> by_value_;         // what updates store
  std::map<std::string, std::vector<OperationRecord*>> by_key_;  // by the idempotency key that users chose
  std::map<core::CallId, OnWire> on_wire_;
  struct WriteOnServer {
    std::uint64_t operation = 0;
    std::size_t attempt = 0;
  };
  struct Lane {
    std::vector<WriteOnServer> writes;  // those that may still be under way
    TimePoint last_sent{};
  };
  std::map<std::uint32_t, Lane> lanes_;
  std::map<std::uint32_t, std::string> leaders_;
  std::optional<std::uint64_t> generation_;
  std::map<std::size_t, wire::View> last_views_;  // by node
  std::vector<WarningEvent> collisions_;
  std::set<std::size_t> named_;
  // A retry that has to wait takes from the retry budget, each success gives back.
  struct BudgetStep {
    TimePoint at{};
    const OperationRecord* retried = nullptr;  // none: a success
    std::uint64_t answered = 0;
  };
  std::vector<BudgetStep> budget_steps_;
  std::optional<TimePoint> closes_at_;
  struct AskedSource {
    core::AskId id{};
    TimePoint since{};
  };
  std::optional<AskedSource> asked_source_;
  std::vector<KnownToken> tokens_;   // that the source gave
  std::uint64_t source_failed_ = 0;  // the last time
  std::map<core::WatchId, StreamToken> stream_tokens_;
  std::map<std::string, std::size_t> refusing_streams_;  // by address: the last token that one was refused
};

}  // namespace norikv::simulation
