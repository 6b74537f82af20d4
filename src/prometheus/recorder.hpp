#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <norikv/observer.hpp>

#include "prometheus/buckets.hpp"
#include "prometheus/families.hpp"
#include "prometheus/state.hpp"

namespace norikv::metrics {

/// The observer of all clients with the same labels. Adds up what it is told, for the next scrape. Owned by the
/// exporter and by the clients. [any thread: the clients' loops write, whoever scrapes reads]
class Recorder final : public Observer {
 public:
  explicit Recorder(Labels labels) : labels_(std::move(labels)) {}

  void collect(Families& families);

  void on_client_start(const ClientStart& start) override { clients_.add(start); }
  void on_operation_start(const OperationStart& start) override;
  void on_attempt_start(const AttemptStart& start) override;
  void on_attempt_end(const AttemptEnd& end) override;
  void on_retry(const RetryPlan& retry) override;
  void on_operation_end(const OperationEnd& end) override;
  void on_turn(const LoopTurn& turn) override;
  void on_client_end(const ClientEnd& end) override { clients_.remove(end); }

 private:
  struct Operations {
    std::map<std::optional<ErrorCode>, std::uint64_t> outcomes;
    std::uint64_t maybe_applied = 0;
    Buckets successes, failures;
  };
  struct Node {
    std::map<AttemptReason, std::uint64_t> attempts;
    std::map<ErrorCode, std::uint64_t> errors;
    Buckets successes, failures;

    void add(const Node& more);
  };
  struct Retries {
    std::uint64_t count = 0;
    Buckets pauses;
  };
  struct Seen {
    std::map<OperationKind, Operations> operations;
    std::map<std::string, Node, std::less<>> nodes;
    std::map<RetryCause, Retries> retries;
    Buckets operation_queue, queue_lag, timer_lag, turns;
  };

  [[nodiscard]] Node& node(std::string_view name);
  /// What was counted for nodes that no client has any more goes over to one name, so that no sum goes back.
  void fold_old_nodes(const std::map<std::string, NodeStats>& current);
  static void collect(const Seen& seen, Families& families);

  const Labels labels_;
  Clients clients_;
  std::mutex mutex_;  // never held while anything else is called
  Seen seen_;
};

}  // namespace norikv::metrics
