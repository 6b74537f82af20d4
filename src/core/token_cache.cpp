#include "core/token_cache.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "core/backoff.hpp"
#include "util/text.hpp"

namespace norikv::core {
namespace {

// Servers take 8 KiB of metadata in all, unless they are told otherwise.
constexpr std::size_t longest_token = 8192;
// Tokens that a late answer may still repeat.
constexpr std::size_t most_recent = 8;
// Shorter ones are no secrets, and would be found everywhere.
constexpr std::size_t shortest_secret = 4;
// Transports cut texts, maybe in the middle of a token: so much of it at the end is taken for one.
constexpr std::size_t shortest_part = 8;
constexpr std::string_view redacted = "<token>";
// Before a source is asked again that failed, or whose token no server took.
constexpr Backoff failing_source{std::chrono::milliseconds{100}, std::chrono::seconds{2}};
// A refusal that comes later than this after the last one is the first one again.
constexpr Duration refusals_forgotten = 2 * failing_source.cap;

}  // namespace

TokenCache::TokenCache(const TokenOptions& options)
    : enabled_(static_cast<bool>(options.source)),
      metadata_key_(options.metadata_key),
      prefix_(options.prefix),
      refresh_before_(options.refresh_before),
      answer_timeout_(options.answer_timeout) {}

const TokenCache::Usable* TokenCache::use(TimePoint now, std::uint64_t refused) {
  if (current_ && current_->ends <= now) current_.reset();
  if (!current_) {
    ask(TokenReason::first, now);
    return nullptr;
  }
  if (current_->refused) {
    ask(TokenReason::refused, now);
    if (!current_->accepted || current_->usable.generation == refused) return nullptr;
  } else if (current_->refresh_at <= now) {
    ask(TokenReason::expiring, now);
  }
  return &current_->usable;
}

void TokenCache::ask(TokenReason reason, TimePoint now) {
  if (asked_) {
    if (now < asked_->since + answer_timeout_) return;
    failure_ = "the token source did not answer for " + util::to_text(answer_timeout_);
  } else if (now < not_before_) {
    return;
  }
  const AskId id{next_ask_++};
  asked_ = Asked{id, now};
  pending_ = Ask{id, reason};
}

TimePoint TokenCache::next_step() const { return asked_ ? asked_->since + answer_timeout_ : not_before_; }

TokenCache::Step TokenCache::on_answer(AskId id, tl::expected<Token, std::string> answer, TimePoint now,
                                       double fraction) {
  if (!asking(id)) return Step::ignored;
  asked_.reset();
  failure_ = answer ? why_useless(*answer, now) : "the token source failed: " + util::one_line(answer.error());
  if (!failure_.empty()) {
    pause(failures_++, now, fraction);
    return current_ && !current_->refused && current_->ends > now ? Step::kept : Step::failed;
  }
  recent_.push_back(answer->text);
  if (recent_.size() > most_recent) recent_.pop_front();
  const TimePoint ends = answer->expires.value_or(TimePoint::max());
  Current renewed{{prefix_ + answer->text, ++generation_}, TimePoint::max(), ends};
  // A token that lives no longer than the margin is not asked for all the time.
  if (answer->expires) renewed.refresh_at = std::max(ends - refresh_before_, now + (ends - now) / 2);
  current_ = std::move(renewed);
  return Step::renewed;
}

std::string TokenCache::why_useless(const Token& token, TimePoint now) const {
  if (token.text.empty()) return "the token source gave an empty token";
  if (token.text.size() > longest_token) return "the token source gave a token of more than 8192 bytes";
  const auto legal = [](char c) { return c >= ' ' && c <= '~'; };
  if (!std::ranges::all_of(token.text, legal)) return "the token source gave a token that is not printable ASCII";
  if (token.expires && *token.expires <= now) return "the token source gave a token that had ended already";
  return {};
}

void TokenCache::redact(std::string& text) const {
  if (text.empty()) return;
  for (const std::string& token : recent_) {
    if (token.size() < shortest_secret) continue;
    for (std::size_t at = text.find(token); at != std::string::npos; at = text.find(token, at + redacted.size()))
      text.replace(at, token.size(), redacted);
    for (std::size_t part = std::min(token.size() - 1, text.size()); part >= shortest_part; --part) {
      if (!text.ends_with(std::string_view{token}.substr(0, part))) continue;
      text.replace(text.size() - part, part, redacted);
      break;
    }
  }
}

void TokenCache::pause(std::uint32_t retry, TimePoint now, double fraction) {
  not_before_ = now + backoff_delay(failing_source, retry, fraction);
}

void TokenCache::on_accepted(std::uint64_t generation) {
  if (!current_ || current_->usable.generation != generation) return;
  current_->accepted = true;
  failures_ = 0;
}

void TokenCache::on_refused(std::uint64_t generation, TimePoint now, double fraction) {
  if (!current_ || current_->usable.generation != generation) return;  // there is another one already
  if (std::exchange(current_->refused, true)) return;
  refusals_ = now - latest_refusal_ < refusals_forgotten ? refusals_ + 1 : 0;
  latest_refusal_ = now;
  // A token that was good once is renewed at once; a source whose tokens nobody takes, or one node never takes, is not
  // asked all the time.
  if (!current_->accepted)
    pause(failures_++, now, fraction);
  else if (refusals_ > 0)
    pause(refusals_ - 1, now, fraction);
}

}  // namespace norikv::core
