#include "prometheus/recorder.hpp"

#include <string>

namespace norikv::metrics {
namespace {

using ::prometheus::MetricType;

// Between two scrapes; one that is never scraped must not grow with the nodes that come and go.
constexpr std::size_t most_nodes = 256;
constexpr std::string_view other_nodes = "other";

constexpr Definition operations{"norikv_client_operations_total", MetricType::Counter, "Operations that ended."};
constexpr Definition operation_duration{"norikv_client_operation_duration_seconds", MetricType::Histogram,
                                        "From the caller's call to the end of an operation."};
constexpr Definition operation_queue{"norikv_client_operation_queue_duration_seconds", MetricType::Histogram,
                                     "From the caller's call to the loop's thread."};
constexpr Definition maybe_applied{"norikv_client_operations_maybe_applied_total", MetricType::Counter,
                                   "Failed writes that may have taken effect."};
constexpr Definition attempts{"norikv_client_attempts_total", MetricType::Counter, "Requests sent."};
constexpr Definition attempt_errors{"norikv_client_attempt_errors_total", MetricType::Counter,
                                    "Requests that did not end with success."};
constexpr Definition attempt_duration{"norikv_client_attempt_duration_seconds", MetricType::Histogram,
                                      "From sending a request to its answer, or to being given up."};
constexpr Definition retries{"norikv_client_retries_total", MetricType::Counter, "Failed attempts that were repeated."};
constexpr Definition retry_pause{"norikv_client_retry_pause_seconds", MetricType::Histogram,
                                 "Pauses before attempts were repeated."};
constexpr Definition queue_lag{"norikv_client_loop_queue_lag_seconds", MetricType::Histogram,
                               "From asking the loop for a turn to that turn."};
constexpr Definition timer_lag{"norikv_client_loop_timer_lag_seconds", MetricType::Histogram,
                               "How late the loop served the client's timer."};
constexpr Definition turn_duration{"norikv_client_loop_turn_duration_seconds", MetricType::Histogram,
                                   "The client's share of one turn of the loop, callbacks included."};

std::string text(std::string_view name) { return std::string{name}; }

}  // namespace

void Recorder::on_operation_start(const OperationStart& start) {
  if (start.kind == OperationKind::probe) return;
  const std::lock_guard lock{mutex_};
  seen_.operation_queue.add(start.queued);
}

void Recorder::on_operation_end(const OperationEnd& end) {
  if (end.kind == OperationKind::probe) return;
  const std::lock_guard lock{mutex_};
  Operations& kind = seen_.operations[end.kind];
  ++kind.outcomes[end.error];
  kind.maybe_applied += end.maybe_applied ? 1 : 0;
  (end.error ? kind.failures : kind.successes).add(end.duration);
}

void Recorder::on_attempt_start(const AttemptStart& start) {
  const std::lock_guard lock{mutex_};
  ++node(start.node).attempts[start.reason];
}

void Recorder::on_attempt_end(const AttemptEnd& end) {
  const std::lock_guard lock{mutex_};
  Node& there = node(end.node);
  if (end.error) ++there.errors[*end.error];
  (end.error ? there.failures : there.successes).add(end.duration);
}

void Recorder::on_retry(const RetryPlan& retry) {
  const std::lock_guard lock{mutex_};
  Retries& cause = seen_.retries[retry.cause];
  ++cause.count;
  cause.pauses.add(retry.pause);
}

void Recorder::on_turn(const LoopTurn& turn) {
  const std::lock_guard lock{mutex_};
  if (turn.queue_lag) seen_.queue_lag.add(*turn.queue_lag);
  if (turn.timer_lag) seen_.timer_lag.add(*turn.timer_lag);
  seen_.turns.add(turn.took);
}

Recorder::Node& Recorder::node(std::string_view name) {
  if (const auto found = seen_.nodes.find(name); found != seen_.nodes.end()) return found->second;
  return seen_.nodes[text(seen_.nodes.size() < most_nodes ? name : other_nodes)];
}

void Recorder::Node::add(const Node& more) {
  for (const auto& [reason, count] : more.attempts) attempts[reason] += count;
  for (const auto& [error, count] : more.errors) errors[error] += count;
  successes.add(more.successes);
  failures.add(more.failures);
}

void Recorder::fold_old_nodes(const std::map<std::string, NodeStats>& current) {
  const std::lock_guard lock{mutex_};
  for (auto node = seen_.nodes.begin(); node != seen_.nodes.end();) {
    if (node->first == other_nodes || current.contains(node->first)) {
      ++node;
      continue;
    }
    seen_.nodes[text(other_nodes)].add(node->second);
    node = seen_.nodes.erase(node);
  }
}

void Recorder::collect(Families& families) {
  families.label(labels_);
  Seen seen;
  {
    const std::lock_guard lock{mutex_};
    seen = seen_;
  }
  collect(seen, families);
  const std::map<std::string, NodeStats> current = clients_.collect(families);
  if (!current.empty()) fold_old_nodes(current);
}

void Recorder::collect(const Seen& seen, Families& families) {
  for (const Definition* each :
       {&operations, &operation_duration, &operation_queue, &maybe_applied, &attempts, &attempt_errors,
        &attempt_duration, &retries, &retry_pause, &queue_lag, &timer_lag, &turn_duration}) {
    families.declare(*each);
  }
  for (const auto& [kind, of_kind] : seen.operations) {
    const std::string name = text(to_string(kind));
    for (const auto& [error, count] : of_kind.outcomes) {
      families.number(operations, {{"kind", name}, {"outcome", error ? text(to_string(*error)) : "ok"}},
                      static_cast<double>(count));
    }
    families.durations(operation_duration, {{"kind", name}, {"result", "ok"}}, of_kind.successes);
    families.durations(operation_duration, {{"kind", name}, {"result", "error"}}, of_kind.failures);
    families.number(maybe_applied, {{"kind", name}}, static_cast<double>(of_kind.maybe_applied));
  }
  for (const auto& [name, node] : seen.nodes) {
    for (const auto& [reason, count] : node.attempts) {
      families.number(attempts, {{"node", name}, {"reason", text(to_string(reason))}}, static_cast<double>(count));
    }
    for (const auto& [error, count] : node.errors) {
      families.number(attempt_errors, {{"error", text(to_string(error))}, {"node", name}}, static_cast<double>(count));
    }
    families.durations(attempt_duration, {{"node", name}, {"result", "ok"}}, node.successes);
    families.durations(attempt_duration, {{"node", name}, {"result", "error"}}, node.failures);
  }
  for (const auto& [cause, of_cause] : seen.retries) {
    const std::string name = text(to_string(cause));
    families.number(retries, {{"cause", name}}, static_cast<double>(of_cause.count));
    families.durations(retry_pause, {{"cause", name}}, of_cause.pauses);
  }
  families.durations(operation_queue, {}, seen.operation_queue);
  families.durations(queue_lag, {}, seen.queue_lag);
  families.durations(timer_lag, {}, seen.timer_lag);
  families.durations(turn_duration, {}, seen.turns);
}

}  // namespace norikv::metrics
