#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include <norikv/security.hpp>

namespace norikv::core {

/// Names one request to the token source.
enum class AskId : std::uint64_t {};

/// The token in use, and when the source is asked for another: one request at a time, ahead of the token's end while
/// it is still used, after a refusal, and after a pause when the source failed or what it gave was refused. Decides
/// only; the session (its owner) lets operations wait and hands requests to the driver.
class TokenCache {
 public:
  explicit TokenCache(const TokenOptions& options);

  /// Whether requests carry tokens at all.
  [[nodiscard]] bool enabled() const { return enabled_; }

  struct Usable {
    std::string value;             ///< Of the metadata: prefix and token.
    std::uint64_t generation = 0;  ///< Which token it is, from 1.
  };
  /// The token to send now; null while there is none: wait for an answer, at most until `next_step`. Begins to ask the
  /// source where that is due. `refused`: the token that this sender was refused, 0 = none. All others go on with it
  /// until there is a new one, if some node has taken it: one node that refuses what all others take stands alone.
  [[nodiscard]] const Usable* use(TimePoint now, std::uint64_t refused = 0);
  [[nodiscard]] const std::string& metadata_key() const { return metadata_key_; }

  /// A request that the source has to be given; each is told once.
  struct Ask {
    AskId id{};
    TokenReason reason{};
  };
  [[nodiscard]] std::optional<Ask> take_ask() { return std::exchange(pending_, std::nullopt); }
  /// Whether somebody still waits for this answer.
  [[nodiscard]] bool asking(AskId id) const { return asked_ && asked_->id == id; }
  /// When `use` has to be called again although no answer came, as long as somebody waits.
  [[nodiscard]] TimePoint next_step() const;

  enum class Step : std::uint8_t {
    ignored,  ///< Too late: somebody else was asked meanwhile.
    renewed,  ///< There is a token: let those who wait go on.
    failed,   ///< There is none; see `failure`. Those who wait end.
    kept,     ///< There is no new one, but the one in use is still good: nobody waits.
  };
  /// What the source said. `fraction` is a random number in (0, 1].
  [[nodiscard]] Step on_answer(AskId id, tl::expected<Token, std::string> answer, TimePoint now, double fraction);
  /// A server took a request with this token.
  void on_accepted(std::uint64_t generation);
  /// A server refused a request because of this token.
  void on_refused(std::uint64_t generation, TimePoint now, double fraction);

  /// Takes the tokens that requests carry, or carried not long ago, out of what somebody else says.
  void redact(std::string& text) const;

  /// Why the source gave no token the last time; empty = it did, or was not asked.
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  struct Current {
    Usable usable;
    TimePoint refresh_at;
    TimePoint ends;
    bool accepted = false;  // by some node
    bool refused = false;   // by some node
  };
  struct Asked {
    AskId id{};
    TimePoint since;
  };

  void ask(TokenReason reason, TimePoint now);
  void pause(std::uint32_t retry, TimePoint now, double fraction);
  [[nodiscard]] std::string why_useless(const Token& token, TimePoint now) const;

  const bool enabled_;
  const std::string metadata_key_;
  const std::string prefix_;
  const Duration refresh_before_;
  const Duration answer_timeout_;

  std::optional<Current> current_;
  std::deque<std::string> recent_;  // the latest tokens, without prefix
  std::optional<Asked> asked_;
  std::optional<Ask> pending_;
  std::string failure_;
  std::uint32_t failures_ = 0;  // in a row: no token, or one that no server took
  std::uint32_t refusals_ = 0;  // one soon after the other, of tokens that some server took
  TimePoint latest_refusal_{};
  TimePoint not_before_{};  // the pause after a failure
  std::uint64_t generation_ = 0;
  std::uint64_t next_ask_ = 1;
};

}  // namespace norikv::core
