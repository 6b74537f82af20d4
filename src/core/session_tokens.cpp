#include <algorithm>
#include <utility>

#include "core/session.hpp"

// Tokens: who waits for one, and what a source's answer means for them.
namespace norikv::core {

bool Session::may_send(std::uint64_t refused_token, TimePoint now) {
  if (!tokens_.enabled()) return true;
  const bool usable = tokens_.use(now, refused_token) != nullptr;
  if (const std::optional<TokenCache::Ask> ask = tokens_.take_ask()) deliveries_.emplace_back(AskToken{*ask});
  return usable;
}

std::uint64_t Session::add_token(Metadata& metadata, TimePoint now) {
  if (!tokens_.enabled()) return 0;
  const TokenCache::Usable* const usable = tokens_.use(now);
  if (usable == nullptr) return 0;  // whoever sends has asked `may_send` in the same turn
  metadata.emplace_back(tokens_.metadata_key(), usable->value);
  return usable->generation;
}

void Session::await_token(RequestOp& op, TimePoint now) {
  // With a request on the wire its answer decides how to go on.
  if (op.on_wire()) return;
  op.phase = Phase::awaiting_token;
  op.awaits_token = true;
  token_waiters_.insert(op.request.id);
  watch_token_source(now);
}

void Session::leave_token_waiters(RequestOp& op, TimePoint now) {
  if (!std::exchange(op.awaits_token, false)) return;
  token_waiters_.erase(op.request.id);
  watch_token_source(now);
}

/// A timer as long as somebody waits: for the end of a pause, or of the patience with the source.
void Session::watch_token_source(TimePoint now) {
  timers_.cancel(token_timer_);
  bool awaited = !token_waiters_.empty();
  for (const Node& node : nodes_) awaited = awaited || (node.watch && node.watch->awaits_token);
  if (awaited) token_timer_ = timers_.schedule(std::max(tokens_.next_step(), now), {TimerKind::token, 0});
}

void Session::on_token_timer(TimePoint now) {
  // Those whose token was refused come to wait again.
  if (may_send(0, now)) return go_on_with_token(now);
  watch_token_source(now);
}

void Session::on_token(AskId id, tl::expected<Token, std::string> answer, TimePoint now) {
  switch (tokens_.on_answer(id, std::move(answer), now, random_.unit())) {
    case TokenCache::Step::ignored:
      return;
    case TokenCache::Step::renewed:
      return go_on_with_token(now);
    case TokenCache::Step::failed:
      return end_without_token(now);
    case TokenCache::Step::kept:
      return watch_token_source(now);
  }
}

bool Session::awaits(AskId id) const { return tokens_.asking(id) && !(closing_ && operations_.empty()); }

void Session::go_on_with_token(TimePoint now) {
  // In the order of submission. Who comes to wait again does so in a new round.
  for (const OpId id : std::exchange(token_waiters_, {})) {
    RequestOp* const op = find(id);
    if (op == nullptr || !std::exchange(op->awaits_token, false)) continue;
    route(*op, now);
  }
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    std::optional<Watch>& watch = nodes_[node].watch;
    if (!watch || !std::exchange(watch->awaits_token, false) || closing_) continue;
    carry_out(node, watch->op.open_again(now), {}, now);
  }
  watch_token_source(now);
}

void Session::end_without_token(TimePoint now) {
  const std::string why = tokens_.failure();
  std::vector<OpId> ended;
  for (const OpId id : std::exchange(token_waiters_, {})) {
    RequestOp* const op = find(id);
    if (op == nullptr || !std::exchange(op->awaits_token, false)) continue;
    // A search that can't ask is over for all who wait for its result.
    if (op->probing) {
      const std::deque<OpId>& waiters = discoveries_.at(op->request.shard).waiters;
      ended.insert(ended.end(), waiters.begin(), waiters.end());
    }
    ended.push_back(id);
  }
  for (const OpId id : ended) fail(id, ErrorCode::unauthenticated, why, now);
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    std::optional<Watch>& watch = nodes_[node].watch;
    if (!watch || !std::exchange(watch->awaits_token, false) || closing_) continue;
    carry_out(node, watch->op.on_end(now, random_.unit()), why, now);
  }
  watch_token_source(now);
}

}  // namespace norikv::core
