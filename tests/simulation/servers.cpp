#include "simulation/servers.hpp"

#include <utility>

namespace norikv::simulation {
namespace {

using namespace std::chrono_literals;

// What a server that knows the SDKs' names understands, in the words of one that knows its own.
std::optional<std::string> from_sdk_level(const std::string& text) {
  if (text == "lease" || text == "linearizable") return "strong";
  if (text == "stale_ok") return "eventual";
  return std::nullopt;
}

struct Scripted {
  int status = 0;
  const char* text = "";
  const char* pushback = nullptr;
};

// Statuses that say nothing about the request; no write is carried out that gets one.
constexpr Scripted scripted[] = {
    {3, "No such thing"},
    {6, "Already there"},
    {7, "You may not"},
    {8, "Too busy"},
    {8, "Too busy", "120"},
    {8, "Too busy", "-1"},
    {8, "Too busy", "soon"},
    {9, "No leader of this"},
    {10, "Aborted"},
    {11, "Message too large"},
    {12, ""},
    {13, "Get failed: whatever"},
    {13, "Put failed: Io"},
    {13, "Failed to check current version: Timeout"},
    {14, "Shutting down"},
    {14, "Overloaded", "200"},
    {15, "Lost"},
    {16, "Who are you?"},
    {17, "What is this?"},
    {2, "Unknown"},
    {1, "Timeout expired"},
    {4, "Deadline"},
    {9, "Not leader"},
};

}  // namespace

Servers::Servers(const Scenario& scenario, Agenda& agenda, Trace& trace)
    : scenario_(scenario),
      agenda_(agenda),
      trace_(trace),
      dice_(scenario.seed, 2),
      token_dice_(scenario.seed, 7),
      authority_(agenda),
      nodes_(scenario.cluster.nodes) {
  testing::ModelConfig config{scenario.cluster, {}};
  for (std::size_t node = 0; node < nodes_.size(); ++node)
    config.ports.push_back(static_cast<std::uint16_t>(first_port + node));
  model_ = testing::make_model(std::move(config), agenda.now());
}

// -- Requests
// ----------------------------------------------------------------------------------------------------------

void Servers::arrive(std::size_t node, Shared inquiry) {
  if (misbehave(scenario_.faults.slow_answer)) {
    // Short of what a lane waits for after an unknown outcome: a server that takes longer can't be helped.
    const Duration pause = scenario_.options.writes.spacing > Duration{0} ? dice_.up_to(3ms) : dice_.up_to(120ms);
    agenda_.after(pause, [this, node, inquiry, process = nodes_[node].process] {
      if (nodes_[node].running && nodes_[node].process == process) serve(node, inquiry);
    });
    return;
  }
  serve(node, inquiry);
}

void Servers::serve(std::size_t node, const Shared& inquiry) {
  if (nodes_[node].frozen) return nodes_[node].held.push_back(inquiry);
  // Given up before it was begun.
  if (inquiry->client_gone) return;
  if (std::optional<std::string> refusal = refusal_of(inquiry->token)) return reply(inquiry, 16, std::move(*refusal));
  if (refuse_by_script(inquiry)) return;
  std::optional<ServerRequest> request = decode_request(inquiry->method, inquiry->bytes);
  if (!request) return reply(inquiry, 13, "the request does not parse");
  if (inquiry->method == wire::Method::get) return serve_read(node, inquiry, std::move(*request));
  serve_write(node, inquiry, std::move(*request));
}

std::optional<std::string> Servers::refusal_of(const std::string& token) {
  if (!scenario_.options.tokens.source) return std::nullopt;
  if (misbehaves_ && token_dice_.chance(scenario_.tokens.refused)) authority_.revoke(token);
  if (authority_.is_good(token)) return std::nullopt;
  switch (token_dice_.below(4)) {
    case 0:
      return "";
    case 1:
      return "Not good: " + token;
    case 2:
      return "Not good: " + token.substr(0, 12);  // cut on its way
    default:
      return std::string(token_dice_.between(170, 220), '.') + token;  // errors of the client cut it
  }
}

bool Servers::refuse_by_script(const Shared& inquiry) {
  if (!misbehave(scenario_.faults.scripted)) return false;
  const Scripted& chosen = scripted[dice_.below(std::size(scripted))];
  core::Reply made;
  made.status = chosen.status;
  made.message = chosen.text;
  if (chosen.pushback != nullptr) made.metadata.emplace_back("grpc-retry-pushback-ms", chosen.pushback);
  reply(inquiry, std::move(made));
  return true;
}

void Servers::serve_read(std::size_t node, const Shared& inquiry, ServerRequest request) {
  if (scenario_.dialects.sdk_levels) {
    const std::optional<std::string> level = from_sdk_level(request.consistency);
    if (!level) return reply(inquiry, 3, "Unknown consistency level: " + request.consistency);
    request.consistency = *level;
  }
  const auto entry =
      model_->read(static_cast<testing::NodeIndex>(node), request.write.key, request.consistency, agenda_.now());
  if (!entry) return refuse(inquiry, node, entry.error());
  const std::optional<Entry> told = stale_or(request, *entry);
  if (!told && scenario_.dialects.missing_is_not_found) return reply(inquiry, 5, "no such key");
  core::Reply made;
  made.body = encode_get_response(told);
  reply(inquiry, std::move(made));
}

// Who asks for any replica's word may hear what was so a while ago.
std::optional<Entry> Servers::stale_or(const ServerRequest& request, const std::optional<Entry>& entry) {
  Told& told = told_[request.write.key];
  const auto version = [](const std::optional<Entry>& of) { return of ? std::optional(of->version) : std::nullopt; };
  if (version(told.last) != version(entry)) told.before = std::exchange(told.last, entry);
  const bool any_replica = request.consistency == "eventual" || request.consistency == "bounded_staleness";
  return any_replica && misbehave(0.3) ? told.before : entry;
}

void Servers::serve_write(std::size_t node, const Shared& inquiry, ServerRequest request) {
  request.write.fate = inquiry->fate;
  auto started = model_->begin_write(static_cast<testing::NodeIndex>(node), std::move(request.write), agenda_.now());
  if (!started) return refuse(inquiry, node, started.error());
  if (started->repeated) return finish_write(inquiry, *started->repeated);
  look_after(std::make_shared<UnderWay>(
      UnderWay{inquiry, started->ticket, nodes_[node].process, misbehave(scenario_.faults.commit_timeout)}));
}

// A write that is under way: asked after until it is answered, its client is gone, or its time is over.
void Servers::look_after(const std::shared_ptr<UnderWay>& write) {
  const std::size_t node = write->ticket.node;
  const Shared& inquiry = write->inquiry;
  const TimePoint now = agenda_.now();
  if (nodes_[node].process != write->process || !nodes_[node].running || inquiry->client_gone)
    return model_->abandon_write(write->ticket, now);
  TimePoint again = now + 20ms;
  if (!nodes_[node].frozen) {
    testing::WriteProgress progress = model_->poll_write(write->ticket, now);
    if (progress.answer) {
      if (!*progress.answer) return refuse(inquiry, node, progress.answer->error());
      if (write->commit_times_out) return reply(inquiry, 13, "Put failed: CommitTimeout { elapsed_ms: 5000 }");
      return finish_write(inquiry, **progress.answer);
    }
    if (inquiry->deadline <= now) {
      model_->abandon_write(write->ticket, now);
      return reply(inquiry, 1, "Timeout expired");
    }
    again = std::min(progress.ask_again, std::max(inquiry->deadline, now + 1us));
  }
  // Leaders move meanwhile, and clients go: those are noticed within this time.
  agenda_.at(std::min(again, now + 20ms), [this, write] { look_after(write); });
}

void Servers::finish_write(const Shared& inquiry, Version version) {
  core::Reply made;
  made.body = inquiry->method == wire::Method::put ? encode_put_response(version) : encode_remove_response(version);
  reply(inquiry, std::move(made));
}

void Servers::refuse(const Shared& inquiry, std::size_t node, const testing::Refusal& refusal) {
  core::Reply made;
  made.status = static_cast<int>(refusal.code);
  made.message = refusal.text;
  if (is_not_leader(refusal)) {
    if (scenario_.dialects.not_leader_is_precondition) {
      made.status = static_cast<int>(testing::StatusCode::failed_precondition);
      made.message = "Not leader";
    }
    std::string hint = hint_text(node, refusal);
    if (!hint.empty()) {
      made.metadata.emplace_back(scenario_.dialects.hint_key_is_vectors ? "x-norikv-leader" : "leader-hint",
                                 std::move(hint));
    }
  }
  reply(inquiry, std::move(made));
}

std::string Servers::hint_text(std::size_t node, const testing::Refusal& refusal) {
  if (misbehave(scenario_.faults.hostile_hint)) {
    switch (dice_.below(6)) {
      case 0:
        return address_of_node(node);  // itself
      case 1:
        return "192.0.2.1:7447";
      case 2:
        return std::string(1024, 'x');
      case 3:
        return "node77-shard0";
      case 4:
        return {};
      default:
        return address_of_node(dice_.below(nodes_.size()));
    }
  }
  if (!scenario_.dialects.hints || refusal.leader_hint.empty()) return {};
  if (!scenario_.dialects.hint_is_id) return refusal.leader_hint;
  for (std::size_t each = 0; each < nodes_.size(); ++each) {
    if (address_of_node(each) == refusal.leader_hint)
      return testing::replica_id(static_cast<testing::NodeIndex>(each), 0);
  }
  return {};
}

void Servers::reply(const Shared& inquiry, core::Reply made) {
  if (inquiry->client_gone) return;
  if (made.status == 0 && misbehave(scenario_.faults.garbage)) {
    switch (dice_.below(3)) {
      case 0:
        made.body.reset();
        break;
      case 1:
        made.body = "\xff\xff\xff";
        break;
      default:
        made.body = "\x0a\x05gar";
    }
  }
  inquiry->answer(std::move(made));
}

// -- Nodes
// -------------------------------------------------------------------------------------------------------------

void Servers::stop(std::size_t node) {
  trace_("node {} stops", node);
  nodes_[node].running = false;
  nodes_[node].frozen = false;
  nodes_[node].held.clear();
  if (scenario_.cluster.profile == testing::Profile::norikv) kills_.push_back(agenda_.stamp());
  model_->stop(static_cast<testing::NodeIndex>(node), agenda_.now());
}

void Servers::restart(std::size_t node) {
  trace_("node {} starts again", node);
  nodes_[node].running = true;
  ++nodes_[node].process;
  model_->restart(static_cast<testing::NodeIndex>(node), agenda_.now());
}

void Servers::freeze(std::size_t node) {
  trace_("node {} freezes", node);
  nodes_[node].frozen = true;
  model_->freeze(static_cast<testing::NodeIndex>(node), agenda_.now());
}

void Servers::thaw(std::size_t node) {
  trace_("node {} thaws", node);
  nodes_[node].frozen = false;
  model_->thaw(static_cast<testing::NodeIndex>(node), agenda_.now());
  for (const Shared& inquiry : std::exchange(nodes_[node].held, {})) serve(node, inquiry);
}

bool Servers::move_leader(std::uint32_t shard, std::size_t node) {
  const bool moved = model_->move_leader(shard, static_cast<testing::NodeIndex>(node), agenda_.now());
  if (moved) trace_("shard {}: node {} leads now", shard, node);
  return moved;
}

// -- Views
// -------------------------------------------------------------------------------------------------------------

wire::View Servers::view(std::size_t node) {
  return through_wire(model_->view(static_cast<testing::NodeIndex>(node), agenda_.now()));
}

std::uint64_t Servers::view_epoch(std::size_t node) {
  return model_->view_epoch(static_cast<testing::NodeIndex>(node), agenda_.now());
}

TimePoint Servers::next_view(std::size_t node) {
  return model_->next_view(static_cast<testing::NodeIndex>(node), agenda_.now());
}

}  // namespace norikv::simulation
