#include <algorithm>
#include <set>

#include "simulation/judge.hpp"
#include "util/text.hpp"

// What an operation that ended must keep.
namespace norikv::simulation {
namespace {

using Class = Meaning::Class;

// The attempt whose answer came last; of two at once that need not be the one that started last.
const AttemptRecord& last_answered(const OperationRecord& operation) {
  return *std::max_element(operation.attempts.begin(), operation.attempts.end(),
                           [](const AttemptRecord& a, const AttemptRecord& b) { return a.answered < b.answered; });
}

bool ended_by_attempt(const OperationRecord& operation) {
  return !operation.attempts.empty() && operation.attempts.back().ended;
}

// The attempts that an error has to count: of a write that looks first not the looks that did what they were for, nor
// those beside them.
std::size_t attempts_that_failed(const OperationRecord& operation) {
  if (operation.looks == Looks::never) return operation.attempts.size();
  return static_cast<std::size_t>(
      std::count_if(operation.attempts.begin(), operation.attempts.end(), [](const AttemptRecord& attempt) {
        return attempt.is_write() || (attempt.ended && !attempt.given_up && !attempt.meaning.success());
      }));
}

}  // namespace

void Judge::check_end(const OperationRecord& operation) const {
  if (!operation.error) {
    if (operation.attempts.empty()) fail("wrong-end", operation, "a success without a request");
    if (operation.looks == Looks::update) check_updated(operation);
    const bool writes = operation.wrote();
    const bool answered = std::any_of(
        operation.attempts.begin(), operation.attempts.end(),
        [writes](const AttemptRecord& attempt) { return attempt.succeeded() && attempt.is_write() == writes; });
    if (!answered) fail("wrong-end", operation, "a success that no server told");
    return check_result(operation);
  }
  check_secrets(operation);
  check_code(operation);
  check_attempts(operation);
  check_maybe_applied(operation);
  check_patience(operation);
}

// What a user is told was told by a server.
void Judge::check_result(const OperationRecord& operation) const {
  const bool told =
      std::any_of(operation.attempts.begin(), operation.attempts.end(), [&operation](const AttemptRecord& attempt) {
        if (!attempt.succeeded()) return false;
        if (operation.is_write()) return attempt.version.value_or(Version{}) == operation.version;
        return attempt.value == operation.seen && attempt.version.value_or(Version{}) == operation.version;
      });
  if (!told) fail("wrong-end", operation, "it ends with what no server told");
}

void Judge::check_code(const OperationRecord& operation) const {
  const Error& error = *operation.error;
  const TimePoint now = agenda_.now();
  const std::string code{to_string(error.code)};
  const bool told_by_server =
      std::any_of(operation.attempts.begin(), operation.attempts.end(), [&error](const AttemptRecord& attempt) {
        return attempt.ended && !attempt.meaning.success() && attempt.meaning.code == error.code;
      });
  switch (error.code) {
    case ErrorCode::cancelled:
      if (!operation.cancelled) fail("wrong-end", operation, "nobody cancelled it");
      return;
    case ErrorCode::closed:
      if (!closes_at_) fail("wrong-end", operation, "nobody closed the client");
      return;
    case ErrorCode::overloaded:
      if (!operation.attempts.empty()) fail("wrong-end", operation, "overloaded after it was sent");
      return;
    case ErrorCode::deadline_exceeded:
      if (now < operation.deadline && !told_by_server) fail("wrong-end", operation, "its time is not over");
      return;
    default:
      if (judged_by_client(operation)) return check_judged(operation);
      if (error.code == ErrorCode::unauthenticated && source_failed(operation)) return;  // it waited for a token
      if (!ended_by_attempt(operation)) fail("wrong-end", operation, code + " without an answer");
      if (last_answered(operation).meaning.code != error.code)
        fail("status", operation,
             "it ends with " + code + ", its last answer means " +
                 std::string{to_string(last_answered(operation).meaning.code)});
  }
}

// The attempts that an error lists were made, and ended as it says. (Of two at once the first to end is listed first.)
void Judge::check_attempts(const OperationRecord& operation) const {
  const Error& error = *operation.error;
  const std::size_t failed = attempts_that_failed(operation);
  if (error.attempts_made < failed)
    fail("attempts", operation,
         "it counts " + std::to_string(error.attempts_made) + " attempts of " + std::to_string(failed));
  const std::size_t listed = std::min<std::size_t>({failed, error.attempts.size(), 4});
  for (std::size_t i = 0; i < listed; ++i) {
    const Attempt& told = error.attempts[i];
    const bool made = std::any_of(operation.attempts.begin(), operation.attempts.end(), [&](const AttemptRecord& each) {
      return told.node == address_of_node(each.node) &&
             (!each.ended || each.given_up || told.outcome == each.meaning.code);
    });
    if (!made) {
      fail("status", operation,
           "no attempt at " + told.node + " ended with " + std::string{to_string(told.outcome)} + ", as it is told");
    }
  }
}

void Judge::check_maybe_applied(const OperationRecord& operation) const {
  const bool unknown = operation.outcome_unknown();
  // An answer that came after that is nothing the error could have told.
  const bool given_up = std::any_of(operation.attempts.begin(), operation.attempts.end(),
                                    [](const AttemptRecord& each) { return each.is_write() && each.given_up; });
  if (unknown && !operation.error->maybe_applied)
    fail("maybe-applied", operation, "it may have been applied, and its error does not say so");
  if (!unknown && !given_up && operation.error->maybe_applied)
    fail("maybe-applied", operation, "every answer was definite, and its error says that it may have been applied");
}

// What can be repeated is repeated as long as its time allows.
void Judge::check_patience(const OperationRecord& operation) const {
  if (operation.cancelled || closes_at_ || !ended_by_attempt(operation)) return;
  if (operation.error->code == ErrorCode::overloaded || judged_by_client(operation)) return;
  if (operation.error->code == ErrorCode::unauthenticated && source_failed(operation)) return;
  const AttemptRecord& last_attempt = last_answered(operation);
  const Meaning& last = last_attempt.meaning;
  const RetryOptions& retry = scenario_.options.retry;
  const bool repeatable = !last_attempt.is_write() || operation.has_idempotency_key;
  if (operation.looks == Looks::update && last_attempt.is_write() &&
      operation.error->code == ErrorCode::precondition_failed && !operation.outcome_unknown() &&
      operation.rounds.size() < operation.max_rounds)
    fail("gave-up", operation, "it ended after " + std::to_string(operation.rounds.size()) + " rounds");
  Duration longest = last.pause;
  switch (last.kind) {
    case Class::not_leader:
      longest = std::max(longest, retry.not_leader.cap);
      break;
    case Class::not_processed:
      longest = std::max(longest, retry.unavailable.cap);
      break;
    case Class::ambiguous:
    case Class::throttled:
      if (!repeatable) return;
      longest = std::max({longest, retry.ambiguous.cap, retry.throttled.cap, scenario_.options.writes.lane_settle});
      break;
    case Class::unknown_level: {
      const auto refusals = std::ranges::count_if(operation.attempts, [&](const AttemptRecord& attempt) {
        return attempt.node == last_attempt.node && attempt.meaning.kind == Class::unknown_level;
      });
      if (operation.error->code == last.code && refusals < 2)
        fail("dialect", operation, "its level was not asked for in the other dialect");
      return;
    }
    case Class::permanent:
      if (last.code == ErrorCode::unauthenticated && operation.error->code == last.code && last_attempt.token > 0 &&
          !second_token_refused(operation))
        fail("gave-up", operation, "its token was refused, and it was not sent with another one");
      return;
    default:
      return;
  }
  if (agenda_.now() + longest < operation.deadline)
    fail("gave-up", operation,
         "it ended with " + std::string{to_string(operation.error->code)} + ", with " +
             util::to_text(operation.deadline - agenda_.now()) + " left to try again");
}

// What the server knows, once everything is over.
void Judge::check_truth(const OperationRecord& operation) const {
  if (!operation.is_write()) return;
  const std::uint32_t applied = operation.applied();
  const bool replicated = scenario_.cluster.profile == testing::Profile::replicated;
  std::set<Value> values;  // an update's rounds store one each
  for (const AttemptRecord& attempt : operation.attempts) {
    if (attempt.fate && attempt.fate->applied > 0) values.insert(attempt.value);
  }
  if (values.size() > 1) fail("applied-twice", operation, "two rounds of one update were applied");
  std::uint32_t by_key = applied;
  if (operation.shares_key) {
    for (const OperationRecord* other : by_key_.at(operation.idempotency_key))
      by_key += other != &operation && other->shard == operation.shard ? other->applied() : 0;
  }
  if (replicated && by_key > 1) fail("applied-twice", operation, "two writes with its key were applied");
  if (applied > 1 && (replicated || !operation.has_idempotency_key))
    fail("applied-twice", operation, "it was applied " + std::to_string(applied) + " times");
  if (operation.succeeded()) {
    if (operation.wrote() && applied == 0 && scenario_.writes_are_safe() && !answered_by_key(operation))
      fail("lost-write", operation, "it was acknowledged and never applied");
    return;
  }
  if (applied > 0 && !operation.error->maybe_applied)
    fail("maybe-applied", operation, "it was applied, and its error said that it was not");
}

// Whether the server took it for a write that it knew by its key, and told the version of that one: it keeps a key once
// it was used, for whatever write (profile replicated: of the same shard), and writes nothing again.
bool Judge::answered_by_key(const OperationRecord& operation) const {
  if (!operation.shares_key) return false;
  const bool replicated = scenario_.cluster.profile == testing::Profile::replicated;
  return std::ranges::any_of(by_key_.at(operation.idempotency_key), [&](const OperationRecord* other) {
    if (other == &operation || other->applied() == 0 || (replicated && other->shard != operation.shard)) return false;
    return !other->succeeded() || other->version == operation.version;
  });
}

namespace {

// Two writes that were both acknowledged as one version of a shard, while they overlapped.
bool collide(const OperationRecord& a, const OperationRecord& b) {
  if (!a.wrote() || !b.wrote() || a.shard != b.shard) return false;
  if (a.users_key || b.users_key) return false;  // they may have the version of another write
  const AttemptRecord& last_a = a.attempts.back();
  const AttemptRecord& last_b = b.attempts.back();
  return a.version == b.version && last_a.node == last_b.node && last_a.started < *last_b.ended &&
         last_b.started < *last_a.ended;
}

}  // namespace

void Judge::check_collisions() const {
  const auto by_id = [this](std::uint64_t id) -> const OperationRecord* {
    for (const OperationRecord& operation : operations_) {
      if (static_cast<std::uint64_t>(operation.id) == id) return &operation;
    }
    return nullptr;
  };
  for (const WarningEvent& warning : collisions_) {
    const OperationRecord* a = by_id(warning.operations[0]);
    const OperationRecord* b = by_id(warning.operations[1]);
    if (a == nullptr || b == nullptr || !collide(*a, *b)) fail("collisions", "a false alarm: " + warning.message);
  }
  for (const OperationRecord& lost : operations_) {
    if (!lost.wrote() || lost.applied() > 0) continue;
    const bool noticeable = std::any_of(operations_.begin(), operations_.end(), [&](const OperationRecord& other) {
      return &other != &lost && collide(lost, other);
    });
    const bool noticed = std::any_of(collisions_.begin(), collisions_.end(), [&](const WarningEvent& warning) {
      const auto id = static_cast<std::uint64_t>(lost.id);
      return warning.operations[0] == id || warning.operations[1] == id;
    });
    if (noticeable && !noticed) fail("collisions", lost, "it was lost, which could be seen, and nobody was warned");
  }
}

// The token bucket of all retries, once more: a retry takes its place in it when its pause begins, and does not go
// before it is its turn, or half of its time is over.
void Judge::check_retry_budget() const {
  const RetryBudget& options = scenario_.options.retry.budget;
  if (options.per_second == 0) return;
  const Duration interval = Duration{std::chrono::seconds{1}} / options.per_second;
  TimePoint full_at{};
  for (const BudgetStep& step : budget_steps_) {
    if (step.retried == nullptr) {
      if (full_at > step.at) full_at -= interval;
      continue;
    }
    const OperationRecord& operation = *step.retried;
    const auto next =
        std::ranges::find_if(operation.attempts, [&](const auto& each) { return each.sent > step.answered; });
    if (next == operation.attempts.end()) continue;  // it ended instead
    full_at = std::max(full_at, step.at) + interval;
    const TimePoint turn = std::min(full_at - interval * options.burst, step.at + (operation.deadline - step.at) / 2);
    if (next->started < turn) fail("retry-budget", operation, "it is tried again before the budget allows it");
  }
}

}  // namespace norikv::simulation
