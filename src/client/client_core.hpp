#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include <norikv/admin.hpp>
#include <norikv/client.hpp>
#include <norikv/vectors.hpp>

#include "client/publisher.hpp"
#include "client/scope_state.hpp"
#include "core/admission.hpp"
#include "core/session.hpp"
#include "core/transport.hpp"
#include "loop/event_loop.hpp"

namespace norikv::detail {

/// Joins the session to the real world: gives it the loop's time and the transport's replies, carries out its actions,
/// and delivers what it has for users, a bounded number per turn. Owned by `Client` and, until the close callback, by
/// itself; `Operation` and `Subscription` hold it weakly. Methods with [any thread] may be called from any; all other
/// run on the loop's.
class ClientCore final : public std::enable_shared_from_this<ClientCore>,
                         private loop::TurnHandler,
                         private core::TransportSink {
 public:
  /// Whether the client's own thread runs the loop: then the loop stays alive until the client closes.
  enum class LoopKind : std::uint8_t { borrowed, owned };
  static Result<std::shared_ptr<ClientCore>> create(uv_loop_s* loop, LoopKind kind, ClientOptions options);

  // [any thread] Each takes over the callback: it runs exactly once.
  std::uint64_t put(std::string_view key, std::string_view value, PutOptions options, PutCallback callback);
  std::uint64_t get(std::string_view key, GetOptions options, GetCallback callback);
  std::uint64_t remove(std::string_view key, RemoveOptions options, RemoveCallback callback);
  std::uint64_t update(std::string_view key, UpdateOptions options, UpdateFunction function, UpdateCallback callback);
  // client_core_many.cpp: the number of the first key's operation; 0 without a key
  std::uint64_t get_many(const Keys& keys, GetOptions options, GetManyCallback callback);
  static void tell_all(GetManyCallback& callback, std::size_t keys, const Error& error);
  // client_core_services.cpp
  std::uint64_t create_index(std::string_view name, const VectorIndex& index, VectorWriteOptions options,
                             IndexCreatedCallback callback);
  std::uint64_t drop_index(std::string_view name, VectorWriteOptions options, IndexDroppedCallback callback);
  std::uint64_t insert_vector(std::string_view name, std::string_view id, std::span<const float> vector,
                              VectorWriteOptions options, VectorInsertedCallback callback);
  std::uint64_t remove_vector(std::string_view name, std::string_view id, VectorWriteOptions options,
                              VectorRemovedCallback callback);
  std::uint64_t search_vectors(std::string_view name, std::span<const float> query, std::uint32_t k,
                               VectorSearchOptions options, VectorSearchCallback callback);
  std::uint64_t get_vector(std::string_view name, std::string_view id, VectorGetOptions options,
                           VectorGetCallback callback);
  std::uint64_t snapshot_shard(std::uint32_t shard, const AdminOptions& options, ShardInfoCallback callback);
  std::uint64_t transfer_shard(std::uint32_t shard, std::string_view node_id, const AdminOptions& options,
                               ShardInfoCallback callback);
  void cancel(std::uint64_t first, std::uint64_t count);
  /// In this order, which has to be the latest first.
  void cancel(std::vector<Tied> tied);
  void wait_ready(ReadyOptions options, ReadyCallback callback);
  void when_room(std::size_t operations, ReadyCallback callback);
  void drain(Task callback);
  void post(Task task);
  Result<void> set_nodes(std::vector<std::string> nodes);
  void close(Duration grace, Task callback);
  void set_ref(bool keep_alive);
  Result<void> set_tls(const TlsOptions& options);

  template <class Event>
  std::shared_ptr<Slot> subscribe(UniqueFunction<void(const Event&)> on_event, UniqueFunction<void()> on_end);
  void unsubscribe(std::shared_ptr<Slot> slot);

  [[nodiscard]] std::shared_ptr<const ClusterView> cluster() const;
  [[nodiscard]] bool has_room() const noexcept { return admission_.has_room(); }
  [[nodiscard]] Stats stats() const;
  [[nodiscard]] bool on_loop_thread() const noexcept { return !forked() && loop_->on_loop_thread(); }
  [[nodiscard]] bool owns(const uv_handle_s* handle) const noexcept { return loop_->owns(handle); }
  /// Whether this is a child of the process that made the client.
  [[nodiscard]] bool forked() const noexcept;

 private:
  ClientCore(ClientOptions options, LoopKind kind);

  // loop::TurnHandler and core::TransportSink
  void on_turn() override;
  void on_reply(core::Reply reply) override;
  void on_view(core::WatchId id, wire::LeaderView view) override;
  void on_stream_end(core::StreamEnd end) override;

  // client_core_operations.cpp: from the user's call to the session
  /// How an input came to run: on the loop's thread, or inside the user's call because there is no loop any more.
  enum class Way : std::uint8_t { on_loop, too_late };
  /// Runs `input(Way)`: at once if this is the loop's thread and nothing is overtaken, else in its turn.
  template <class Input>
  void enter(Input input);
  /// The same, but always in a later turn.
  template <class Input>
  void enter_later(Input input);
  template <class Callback>
  void refuse(Error error, OperationKind kind, Callback callback);
  /// Puts the callback behind the scope, if there is one: its place in there.
  template <class Callback>
  static ScopeMember* tie_to(ScopeRef& scope, Callback& callback);
  /// Whether an operation may start, which its scope then knows of. [loop thread]
  [[nodiscard]] bool join(ScopeMember* member, Tied tied);
  /// Gives back what an operation holds that its scope's end met on the way to the session. [loop thread]
  void turn_away(const core::Request& request, core::Callback callback);
  /// Takes a place for a request and makes its message; an error: it holds nothing.
  template <class Encode>
  tl::expected<void, core::Admission::Full> admit(core::Request& request, const Encode& encode);
  template <class Encode, class Callback>
  std::uint64_t submit(core::Request request, Encode encode, const std::optional<Error>& wrong,
                       Result<TimePoint> deadline, Callback callback);
  template <class Encode, class Callback>
  std::uint64_t write_vectors(wire::Method method, std::size_t bytes, std::optional<Error> wrong,
                              const VectorWriteOptions& options, Encode encode, Callback callback);
  template <class Options, class Encode, class Callback>
  std::uint64_t read_vectors(wire::Method method, std::size_t bytes, std::optional<Error> wrong, Options& options,
                             Encode encode, Callback callback);
  std::uint64_t ask_about_shard(wire::Method method, std::uint32_t shard, std::string_view node_id,
                                const AdminOptions& options, const std::optional<Error>& wrong,
                                ShardInfoCallback callback);
  /// What a `get_many` asks, key by key; an error: refused.
  [[nodiscard]] std::vector<Result<core::Request>> requests_of(const Keys& keys, const GetOptions& options,
                                                               std::uint64_t first);
  void take_in(std::uint64_t first, std::vector<Result<core::Request>> requests, ScopeMember* member,
               GetManyCallback callback);
  [[nodiscard]] std::vector<NodeStats> node_stats() const;
  void filled_up();
  void report_load();
  void after_input();

  // client_core.cpp: turns, deliveries and the end
  void carry_out_actions();
  void deliver_some();
  void deliver_first();
  void deliver(core::Delivery& delivery);
  void deliver(core::Completion& completion);
  void deliver(core::ReadyResult& ready);
  void deliver(core::Deferred& deferred);
  void deliver(core::Decide& decide);
  void deliver(TopologyEvent& event);
  void deliver(ConnectionEvent& event);
  void deliver(WarningEvent& event);
  void deliver(core::AskToken& request);
  void on_token(core::AskId id, tl::expected<Token, std::string> answer);
  void run_user_code(const std::function<void()>& run);
  void made_room();
  void share_view();
  void set_loop_state();
  void begin_close(Duration grace);
  void continue_close();
  void finish_close();
  /// Tells `line()`, which is called only if somebody wants to read lines of this level.
  template <class Line>
  void log(LogLevel level, Line line) const {
    if (options_.log && level >= options_.log_level) options_.log(level, line());
  }

  // client_core_observer.cpp: what the observer is told
  void deliver(core::Observation& observation);
  void observe_start();
  void observe_turn();
  void observe_end();

  template <class Event>
  void replay(EventSlot<Event>& slot, const std::shared_ptr<const ClusterView>& view,
              const std::vector<ConnectionEvent>& streams);
  template <class Event>
  [[nodiscard]] Publisher<Event>& publisher() {
    return std::get<Publisher<Event>>(publishers_);
  }

  const ClientOptions options_;
  const std::uint64_t number_;  // of this client in the process, for observers
  const LoopKind kind_;
  const std::uint32_t fork_generation_;

  // any thread: the counters and the table of leaders of the session, and the admission that reads them
  core::Session session_;
  core::Admission admission_;
  std::atomic<std::uint64_t> next_operation_{1};
  std::atomic<bool> filled_up_{false};
  mutable std::mutex view_mutex_;
  std::shared_ptr<const ClusterView> shared_view_;  // guarded by view_mutex_
  core::NodeCounterList shared_counters_;           // the same, of the nodes of that view

  // the loop's thread, as all of `session_` but its counters and its table of leaders; made before the first turn and
  // kept until the last owner is gone
  std::unique_ptr<loop::EventLoop> loop_;
  std::unique_ptr<core::Transport> transport_;
  std::tuple<Publisher<TopologyEvent>, Publisher<LeadershipEvent>, Publisher<ConnectionEvent>, Publisher<LoadEvent>,
             Publisher<WarningEvent>>
      publishers_;
  std::vector<Task> close_callbacks_;
  std::shared_ptr<ClientCore> self_;  // until the close callback
  bool started_ = false;
  bool in_turn_ = false;
  bool referenced_ = false;
  /// What its observer has been told of the client itself.
  enum class Told : std::uint8_t { nothing, start, end };
  Told told_ = Told::nothing;
  enum class End : std::uint8_t { none, closing, dropping_connections, over };
  End end_ = End::none;
};

template <class Input>
void ClientCore::enter(Input input) {
  if (!loop_->may_start_directly() || end_ == End::over) return enter_later(std::move(input));
  input(Way::on_loop);
  after_input();
}

template <class Input>
void ClientCore::enter_later(Input input) {
  auto owned = std::make_unique<Input>(std::move(input));
  Input& kept = *owned;
  Task task = [owned = std::move(owned)] { (*owned)(Way::on_loop); };
  if (!loop_->post(task)) kept(Way::too_late);
}

}  // namespace norikv::detail
