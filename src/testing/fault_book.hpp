#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include <norikv/testing/faults.hpp>
#include <norikv/types.hpp>

#include "testing/cluster_model.hpp"

namespace norikv::testing {

// What a fault does to a request.
struct DelayRequest {
  Duration time{};
};
/// The node takes the request's headers and reads its message only after this time.
struct ReadLate {
  Duration time{};
};
struct DropConnection {
  Moment moment{};
};
struct CompressReply {};

using FaultEffect = std::variant<DelayRequest, ReadLate, DropConnection, CompressReply, ScriptedReply>;

enum class FaultId : std::uint64_t {};

/// A request, as far as faults look at it. `key` is empty for what has none.
struct RequestInfo {
  NodeIndex node = 0;
  Method method{};
  std::string_view key{};
};

/// What is to be done to one request.
struct Treatment {
  Duration delay{};
  bool compress = false;
  std::optional<Moment> drop{};
  std::optional<ScriptedReply> reply{};
};

/// Which fault hits which request: counts, and nothing else. [any thread]
///
/// Delays add up. Of the faults that decide the answer the oldest one that matches takes the request, so that faults
/// with a count follow each other. Owned by the cluster.
class FaultBook {
 public:
  using Hits = std::shared_ptr<std::atomic<std::uint64_t>>;

  /// `hits` counts along.
  FaultId add(Requests requests, FaultEffect effect, Hits hits);
  void remove(FaultId id);

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// How long the node waits before it reads the request's message. Its key is not known yet.
  [[nodiscard]] Duration read_pause(const RequestInfo& request);
  /// Everything else.
  [[nodiscard]] Treatment treat(const RequestInfo& request);

 private:
  struct Entry {
    FaultId id{};
    Requests requests;
    FaultEffect effect;
    Hits hits;
  };
  /// Whether the entry hits; counts if so.
  static bool hit(Entry& entry, const RequestInfo& request);

  std::atomic<std::size_t> size_{0};
  std::mutex mutex_;
  std::vector<Entry> entries_;  ///< Oldest first.
  std::uint64_t last_id_ = 0;
};

}  // namespace norikv::testing
