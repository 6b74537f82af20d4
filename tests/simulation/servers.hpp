#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/transport.hpp"
#include "simulation/agenda.hpp"
#include "simulation/authority.hpp"
#include "simulation/codec.hpp"
#include "simulation/scenario.hpp"
#include "simulation/trace.hpp"
#include "testing/cluster_model.hpp"

namespace norikv::simulation {

/// One request at a server. Shared by the network, which takes its answer and tells when its client is gone.
struct Inquiry {
  wire::Method method{};
  std::string bytes;
  std::string token;
  TimePoint deadline{};
  std::shared_ptr<testing::WriteFate> fate;
  std::function<void(core::Reply)> answer;
  bool client_gone = false;
};

/// The nodes of the cluster: the model of the server, and what can be wrong with a server.
class Servers {
 public:
  Servers(const Scenario& scenario, Agenda& agenda, Trace& trace);

  /// A request has arrived at a node that runs.
  void arrive(std::size_t node, std::shared_ptr<Inquiry> inquiry);

  [[nodiscard]] bool running(std::size_t node) const { return nodes_[node].running; }
  [[nodiscard]] bool frozen(std::size_t node) const { return nodes_[node].frozen; }
  void stop(std::size_t node);
  void restart(std::size_t node);
  void freeze(std::size_t node);
  void thaw(std::size_t node);
  bool move_leader(std::uint32_t shard, std::size_t node);
  /// From now on the servers do nothing wrong.
  void behave() { misbehaves_ = false; }

  /// Why a server takes no request or stream with this token; none = it does.
  [[nodiscard]] std::optional<std::string> refusal_of(const std::string& token);
  [[nodiscard]] Authority& authority() { return authority_; }
  /// When real servers were killed: these forget then which values were to expire.
  [[nodiscard]] const std::vector<std::uint64_t>& kills() const { return kills_; }

  [[nodiscard]] wire::View view(std::size_t node);
  [[nodiscard]] std::uint64_t view_epoch(std::size_t node);
  [[nodiscard]] TimePoint next_view(std::size_t node);
  [[nodiscard]] std::uint32_t max_overlapping_writes(std::uint32_t shard) const {
    return model_->max_overlapping_writes(shard);
  }

 private:
  using Shared = std::shared_ptr<Inquiry>;
  struct Node {
    bool running = true;
    bool frozen = false;
    std::uint64_t process = 0;  ///< Counts its starts.
    std::vector<Shared> held;
  };
  struct UnderWay {
    Shared inquiry;
    testing::WriteTicket ticket;
    std::uint64_t process = 0;
    bool commit_times_out = false;
  };

  void serve(std::size_t node, const Shared& inquiry);
  bool refuse_by_script(const Shared& inquiry);
  void serve_read(std::size_t node, const Shared& inquiry, ServerRequest request);
  std::optional<Entry> stale_or(const ServerRequest& request, const std::optional<Entry>& entry);
  void serve_write(std::size_t node, const Shared& inquiry, ServerRequest request);
  void look_after(const std::shared_ptr<UnderWay>& write);
  void finish_write(const Shared& inquiry, Version version);
  void refuse(const Shared& inquiry, std::size_t node, const testing::Refusal& refusal);
  void reply(const Shared& inquiry, core::Reply reply);
  void reply(const Shared& inquiry, int status, std::string text) {
    core::Reply made;
    made.status = status;
    made.message = std::move(text);
    reply(inquiry, std::move(made));
  }
  [[nodiscard]] std::string hint_text(std::size_t node, const testing::Refusal& refusal);
  [[nodiscard]] bool misbehave(double probability) { return misbehaves_ && dice_.chance(probability); }

  const Scenario& scenario_;
  Agenda& agenda_;
  Trace& trace_;
  Dice dice_;
  Dice token_dice_;
  Authority authority_;
  std::vector<Node> nodes_;
  std::unique_ptr<testing::ClusterModel> model_;
  std::vector<std::uint64_t> kills_;
  bool misbehaves_ = true;
  struct Told {
    std::optional<Entry> last, before;
  };
  std::map<std::string, Told> told_;  // by key: what reads were told last, and before that
};

}  // namespace norikv::simulation
