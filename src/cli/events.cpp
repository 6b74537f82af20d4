#include "cli/events.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/json.hpp"
#include "cli/parse.hpp"

namespace norikv::cli {
namespace {

/// In a replay every leader that is known; else what changed.
std::vector<LeaderChange> leaders_of(const TopologyEvent& event) {
  if (event.kind == EventKind::change) return event.leaders_changed;
  std::vector<LeaderChange> known;
  for (std::uint32_t shard = 0; shard < event.after->shards.size(); ++shard) {
    const NodeView* const leader = event.after->leader_of(shard);
    if (leader != nullptr) known.push_back({shard, {}, leader->address, event.after->shards[shard].source});
  }
  return known;
}

std::string node_text(const NodeView& node) {
  std::string text = fmt::format("{} {}", node.address, to_string(node.health));
  if (!node.role.empty() && node.role != "unknown") text += fmt::format(", {}", node.role);
  if (!node.id.empty()) text += fmt::format(", id {}", node.id);
  return text;
}

/// The shards that changed, those with the same change together.
std::vector<std::string> leader_texts(const TopologyEvent& event) {
  std::map<std::pair<std::string, std::string>, std::vector<std::uint32_t>> groups;
  for (const LeaderChange& change : leaders_of(event)) groups[{change.before, change.after}].push_back(change.shard);
  std::vector<std::string> texts;
  for (const auto& [change, shards] : groups) {
    const auto name = [](const std::string& address) { return address.empty() ? "no leader" : address.c_str(); };
    const std::string before = event.kind == EventKind::replay ? "" : fmt::format("{} -> ", name(change.first));
    texts.push_back(
        fmt::format("shard{} {}: {}{}", shards.size() == 1 ? "" : "s", ranges(shards), before, name(change.second)));
  }
  return texts;
}

std::string nodes_json(const decltype(ClusterView::nodes)& nodes) {
  std::vector<std::string> objects;
  for (const NodeView& node : nodes) {
    objects.push_back(JsonObject{}
                          .text("address", node.address)
                          .text("id", node.id)
                          .text("role", node.role)
                          .text("health", to_string(node.health))
                          .str());
  }
  return fmt::format("[{}]", fmt::join(objects, ","));
}

std::string leaders_json(const std::vector<LeaderChange>& changes) {
  const auto name = [](const std::string& address) { return address.empty() ? "null" : json_string(address); };
  std::vector<std::string> objects;
  for (const LeaderChange& change : changes) {
    objects.push_back(JsonObject{}
                          .number("shard", change.shard)
                          .raw("before", name(change.before))
                          .raw("after", name(change.after))
                          .text("source", to_string(change.source))
                          .str());
  }
  return fmt::format("[{}]", fmt::join(objects, ","));
}

/// What the client says, in the words of the command's options where it is about them.
std::string message_of(const WarningEvent& event) {
  if (event.kind != WarningKind::shard_count_mismatch) return event.message;
  return fmt::format("{} has another number of shards than this command assumes: pass the right one with --shards",
                     event.node);
}

}  // namespace

std::string to_line(const TopologyEvent& event) {
  const ClusterView& after = *event.after;
  std::vector<std::string> parts;
  for (const NodeView& node : after.nodes) {
    const auto& changed = event.nodes_changed;
    const bool is_news =
        event.kind == EventKind::replay || std::find(changed.begin(), changed.end(), node.address) != changed.end();
    if (is_news) parts.push_back(node_text(node));
  }
  for (const std::string& node : event.nodes_added) parts.push_back(fmt::format("{} added", node));
  for (const std::string& node : event.nodes_removed) parts.push_back(fmt::format("{} removed", node));
  for (std::string& text : leader_texts(event)) parts.push_back(std::move(text));
  if (event.kind == EventKind::replay && parts.size() == after.nodes.size()) parts.emplace_back("no leader known");
  const bool has_cause = event.kind == EventKind::change && !event.cause.empty();
  const std::string cause = has_cause ? fmt::format(" ({})", event.cause) : "";
  return one_line(fmt::format("{} {}: {}{}", after.generation, event.kind == EventKind::replay ? "now" : "change",
                              fmt::join(parts, "; "), cause));
}

std::string to_json(const TopologyEvent& event) {
  return JsonObject{}
      .text("event", event.kind == EventKind::replay ? "replay" : "change")
      .number("generation", event.after->generation)
      .text("cause", event.cause)
      .raw("nodes", nodes_json(event.after->nodes))
      .raw("leaders", leaders_json(leaders_of(event)))
      .str();
}

std::string to_line(const WarningEvent& event) {
  return one_line(fmt::format("norikv: warning: {}", message_of(event)));
}

std::string to_json(const WarningEvent& event) {
  return JsonObject{}
      .text("warning", to_string(event.kind))
      .text("message", message_of(event))
      .text("node", event.node)
      .number("shard", event.shard)
      .str();
}

std::string ranges(const std::vector<std::uint32_t>& ascending) {
  constexpr std::size_t most_groups = 8;
  std::vector<std::string> groups;
  for (std::size_t first = 0; first < ascending.size();) {
    if (groups.size() == most_groups)
      return fmt::format("{} and {} more", fmt::join(groups, ", "), ascending.size() - first);
    std::size_t last = first;
    while (last + 1 < ascending.size() && ascending[last + 1] == ascending[last] + 1) ++last;
    groups.push_back(first == last ? fmt::format("{}", ascending[first])
                                   : fmt::format("{}-{}", ascending[first], ascending[last]));
    first = last + 1;
  }
  return fmt::format("{}", fmt::join(groups, ", "));
}

}  // namespace norikv::cli
