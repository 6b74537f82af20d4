#include <algorithm>

#include "simulation/judge.hpp"

// What a write that looks at its key first must keep: it looks, decides, and writes what it has decided on.
namespace norikv::simulation {
namespace {

using Class = Meaning::Class;

bool not_applied(const Meaning& meaning) {
  return meaning.kind == Class::not_leader || meaning.kind == Class::not_processed;
}

}  // namespace

void Judge::asked(OperationRecord& operation, const std::optional<Entry>& found) const {
  if (!operation.pending()) fail("attempt-after-end", operation, "its function runs after its callback");
  if (operation.rounds.size() >= operation.max_rounds)
    fail("rounds", operation, "its function runs more often than max_rounds allows");
  if (operation.outcome_unknown()) fail("rounds", operation, "its function runs on what may be its own result");
  const AttemptRecord* const look = operation.look_answered();
  if (look == nullptr) fail("look", operation, "its function runs before the key was read");
  if (look->value != value_of(found) || (found && look->version != found->version))
    fail("look", operation, "its function is given something else than what was read");
  operation.rounds.push_back({value_of(found), found ? std::optional(found->version) : std::nullopt, std::nullopt});
}

void Judge::decided(OperationRecord& operation, std::optional<Value> stored, std::optional<Duration> ttl) {
  operation.rounds.back().stored = stored;
  if (!stored) return;
  operation.value = *stored;
  operation.ttl = ttl ? std::optional(kept_for(*ttl)) : std::nullopt;
  by_value_.emplace(*stored, &operation);
}

void Judge::check_step(const OperationRecord& operation, const core::Call& call, const ServerRequest& request) const {
  check_helpers(operation);
  if (call.method == wire::Method::get)
    check_look(operation);
  else
    check_write(operation, request);
}

// It looks first of all, and again when it is known that nothing was written and what it saw may be old.
void Judge::check_look(const OperationRecord& operation) const {
  if (operation.looks == Looks::update && operation.rounds.size() >= operation.max_rounds)
    fail("rounds", operation, "it looks again, and may not ask its function any more");
  if (operation.attempts.empty() || !operation.attempts.back().is_write()) return;
  if (operation.outcome_unknown()) fail("look", operation, "it looks again although a write of it may be applied");
  const Meaning& refusal = operation.attempts.back().meaning;
  const bool mismatch = operation.looks == Looks::update && refusal.code == ErrorCode::precondition_failed;
  if (!mismatch && !not_applied(refusal)) fail("look", operation, "it looks again after an answer that is final");
}

void Judge::check_write(const OperationRecord& operation, const ServerRequest& request) const {
  const AttemptRecord* const look = operation.look_answered();
  if (look == nullptr) fail("look", operation, "it writes without having looked");
  bool server_compares = false;
  bool may_look = true;
  if (operation.looks == Looks::absent) {
    if (look->value != missing) fail("look", operation, "it writes over what it has seen");
  } else if (operation.looks == Looks::unchanged) {
    if (look->version != operation.wanted) fail("look", operation, "it removes another version than it was asked to");
    if (request.write.if_match != operation.wanted) fail("look", operation, "it does not send its condition along");
  } else {
    const Round* const round = operation.rounds.empty() ? nullptr : &operation.rounds.back();
    if (round == nullptr || round->stored != value_of(request.write.value))
      fail("look", operation, "it stores what its function has not said");
    if (request.write.if_match != round->version)
      fail("look", operation, "its write is not conditional on what its function has seen");
    server_compares = round->version.has_value();
    may_look = operation.rounds.size() < operation.max_rounds;
  }
  const AttemptRecord& last = operation.attempts.back();
  if (last.is_write() && not_applied(last.meaning) && !server_compares && may_look && !operation.outcome_unknown())
    fail("look", operation, "it was refused, and writes again on what it saw before that");
}

// Those that look first work on a key one after the other, whatever the lanes allow.
void Judge::check_helpers(const OperationRecord& operation) const {
  const auto beside = [&](const OperationRecord& other) {
    if (&other != &operation && other.looks != Looks::never && other.key == operation.key)
      fail("helpers", operation, "it begins beside operation " + std::to_string(other.number) + ", on one key");
  };
  for (const auto& [id, entry] : on_wire_) {
    if (entry.operation != nullptr && entry.method != wire::Method::get) beside(*entry.operation);
  }
  for (const std::uint64_t number : pending_) {
    if (between_look_and_write(operations_[number])) beside(operations_[number]);
  }
}

/// Whether it surely works between the start of its look and its write.
bool Judge::between_look_and_write(const OperationRecord& operation) const {
  if (operation.looks == Looks::never || !operation.pending() || operation.attempts.empty()) return false;
  if (operation.cancelled || closes_at_ || operation.deadline <= agenda_.now()) return false;
  if (source_failed(operation)) return false;  // that ends who waits for a token
  const AttemptRecord& last = operation.attempts.back();
  if (last.is_write()) return false;  // that is what lanes are looked at for
  const bool looking = std::any_of(operation.attempts.begin(), operation.attempts.end(),
                                   [](const auto& each) { return !each.is_write() && !each.ended && !each.given_up; });
  if (looking) return true;
  const AttemptRecord* const look = operation.look_answered();
  if (look == nullptr || look < &operation.attempts[operation.step]) return false;
  switch (operation.looks) {
    case Looks::absent:
      return look->value == missing;
    case Looks::unchanged:
      return look->version == operation.wanted;
    default:
      return operation.rounds.empty() || operation.rounds.back().stored;
  }
}

bool Judge::judged_by_client(const OperationRecord& operation) const {
  if (operation.error->code != ErrorCode::precondition_failed || operation.attempts.empty()) return false;
  if (operation.looks != Looks::absent && operation.looks != Looks::unchanged) return false;
  const AttemptRecord* const look = operation.look_answered();
  return look != nullptr && look >= &operation.attempts[operation.step];
}

void Judge::check_judged(const OperationRecord& operation) const {
  const AttemptRecord* const look = operation.look_answered();
  const bool holds = operation.looks == Looks::absent ? look->value == missing : look->version == operation.wanted;
  if (holds) fail("wrong-end", operation, "its condition held, and it ended without writing");
  const std::optional<VersionMismatch>& told = operation.error->mismatch;
  if (!told || told->actual != look->version || told->expected != operation.wanted.value_or(Version{}))
    fail("wrong-end", operation, "its error tells other versions than it saw");
}

void Judge::check_updated(const OperationRecord& operation) const {
  const Updated& told = *operation.updated;
  if (operation.rounds.empty()) fail("wrong-end", operation, "an update that did not ask its function");
  if (told.rounds != operation.rounds.size())
    fail("rounds", operation,
         "it tells " + std::to_string(told.rounds) + " rounds of " + std::to_string(operation.rounds.size()));
  const Round& last = operation.rounds.back();
  if (told.stored != last.stored.has_value()) fail("wrong-end", operation, "it does not tell whether it stored");
  if (!told.stored && told.version != last.version)
    fail("wrong-end", operation, "it kept another version than its function has seen");
}

// Between the look of a write and the write itself no other one that looks first was applied to its key.
void Judge::check_looked_in_time() const {
  for (const OperationRecord& operation : operations_) {
    if (operation.looks == Looks::never || !operation.wrote() || operation.applied() != 1) continue;
    for (const OperationRecord& other : operations_) {
      if (&other == &operation || other.looks == Looks::never || other.key != operation.key) continue;
      for (const AttemptRecord& write : other.attempts) {
        if (!write.fate || write.fate->place <= operation.look_answered()->answered) continue;
        if (write.fate->place < operation.place())
          fail("helpers", operation, "operation " + std::to_string(other.number) + " wrote the key after its look");
      }
    }
  }
}

}  // namespace norikv::simulation
