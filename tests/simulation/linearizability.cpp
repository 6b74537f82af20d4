#include "simulation/linearizability.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <functional>
#include <optional>
#include <unordered_set>
#include <utility>

namespace norikv::simulation {
namespace {

constexpr std::size_t max_steps = 20'000'000;
constexpr Value nobody_saw_it = UINT64_MAX;

bool writes(const Access& access) {
  return access.kind == Access::Kind::put || access.kind == Access::Kind::replace ||
         access.kind == Access::Kind::insert;
}
bool open(const Access& access) { return access.end == Access::never; }
bool expires(const Access& access) { return access.expires != Access::never; }

/// What the register holds. An expired value is missing, and may come back.
struct State {
  Value value = missing;
  bool expired = false;
  [[nodiscard]] Value seen() const { return expired ? missing : value; }
  friend bool operator==(const State&, const State&) = default;
};

bool sees(const Access& access, Value value) {
  switch (access.kind) {
    case Access::Kind::get:
      return access.value == value;
    case Access::Kind::replace:
    case Access::Kind::remove_if:
    case Access::Kind::mismatch:
    case Access::Kind::expire:
      return access.expected == value;
    case Access::Kind::insert:
      return value == missing;
    default:
      return false;
  }
}

/// What an unknown outcome leaves open is narrowed down: a write that a known operation saw took effect before that one
/// ended, and one that nobody saw changes nothing for anybody. What is left open makes the search exponential.
void simplify(std::vector<Access>& history) {
  const bool any_mismatch = std::any_of(history.begin(), history.end(),
                                        [](const Access& access) { return access.kind == Access::Kind::mismatch; });
  for (Access& write : history) {
    if (!open(write) || !writes(write)) continue;
    write.end = write.expires;
    for (const Access& reader : history) {
      // A mismatch is no sign that the value was ever there.
      if (reader.kind != Access::Kind::mismatch && sees(reader, write.value))
        write.end = std::min(write.end, reader.end);
    }
  }
  // A value that nobody saw may still be the reason for a mismatch.
  if (any_mismatch) return;
  std::erase_if(history, [&](const Access& write) {
    return open(write) && writes(write) && std::none_of(history.begin(), history.end(), [&](const Access& reader) {
             return sees(reader, write.value);
           });
  });
}

/// The register after an operation; none if the operation can't happen in this state.
std::optional<State> apply(const Access& access, State state) {
  const Value value = state.seen();
  const auto only_if = [](bool possible, State after) { return possible ? std::optional(after) : std::nullopt; };
  switch (access.kind) {
    case Access::Kind::put:
      return State{access.value};
    case Access::Kind::remove:
      return State{};
    case Access::Kind::get:
      return only_if(value == access.value, state);
    case Access::Kind::replace:
      return only_if(value == access.expected && value != missing, {access.value});
    case Access::Kind::insert:
      return only_if(value == missing, {access.value});
    case Access::Kind::remove_if:
      return only_if(value == access.expected && value != missing, {});
    case Access::Kind::mismatch:
      return only_if(value != access.expected, state);
    case Access::Kind::revive:
      return State{state.value};
    case Access::Kind::expire:
      return State{state.value, state.expired || state.value == access.expected};
  }
  return std::nullopt;
}

/// What ends by itself, as operations of their own behind the others.
std::vector<Access> with_expiries(std::vector<Access> history) {
  const std::size_t asked = history.size();
  for (std::size_t i = 0; i < asked; ++i) {
    const Access write = history[i];
    if (expires(write)) history.push_back({Access::Kind::expire, missing, write.value, write.expires, write.expires});
  }
  return history;
}

using Done = std::bitset<max_accesses>;

struct Visited {
  Done done;
  State state;
  friend bool operator==(const Visited&, const Visited&) = default;
};
struct HashVisited {
  std::size_t operator()(const Visited& visited) const {
    return std::hash<Done>{}(visited.done) ^
           ((2 * visited.state.value + (visited.state.expired ? 1 : 0)) * 0x9e3779b97f4a7c15);
  }
};

/// The begins and ends of operations as a linked list in their order: an operation that was put in its place is taken
/// out, and comes back if that led nowhere.
class Search {
 public:
  explicit Search(const std::vector<Access>& history)
      : history_(history), events_(1), unseen_(history.size()), writer_(history.size()) {
    std::size_t expiry = history.size() - static_cast<std::size_t>(std::ranges::count_if(history, expires));
    for (std::size_t i = 0; i < history.size(); ++i) {
      if (expires(history[i])) writer_[expiry++] = i;
      unseen_[i] = history[i].kind == Access::Kind::put &&
                   std::none_of(history.begin(), history.end(),
                                [&](const Access& other) { return sees(other, history[i].value); });
    }
    std::vector<std::pair<std::uint64_t, Event>> order;
    for (std::size_t i = 0; i < history.size(); ++i) {
      order.push_back({history[i].begin, {i, true}});
      if (open(history[i])) continue;
      order.push_back({history[i].end, {i, false}});
      ++unplaced_;
    }
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    sort_choices(order);
    begin_of_.resize(history.size());
    end_of_.resize(history.size(), 0);
    for (const auto& [place, event] : order) {
      (event.begins ? begin_of_ : end_of_)[event.access] = events_.size();
      events_.push_back(event);
    }
    for (std::size_t i = 0; i < events_.size(); ++i) {
      events_[i].previous = i - 1;
      events_[i].next = i + 1 < events_.size() ? i + 1 : 0;
    }
  }

