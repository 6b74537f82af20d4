#include <algorithm>

#include "simulation/authority.hpp"
#include "simulation/judge.hpp"
#include "util/text.hpp"

// Tokens: which ones go on the wire, and when their source is asked.
namespace norikv::simulation {
namespace {

// Of those that the client got: those before them it need not know any more when a late answer repeats one.
constexpr std::size_t remembered = 8;

bool is_useful(const Token& token, TimePoint now) {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  return !token.text.empty() && std::ranges::all_of(token.text, printable) && (!token.expires || *token.expires > now);
}

}  // namespace

const Judge::KnownToken* Judge::token_at_hand() const {
  if (tokens_.empty() || tokens_.back().refused) return nullptr;
  const std::optional<TimePoint>& expires = tokens_.back().expires;
  return expires && *expires <= agenda_.now() ? nullptr : &tokens_.back();
}

// The source is asked by one for all, and again when it has been silent for too long.
void Judge::source_needed(const core::TokenCache::Ask& ask) {
  const TokenOptions& options = scenario_.options.tokens;
  const TimePoint now = agenda_.now();
  if (asked_source_ && now < asked_source_->since + options.answer_timeout)
    fail("token-source", "it is asked although it has not answered yet");
  asked_source_ = {ask.id, now};
  const KnownToken* const at_hand = token_at_hand();
  if (at_hand != nullptr) {
    if (ask.reason != TokenReason::expiring) fail("token-source", "it is not told that its token is still in use");
    if (!at_hand->expires) fail("token-source", "it is asked for another token than one that does not end");
    const TimePoint middle = at_hand->given + (*at_hand->expires - at_hand->given) / 2;
    if (now < std::max(middle, *at_hand->expires - options.refresh_before))
      fail("token-source", "it is asked too early for a new token");
    return;
  }
  // One that has ended and was refused, too, may have gone either way.
  const bool ended = !tokens_.empty() && tokens_.back().expires && *tokens_.back().expires <= now;
  const bool refused = !tokens_.empty() && tokens_.back().refused;
  if (!(ended && refused) && ask.reason != (refused ? TokenReason::refused : TokenReason::first))
    fail("token-source", "it is asked for the wrong reason: " + std::string{to_string(ask.reason)});
}

void Judge::source_answers(core::AskId id, const tl::expected<Token, std::string>& answer) {
  if (!asked_source_ || asked_source_->id != id) return;  // too late: it was asked again
  asked_source_.reset();
  if (answer && is_useful(*answer, agenda_.now())) {
    tokens_.push_back({answer->text, answer->expires, agenda_.now()});
  } else {
    source_failed_ = agenda_.stamp();
  }
}

// Each request and each stream carries the token that the source gave last, as long as it is good. One node that
// refuses it stands alone if another one has taken it.
std::size_t Judge::check_token(const core::Metadata& metadata) const {
  if (!scenario_.options.tokens.source) {
    if (!metadata.empty()) fail("token", "there are no tokens, and a request carries something");
    return 0;
  }
  const std::string token = token_in(metadata);
  if (token.empty() || metadata.size() != 1) fail("token", "a request or a stream has no token, or something else");
  if (tokens_.empty() || token != tokens_.back().text) fail("token", "it is not the token that the source gave last");
  const KnownToken& last = tokens_.back();
  if (last.refused && !last.accepted) fail("token", "it is a token that was refused");
  if (last.expires && *last.expires <= agenda_.now()) fail("token", "it is a token that has ended");
  return tokens_.size();
}

void Judge::check_renewed(const OperationRecord& operation, std::size_t token) const {
  for (const AttemptRecord& attempt : operation.attempts) {
    if (token > 0 && attempt.token == token && attempt.ended && attempt.meaning.code == ErrorCode::unauthenticated)
      fail("token", operation, "it carries the token once more that it was refused");
  }
}

void Judge::stream_opens(const core::StartWatch& stream) {
  const std::size_t token = check_token(stream.metadata);
  stream_tokens_[stream.id] = {token, stream.address};
  if (token > 0 && refusing_streams_[stream.address] == token)
    fail("token", "a stream carries the token once more that " + stream.address + " has refused");
}

void Judge::stream_speaks(core::WatchId id) {
  if (const std::size_t token = stream_tokens_[id].token; token > 0) tokens_[token - 1].accepted = true;
}

void Judge::stream_refused(core::WatchId id) {
  const auto& [token, address] = stream_tokens_[id];
  refusing_streams_[address] = token;
  if (token > 0) tokens_[token - 1].refused = true;
}

void Judge::token_answered(std::size_t token, const core::Reply& reply, const Meaning& meaning) {
  if (token == 0) return;
  constexpr int cancelled = 1, deadline_exceeded = 4, unavailable = 14, unauthenticated = 16;
  if (reply.status == unauthenticated)
    tokens_[token - 1].refused = true;
  else if (meaning.kind == Meaning::Class::not_leader ||
           (reply.status != cancelled && reply.status != deadline_exceeded && reply.status != unavailable))
    tokens_[token - 1].accepted = true;  // it may have been: what the wire itself says is no answer
}

// Whether it may have waited for a token when its source failed: nothing of it was on the wire.
bool Judge::source_failed(const OperationRecord& operation) const {
  std::uint64_t since = operation.begin;
  for (const AttemptRecord& attempt : operation.attempts) since = std::max(since, attempt.answered);
  return source_failed_ > since;
}

// Whether more than one token of it was refused; requests beside each other may have carried the same one.
bool Judge::second_token_refused(const OperationRecord& operation) const {
  std::set<std::size_t> refused;
  for (const AttemptRecord& attempt : operation.attempts) {
    if (attempt.token > 0 && attempt.ended && attempt.meaning.code == ErrorCode::unauthenticated)
      refused.insert(attempt.token);
  }
  return refused.size() > 1;
}

// What a server says of a token is not for others to read.
void Judge::check_secrets(const OperationRecord& operation) const {
  std::string told = operation.error->message;
  for (const Attempt& attempt : operation.error->attempts) told += "\n" + attempt.detail;
  for (std::size_t i = tokens_.size() - std::min(tokens_.size(), remembered); i < tokens_.size(); ++i) {
    if (told.find(tokens_[i].text.substr(0, 8)) != std::string::npos)
      fail("secret", operation, "its error tells a token: " + told);
  }
}

}  // namespace norikv::simulation
