#include <chrono>
#include <utility>

#include "client/client_core.hpp"

// What the observer is told, on the loop's thread and between transitions of the session.
namespace norikv::detail {
namespace {

TimePoint now() { return std::chrono::steady_clock::now(); }

void tell(Observer& observer, const OperationStart& start) { observer.on_operation_start(start); }
void tell(Observer& observer, const AttemptStart& start) { observer.on_attempt_start(start); }
void tell(Observer& observer, const AttemptEnd& end) { observer.on_attempt_end(end); }
void tell(Observer& observer, const RetryPlan& retry) { observer.on_retry(retry); }
void tell(Observer& observer, const OperationEnd& end) { observer.on_operation_end(end); }

}  // namespace

void ClientCore::deliver(core::Observation& observation) {
  if (told_ == Told::end) return;  // of what was submitted when all was over
  std::visit(
      [this](auto& facts) {
        facts.client = number_;
        tell(*options_.observer, facts);
      },
      observation);
}

void ClientCore::observe_start() {
  if (options_.observer == nullptr || told_ != Told::nothing) return;
  told_ = Told::start;
  ClientStart start;
  start.client = number_;
  start.at = now();
  start.stats = [weak = weak_from_this()]() -> std::optional<Stats> {
    const std::shared_ptr<ClientCore> core = weak.lock();
    return core == nullptr ? std::nullopt : std::optional<Stats>{core->stats()};
  };
  options_.observer->on_client_start(start);
}

void ClientCore::observe_turn() {
  if (options_.observer == nullptr) return;
  const loop::Turn& turn = loop_->turn();
  LoopTurn facts;
  facts.client = number_;
  facts.at = turn.began;
  facts.queue_lag = turn.queue_lag;
  facts.timer_lag = turn.timer_lag;
  facts.took = now() - turn.began;
  facts.tasks = turn.tasks;
  facts.deliveries = session_.deliveries().size();
  options_.observer->on_turn(facts);
}

void ClientCore::observe_end() {
  if (options_.observer == nullptr || told_ != Told::start) return;
  told_ = Told::end;
  ClientEnd end;
  end.client = number_;
  end.at = now();
  end.stats = stats();
  options_.observer->on_client_end(end);
}

}  // namespace norikv::detail