  Linearizability run() {
    std::size_t event = next_choice();
    for (std::size_t steps = 0; unplaced_ > 0; ++steps) {
      if (steps == max_steps) return Linearizability::undecided;
      if (event != 0 && events_[event].begins) {
        event = try_place(events_[event].access) ? next_choice() : events_[event].next;
        continue;
      }
      // An operation ends here that has no place yet: what was placed last must be taken back, with the reads that
      // were no choice.
      while (!placed_.empty() && !placed_.back().chosen) take_back();
      if (placed_.empty()) return Linearizability::no;
      event = events_[take_back()].next;
    }
    return Linearizability::yes;
  }

 private:
  struct Event {
    std::size_t access = 0;
    bool begins = false;
    std::size_t previous = 0, next = 0;  // 0 = the head of the list, which stands for its end too
  };

  // Of several that begin before anything else ends, the one whose time is up first is tried first: it, or a reader of
  // what it wrote. That finds an order soon, if there is one.
  void sort_choices(std::vector<std::pair<std::uint64_t, Event>>& order) const {
    std::vector<std::uint64_t> urgent(history_.size());
    for (std::size_t i = 0; i < history_.size(); ++i) {
      urgent[i] = history_[i].end;
      if (!writes(history_[i])) continue;
      for (const Access& reader : history_) {
        if (sees(reader, history_[i].value)) urgent[i] = std::min(urgent[i], reader.end);
      }
    }
    for (auto run = order.begin(); run != order.end();) {
      const auto begins = [](const auto& each) { return each.second.begins; };
      const auto from = std::find_if(run, order.end(), begins);
      run = std::find_if_not(from, order.end(), begins);
      std::stable_sort(from, run,
                       [&](const auto& a, const auto& b) { return urgent[a.second.access] < urgent[b.second.access]; });
    }
  }

  struct Placed {
    std::size_t access = 0;
    State before;
    bool chosen = true;
  };

  // Whatever only looks, and could be next, may as well be: it changes nothing for the others. So does an end that has
  // nothing to end, or a return of nothing: what they are about does not come again. What is left is a choice.
  std::size_t next_choice() {
    for (std::size_t event = events_[0].next; event != 0 && events_[event].begins;) {
      const std::size_t index = events_[event].access;
      const Access& access = history_[index];
      const bool looks =
          !writes(access) && access.kind != Access::Kind::remove && access.kind != Access::Kind::remove_if;
      event = events_[event].next;
      if (looks && next_state(index) == state_) {
        place(index, {index, state_, false});
        event = events_[0].next;  // more may begin before the next end
      }
    }
    return events_[0].next;
  }

