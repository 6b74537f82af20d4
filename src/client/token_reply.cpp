#include <norikv/security.hpp>

#include <atomic>
#include <utility>

namespace norikv {

/// One answer, whoever gives it first.
class TokenReply::State {
 public:
  explicit State(Answer answer) : answer_(std::move(answer)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { give(tl::unexpected<std::string>("the token source dropped its reply without an answer")); }

  void give(tl::expected<Token, std::string> result) {
    if (given_.exchange(true, std::memory_order_acq_rel)) return;
    Answer answer = std::move(answer_);
    if (answer) answer(std::move(result));
  }

 private:
  std::atomic<bool> given_{false};
  Answer answer_;
};

TokenReply::TokenReply(Answer answer) : state_(std::make_shared<State>(std::move(answer))) {}

void TokenReply::succeed(Token token) const {
  if (state_ != nullptr) state_->give(std::move(token));  // null: moved from
}

void TokenReply::fail(std::string why) const {
  if (state_ != nullptr) state_->give(tl::unexpected(std::move(why)));
}

}  // namespace norikv
