#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <norikv/client.hpp>
#include <norikv/update.hpp>

#include "core/ids.hpp"
#include "simulation/linearizability.hpp"
#include "simulation/meaning.hpp"
#include "testing/cluster_model.hpp"
#include "wire/wire.hpp"

// What happened to one operation, as its user, the network and the server saw it. Kept by the judge.
namespace norikv::simulation {

/// One request of an operation on the wire.
struct AttemptRecord {
  core::CallId call{};
  wire::Method method{};
  std::size_t node = 0;
  TimePoint started{};
  std::uint64_t sent = 0;          ///< Its place among everything that happened.
  std::optional<TimePoint> ended;  ///< When the client was told.
  std::uint64_t answered = 0;      ///< The answer's place.
  Meaning meaning;
  bool given_up = false;   ///< The client cancelled it.
  bool searches = false;   ///< It asked for a leader that the client did not know.
  std::size_t token = 0;   ///< Which one it carried, of those that its client was given; 0 = none.
  bool at_leader = false;  ///< It asked the leader that the client knew.
  std::shared_ptr<testing::WriteFate> fate;
  Value value = missing;           ///< What a get brought, or a put wrote ...
  std::optional<Version> version;  ///< ... and its version.

  [[nodiscard]] bool is_write() const { return method != wire::Method::get; }
  [[nodiscard]] bool succeeded() const { return ended && meaning.success(); }
  /// Whether it tells what became of the key, or has not told yet what became of a write.
  [[nodiscard]] bool outcome_unknown() const { return is_write() && (!ended || !meaning.definite); }
};

/// Whether a write looks at its key first, and what for.
enum class Looks : std::uint8_t { never, absent, unchanged, update };

/// An update's function ran.
struct Round {
  Value seen = missing;
  std::optional<Version> version;  ///< Of what was seen.
  std::optional<Value> stored;     ///< None = it kept what it saw.
};

/// What a user asked for, and what became of it.
struct OperationRecord {
  std::uint64_t number = 0;  ///< Over all clients.
  std::size_t client = 0;
  core::OpId id{};
  wire::Method method{};
  std::string key;
  std::uint32_t shard = 0;
  Value value = missing;          ///< Of a put.
  std::optional<Value> expected;  ///< Of a write with a precondition ...
  std::optional<Version> wanted;  ///< ... and the version of this value.
  Looks looks = Looks::never;
  std::uint32_t max_rounds = 0;  ///< Of an update.
  std::optional<Duration> ttl;   ///< Of what it writes: how long the server keeps it.
  bool has_idempotency_key = false;
  std::string idempotency_key;  ///< Of an update none: each round has another one.
  bool users_key = false;       ///< Its user chose the key ...
  bool shares_key = false;      ///< ... and used it for another operation, too.
  Consistency consistency = Consistency::lease;
  wire::Payload payload;
  wire::Payload look;  ///< The get that comes first.
  TimePoint submitted{};
  TimePoint deadline{};
  std::uint64_t begin = 0;  ///< Stamps of the agenda.
  std::uint64_t end = 0;
  bool cancelled = false;  ///< By its user.
  bool refused = false;    ///< Before it became an operation of the session.

  int told = 0;
  TimePoint told_at{};
  std::optional<Error> error;
  Version version;       ///< Of a write that succeeded.
  Value seen = missing;  ///< Of a get that succeeded.
  std::vector<Round> rounds;
  std::optional<Updated> updated;  ///< Of an update that succeeded.
  std::vector<AttemptRecord> attempts;
  std::size_t step = 0;  ///< The first attempt of the step at hand: a look, or a write.

  [[nodiscard]] bool pending() const { return told == 0; }
  [[nodiscard]] bool succeeded() const { return told > 0 && !error; }
  [[nodiscard]] bool is_write() const { return method != wire::Method::get; }
  /// Whether it succeeded by writing.
  [[nodiscard]] bool wrote() const { return is_write() && succeeded() && (!updated || updated->stored); }
  /// The look that counts: the latest one that was answered in time.
  [[nodiscard]] const AttemptRecord* look_answered() const {
    for (auto attempt = attempts.rbegin(); attempt != attempts.rend(); ++attempt) {
      if (!attempt->is_write() && attempt->succeeded() && !attempt->given_up) return &*attempt;
    }
    return nullptr;
  }
  /// Whether some write of it may have been applied, as far as it has been told.
  [[nodiscard]] bool outcome_unknown() const {
    return std::any_of(attempts.begin(), attempts.end(), [](const auto& each) { return each.outcome_unknown(); });
  }
  /// How often it took effect, over all its attempts.
  [[nodiscard]] std::uint32_t applied() const {
    std::uint32_t times = 0;
    for (const AttemptRecord& attempt : attempts) times += attempt.fate ? attempt.fate->applied : 0;
    return times;
  }
  /// When it took effect last, among all writes; 0 = never.
  [[nodiscard]] std::uint64_t place() const {
    std::uint64_t last = 0;
    for (const AttemptRecord& attempt : attempts) last = std::max(last, attempt.fate ? attempt.fate->place : 0);
    return last;
  }
};

/// A promise that was broken: which check noticed it, and how.
struct Violation {
  std::string check;
  std::string detail;
};

}  // namespace norikv::simulation
