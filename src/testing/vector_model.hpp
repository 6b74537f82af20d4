#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <norikv.pb.h>
#include <norikv/testing/cluster.hpp>
#include <norikv/types.hpp>

#include "testing/cluster_model.hpp"
#include "testing/refusal.hpp"
#include "testing/shard_store.hpp"
#include "testing/vector_store.hpp"

namespace norikv::testing {

/// The Vector service of a cluster without a network, a thread or a clock. It lives in shard 0: the leader of that
/// shard answers everything, the others what allows it. Its texts, and the order of its checks, are those of the
/// server's code (which the server 0.1.0 has, and does not register). Owner: the engine, which serialises all calls.
///
/// A write takes effect when it arrives; when it is answered is up to `answer_due`, as for keys.
class VectorModel {
 public:
  /// A request's circumstances: where and when it arrived, and which node leads shard 0 at that moment.
  struct Arrival {
    NodeIndex node = 0;
    std::optional<NodeIndex> leader;
    TimePoint time{};
  };

  VectorModel(const ClusterConfig& config, TimePoint now);

  Answer<v1::CreateVectorIndexResponse> handle(const Arrival& arrival, const v1::CreateVectorIndexRequest& request);
  Answer<v1::DropVectorIndexResponse> handle(const Arrival& arrival, const v1::DropVectorIndexRequest& request);
  Answer<v1::VectorInsertResponse> handle(const Arrival& arrival, const v1::VectorInsertRequest& request);
  Answer<v1::VectorDeleteResponse> handle(const Arrival& arrival, const v1::VectorDeleteRequest& request);
  Answer<v1::VectorSearchResponse> handle(const Arrival& arrival, const v1::VectorSearchRequest& request);
  Answer<v1::VectorGetResponse> handle(const Arrival& arrival, const v1::VectorGetRequest& request);

  /// When the request that was handled last is to be answered: when it arrived, or, for a write that was carried out,
  /// when it is committed.
  [[nodiscard]] TimePoint answer_due() const noexcept { return answer_due_; }

  /// A node starts again. Profile norikv: what it stored stays, its log starts again at 1, idempotency keys are
  /// forgotten.
  void restart(NodeIndex node);

  /// The most writes that were under way at one moment.
  [[nodiscard]] std::uint32_t max_overlapping_writes() const noexcept { return max_overlapping_; }

 private:
  /// What one server holds; in profile replicated one stands for all.
  struct Server {
    VectorStore store;
    StringMap<bool> idempotency_keys;  ///< Apart from those of keys.
    std::uint64_t log_index = 0;
  };

  /// Makes a write: a repeated idempotency key is answered from memory, then only the leader goes on. `apply` returns
  /// an `Answer<bool>`.
  template <class Apply>
  Answer<bool> write(const Arrival& arrival, const std::string& idempotency_key, Apply apply);
  /// What becomes of a write that the storage did or did not take.
  [[nodiscard]] Answer<bool> applied(VectorStore::Stored<bool> stored, const char* failure) const;
  /// Whether this node may answer a read of this consistency.
  [[nodiscard]] Answer<void> admit_read(const Arrival& arrival, const std::string& consistency) const;
  [[nodiscard]] std::string hint(const Arrival& arrival) const;
  [[nodiscard]] Server& server(NodeIndex node);
  [[nodiscard]] bool stores() const noexcept { return config_.vectors == VectorService::working; }

  ClusterConfig config_;
  TimePoint heartbeats_;
  std::vector<Server> servers_;
  TimePoint answer_due_{};
  std::vector<TimePoint> under_way_;  ///< When each of the writes is answered that were not, last time.
  std::uint32_t max_overlapping_ = 0;
};

/// The reply to a request of the Vector service.
template <class Request>
using VectorReply = typename decltype(std::declval<VectorModel&>().handle(std::declval<const VectorModel::Arrival&>(),
                                                                          std::declval<const Request&>()))::value_type;

}  // namespace norikv::testing
