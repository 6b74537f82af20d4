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
  constexpr const char* texts[] = {"put", "remove", "get", "replace", "insert", "remove_if", "mismatch", "revive"};
  return texts[static_cast<std::size_t>(kind)];
}

// What was there when the operation looked, or when its user did; none = it writes over anything.
std::optional<Value> expected_of(const OperationRecord& operation) {
  return operation.looks == Looks::update ? operation.rounds.back().seen : operation.expected;
}

Access read(Value value, std::uint64_t begin, std::uint64_t end) {
  return {Access::Kind::get, value, missing, begin, end};
}

}  // namespace

void Histories::add(const OperationRecord& operation) {
  operations_.push_back(&operation);
  if (operation.ttl) mortal_.insert(operation.value);
}

void Histories::tell(const OperationRecord& operation) {
  if (operation.looks != Looks::never) tell_looks(operation);
  if (!operation.is_write()) {
    if (!operation.succeeded() || !asks_leader(operation)) return;
    Access access = read(operation.seen, operation.attempts.front().sent, operation.end);
    for (const AttemptRecord& attempt : operation.attempts) {
      if (attempt.succeeded()) access.end = std::min(access.end, attempt.answered);
    }
    return tell(operation, access, true);
  }
  std::optional<Access> access = write_of(operation);
  if (!access) return;
  const std::vector<Access> repeats = repeats_of(operation, *access);
  const bool happened = access->end != Access::never || operation.applied() > 0;
  tell(operation, *access, happened);
  if (happened && operation.applied() == 1) histories_[operation.key].known.back().place = operation.place();
  for (const Access& repeat : repeats) tell(operation, repeat, true);
  // The server did compare, only not in one step with the write.
  if (operation.succeeded() && operation.looks != Looks::unchanged && may_expire_unnoticed(operation))
    tell(operation, read(*expected_of(operation), access->begin, access->end), true);
}

// What a write with a time to live wrote goes when that is over, which begins when the server applies it: as exactly as
// its clock. A real server may do so twice, with a key that it has forgotten, or did not know yet: the value lives on
// then, or is there again.
std::vector<Access> Histories::repeats_of(const OperationRecord& operation, Access& first) const {
  std::vector<Access> repeats;
  if (!operation.ttl) return repeats;
  std::vector<const AttemptRecord*> applied;
  for (const AttemptRecord& attempt : operation.attempts) {
    if (attempt.fate && attempt.fate->applied > 0) applied.push_back(&attempt);
  }
  std::ranges::stable_sort(applied, {}, [](const AttemptRecord* attempt) { return attempt->fate->at; });
  for (std::size_t i = 0; i < applied.size(); ++i) {
    const TimePoint begins = applied[i]->fate->at;
    const TimePoint ends = begins + *operation.ttl;
    const bool forgotten = std::ranges::any_of(
        kills_, [&](std::uint64_t kill) { return agenda_.place_of(begins) < kill && kill < agenda_.place_of(ends); });
    const bool goes_on = i + 1 < applied.size() && applied[i + 1]->fate->at < ends;
    if (i > 0)
      repeats.push_back({Access::Kind::put, operation.value, missing, applied[i]->sent, applied[i]->fate->place});
    if (!forgotten && !goes_on) (i > 0 ? repeats.back() : first).expires = agenda_.place_of(ends);
  }
  return repeats;
}

// With the life of a real server ends what it remembers of times to live: what had expired may come back.
void Histories::tell_kills(History& history) const {
  for (const std::uint64_t kill : kills_) {
    const Access revived{Access::Kind::revive, missing, missing, kill, kill};
    history.told.push_back(revived);
    history.known.push_back(revived);
    history.operations.push_back("the server starts again");
  }
}

void Histories::tell(const OperationRecord& operation, const Access& access, bool happened) {
  History& history = histories_[operation.key];
  history.told.push_back(access);
  if (happened) history.known.push_back(access);
  history.operations.push_back("client " + std::to_string(operation.client) + ": operation " +
                               std::to_string(operation.number));
}

// Each look is a read, and a round that was answered with a mismatch one more look.
void Histories::tell_looks(const OperationRecord& operation) {
  const auto saw = [&](const Access& access) { tell(operation, access, true); };
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
  // It was taken for another write with its key.
  if (operation.succeeded() && operation.shares_key && operation.applied() == 0) return std::nullopt;
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
  access.expected = expected_of(operation).value_or(missing);
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
  const bool compared =
      (alone || scenario_.cluster.profile == testing::Profile::replicated) && !may_expire_unnoticed(operation);
  const bool stays_missing = alone && !may_come_back(operation);
  switch (operation.looks) {
    case Looks::absent:
      return stays_missing ? Kind::insert : Kind::put;
    case Looks::unchanged:
      return compared ? Kind::remove_if : Kind::remove;
    case Looks::update:
      if (operation.rounds.back().seen == missing) return stays_missing ? Kind::insert : Kind::put;
      return compared ? Kind::replace : Kind::put;
    case Looks::never:
      break;
  }
  if (operation.method == wire::Method::remove) return Kind::remove;
  return operation.expected && compared ? Kind::replace : Kind::put;
}

// A real server compares when a write arrives, and writes when it is committed. A lane keeps other writes away in
// between, and not the end of a time to live: a read can find the key missing, and the write comes after that.
bool Histories::may_expire_unnoticed(const OperationRecord& operation) const {
  const std::optional<Value> expected = expected_of(operation);
  return scenario_.cluster.profile == testing::Profile::norikv && expected && mortal_.count(*expected) > 0;
}

// Between the look at a key that is missing and the write a real server was killed, and brought back what had expired.
bool Histories::may_come_back(const OperationRecord& operation) const {
  const AttemptRecord* const look = operation.look_answered();
  return look != nullptr && !mortal_.empty() &&
         std::ranges::any_of(kills_, [&](std::uint64_t kill) { return look->sent < kill && kill < operation.end; });
}

void Histories::check(Trace& trace) {
  for (const OperationRecord* operation : operations_) tell(*operation);
  for (auto& [key, history] : histories_) {
    if (!mortal_.empty()) tell_kills(history);
    Linearizability result = check_register(history.told);
    if (result == Linearizability::undecided && check_register(history.known) == Linearizability::yes)
      result = Linearizability::yes;
    if (result == Linearizability::undecided)
      throw Violation{"undecided", "the history of key " + key + " is too large"};
    for (std::size_t i = 0; result == Linearizability::no && i < history.told.size(); ++i) {
      const Access& access = history.told[i];
      const auto place = [](std::uint64_t of) { return of == Access::never ? "never" : std::to_string(of); };
      trace("key {}: {}: {} {} over {}, from {} to {}, expires {}", key, history.operations[i], text_of(access.kind),
            access.value, access.expected, access.begin, place(access.end), place(access.expires));
    }
    if (result == Linearizability::no)
      throw Violation{"linearizable", "no order of the operations on key " + key + " explains what users saw"};
  }
}

}  // namespace norikv::simulation
