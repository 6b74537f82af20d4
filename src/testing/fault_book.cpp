#include "testing/fault_book.hpp"

#include <algorithm>
#include <utility>

namespace norikv::testing {
namespace {

bool matches(const Requests& requests, const RequestInfo& request) {
  if (requests.node && *requests.node != request.node) return false;
  if (requests.method ? *requests.method != request.method : request.method == Method::watch) return false;
  return !requests.key || *requests.key == request.key;
}

}  // namespace

FaultId FaultBook::add(Requests requests, FaultEffect effect, Hits hits) {
  const std::lock_guard lock(mutex_);
  const FaultId id{++last_id_};
  entries_.push_back({id, std::move(requests), std::move(effect), std::move(hits)});
  size_ = entries_.size();
  return id;
}

void FaultBook::remove(FaultId id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [id](const Entry& entry) { return entry.id == id; });
  size_ = entries_.size();
}

bool FaultBook::hit(Entry& entry, const RequestInfo& request) {
  if (!matches(entry.requests, request)) return false;
  if (entry.requests.times && *entry.hits >= *entry.requests.times) return false;
  if (entry.requests.skip > 0) {
    --entry.requests.skip;
    return false;
  }
  ++*entry.hits;
  return true;
}

Duration FaultBook::read_pause(const RequestInfo& request) {
  Duration pause{};
  if (empty()) return pause;
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    if (const auto* late = std::get_if<ReadLate>(&entry.effect); late != nullptr && hit(entry, request)) {
      pause += late->time;
    }
  }
  return pause;
}

Treatment FaultBook::treat(const RequestInfo& request) {
  Treatment treatment;
  const std::lock_guard lock(mutex_);
  bool decided = false;
  for (Entry& entry : entries_) {
    if (std::holds_alternative<ReadLate>(entry.effect)) continue;
    const auto* const delay = std::get_if<DelayRequest>(&entry.effect);
    if ((delay == nullptr && decided) || !hit(entry, request)) continue;
    if (delay != nullptr) {
      treatment.delay += delay->time;
      continue;
    }
    decided = true;
    if (const auto* drop = std::get_if<DropConnection>(&entry.effect)) treatment.drop = drop->moment;
    if (const auto* reply = std::get_if<ScriptedReply>(&entry.effect)) treatment.reply = *reply;
    if (std::holds_alternative<CompressReply>(entry.effect)) treatment.compress = true;
  }
  return treatment;
}

}  // namespace norikv::testing
