#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <norikv/client.hpp>

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
  bool given_up = false;  ///< The client cancelled it.
  bool searches = false;  ///< It asked for a leader that the client did not know.
  std::shared_ptr<testing::WriteFate> fate;
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
  std::optional<Value> expected;  ///< Of a put with a precondition.
  bool has_idempotency_key = false;
  Consistency consistency = Consistency::lease;
  wire::Payload payload;
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
  std::vector<AttemptRecord> attempts;

  [[nodiscard]] bool pending() const { return told == 0; }
  [[nodiscard]] bool succeeded() const { return told > 0 && !error; }
  [[nodiscard]] bool is_write() const { return method != wire::Method::get; }
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