  // A value ends after it was written.
  [[nodiscard]] std::optional<State> next_state(std::size_t index) const {
    if (history_[index].kind == Access::Kind::expire && !done_[writer_[index]]) return std::nullopt;
    return apply(history_[index], state_);
  }

  void place(std::size_t index, const Placed& placed) {
    placed_.push_back(placed);
    done_.set(index);
    unlink(begin_of_[index]);
    if (open(history_[index])) return;
    unlink(end_of_[index]);
    --unplaced_;
  }

  bool try_place(std::size_t index) {
    if (!worth_trying(index)) return false;
    const std::optional<State> after = next_state(index);
    if (!after) return false;
    Done done = done_;
    done.set(index);
    if (!visited_.insert({done, unseen_[index] ? State{nobody_saw_it} : *after}).second) return false;
    place(index, {index, state_});
    state_ = *after;
    return true;
  }

  // Removes are all alike, and so are puts of values that nobody saw: of those that could be next, the one that ends
  // first goes first. Exchanged with it, any other order is one of these. And what may never have happened only
  // happened if somebody sees it, at once.
  bool worth_trying(std::size_t index) const {
    const Access& access = history_[index];
    if (access.place > 0) return is_next(access.place);
    const bool remove = access.kind == Access::Kind::remove;
    if (!remove && !unseen_[index]) return true;
    if (remove && open(access) && state_.seen() == missing) return false;
    bool somebody_sees_it = !open(access);
    for (std::size_t event = events_[0].next; event != 0 && events_[event].begins; event = events_[event].next) {
      const std::size_t other_index = events_[event].access;
      const Access& other = history_[other_index];
      somebody_sees_it = somebody_sees_it ||
                         (other.kind == Access::Kind::mismatch && other.expected == state_.seen()) ||
                         (remove && other.kind != Access::Kind::mismatch && sees(other, missing));
      if (other_index == index || (remove ? other.kind != Access::Kind::remove : !unseen_[other_index])) continue;
      if (other.end < access.end || (other.end == access.end && other_index < index)) return false;
    }
    return somebody_sees_it;
  }

  bool is_next(std::uint64_t place) const {
    for (std::size_t event = events_[0].next; event != 0; event = events_[event].next) {
      const std::uint64_t other = history_[events_[event].access].place;
      if (other > 0 && other < place) return false;
    }
    return true;
  }

  std::size_t take_back() {
    const Placed last = placed_.back();
    placed_.pop_back();
    if (!open(history_[last.access])) {
      relink(end_of_[last.access]);
      ++unplaced_;
    }
    relink(begin_of_[last.access]);
    done_.reset(last.access);
    state_ = last.before;
    return begin_of_[last.access];
  }

  void unlink(std::size_t event) {
    events_[events_[event].previous].next = events_[event].next;
    if (events_[event].next != 0) events_[events_[event].next].previous = events_[event].previous;
  }
  void relink(std::size_t event) {
    events_[events_[event].previous].next = event;
    if (events_[event].next != 0) events_[events_[event].next].previous = event;
  }

  const std::vector<Access>& history_;
  std::vector<Event> events_;
  std::vector<std::size_t> begin_of_, end_of_;
  std::vector<bool> unseen_;
  std::vector<std::size_t> writer_;  // of an end, who wrote what ends
  std::vector<Placed> placed_;
  std::unordered_set<Visited, HashVisited> visited_;
  Done done_;
  State state_;
  std::size_t unplaced_ = 0;  // of known outcome
};

}  // namespace

Linearizability check_register(std::vector<Access> history) {
  simplify(history);
  history = with_expiries(std::move(history));
  if (history.size() > max_accesses) return Linearizability::undecided;
  return Search{history}.run();
}

}  // namespace norikv::simulation
