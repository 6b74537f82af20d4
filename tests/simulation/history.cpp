#include "simulation/history.hpp"

#include <algorithm>
#include <utility>

namespace norikv::simulation {
namespace {

bool may_be_open(const OperationRecord& operation) { return operation.error && operation.error->maybe_applied; }

bool asks_leader(const OperationRecord& operation) {
  return operation.is_write() || operation.consistency == Consistency::lease ||
         operation.consistency == Consistency::linearizable;
}

// The requests that wrote what the operation wrote last: of an update those of its last round.
bool writes_last(const OperationRecord& operation, const AttemptRecord& attempt) {
  return attempt.is_write() && attempt.value == operation.value;
}

const char* text_of(Access::Kind kind) {
  constexpr const char* texts[] = {"put", "remove", "get", "replace", "insert", "remove_if", "mismatch"};
  return texts[static_cast<std::size_t>(kind)];
}

Access read(Value value, std::uint64_t begin, std::uint64_t end) {
  return {Access::Kind::get, value, missing, begin, end};
}

}  // namespace

void Histories::add(const OperationRecord& operation) {
  if (operation.looks != Looks::never) add_looks(operation);
  if (!operation.is_write()) {
    if (!operation.succeeded() || !asks_leader(operation)) return;
    Access access = read(operation.seen, operation.attempts.front().sent, operation.end);
    for (const AttemptRecord& attempt : operation.attempts) {
      if (attempt.succeeded()) access.end = std::min(access.end, attempt.answered);
    }
    return add(operation, access, true);
  }
  const std::optional<Access> access = write_of(operation);
  if (!access) return;
  const bool happened = access->end != Access::never || operation.applied() > 0;
  add(operation, *access, happened);
  if (happened && operation.applied() == 1) histories_[operation.key].known.back().place = operation.place();
}

void Histories::add(const OperationRecord& operation, const Access& access, bool happened) {
  History& history = histories_[operation.key];
  history.told.push_back(access);
  if (happened) history.known.push_back(access);
  history.operations.push_back("client " + std::to_string(operation.client) + ": operation " +
                               std::to_string(operation.number));
}

// Each look is a read, and a round that was answered with a mismatch one more look.
void Histories::add_looks(const OperationRecord& operation) {
  const auto saw = [&](const Access& access) { add(operation, access, true); };
  const bool last_is_open = may_be_open(operation);
  for (const AttemptRecord& attempt : operation.attempts) {
    if (!attempt.ended) continue;
    if (!attempt.is_write()) {
      if (attempt.succeeded()) saw(read(attempt.value, attempt.sent, attempt.answered));
      continue;
    }
    if (operation.looks != Looks::update || scenario_.cluster.profile == testing::Profile::norikv) continue;
    if (!attempt.meaning.mismatch || (last_is_open && writes_last(operation, attempt))) continue;
    const auto round = std::find_if(operation.rounds.begin(), operation.rounds.end(),
                                    [&](const Round& each) { return each.stored == attempt.value; });
    if (round == operation.rounds.end() || round->seen == missing) continue;
    saw({Access::Kind::mismatch, missing, round->seen, attempt.sent, attempt.answered});
  }
}

// What an operation wrote, or may have written; none if it says nothing about the register.
std::optional<Access> Histories::write_of(const OperationRecord& operation) const {
  if (operation.succeeded() && !operation.wrote()) return std::nullopt;
  if (operation.error && !may_be_open(operation)) {
    // A real server that carries out a repeated write twice changes the version, and not the value.
    const bool mismatch = operation.error->code == ErrorCode::precondition_failed && operation.error->mismatch &&
                          operation.expected && !operation.attempts.empty() && operation.attempts.back().is_write();
    if (!mismatch || scenario_.cluster.profile == testing::Profile::norikv) return std::nullopt;
    return Access{Access::Kind::mismatch, missing, *operation.expected, operation.attempts.front().sent, operation.end};
  }
  Access access;
  access.kind = kind_of(operation);
  access.value = operation.value;
  access.expected =
      operation.looks == Looks::update ? operation.rounds.back().seen : operation.expected.value_or(missing);
  access.begin = operation.begin;
  access.end = may_be_open(operation) ? Access::never : operation.end;
  bool sent = false;
  for (const AttemptRecord& attempt : operation.attempts) {
    if (!writes_last(operation, attempt)) continue;
    // It takes effect on a server, so not before a request of it was sent.
    if (!std::exchange(sent, true)) access.begin = attempt.sent;
    if (operation.succeeded() && attempt.succeeded()) access.end = std::min(access.end, attempt.answered);
  }
  return access;
}

Access::Kind Histories::kind_of(const OperationRecord& operation) const {
  using Kind = Access::Kind;
  // The lane keeps all writes of the only client apart, from the look to the write.
  const bool alone = scenario_.clients == 1 && scenario_.options.writes.in_flight_per_shard == 1;
  const bool compared = alone || scenario_.cluster.profile == testing::Profile::replicated;
  switch (operation.looks) {
    case Looks::absent:
      return alone ? Kind::insert : Kind::put;
    case Looks::unchanged:
      return compared ? Kind::remove_if : Kind::remove;
    case Looks::update:
      if (operation.rounds.back().seen == missing) return alone ? Kind::insert : Kind::put;
      return compared ? Kind::replace : Kind::put;
    case Looks::never:
      break;
  }
  if (operation.method == wire::Method::remove) return Kind::remove;
  return operation.expected ? Kind::replace : Kind::put;
}

void Histories::check(Trace& trace) const {
  for (const auto& [key, history] : histories_) {
    Linearizability result = check_register(history.told);
    if (result == Linearizability::undecided && check_register(history.known) == Linearizability::yes)
      result = Linearizability::yes;
    if (result == Linearizability::undecided)
      throw Violation{"undecided", "the history of key " + key + " is too large"};
    for (std::size_t i = 0; result == Linearizability::no && i < history.told.size(); ++i) {
      const Access& access = history.told[i];
      trace("key {}: {}: {} {} over {}, from {} to {}", key, history.operations[i], text_of(access.kind), access.value,
            access.expected, access.begin, access.end == Access::never ? 0 : access.end);
    }
    if (result == Linearizability::no)
      throw Violation{"linearizable", "no order of the operations on key " + key + " explains what users saw"};
  }
}

}  // namespace norikv::simulation
