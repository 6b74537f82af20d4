#include <norikv/scope.hpp>

#include <algorithm>
#include <utility>
#include <vector>

#include "client/client_core.hpp"
#include "client/fork.hpp"
#include "client/scope_state.hpp"

namespace norikv {

Scope::Scope() : state_(std::make_shared<detail::ScopeState>()) {}
Scope::Scope(Scope&&) noexcept = default;

Scope& Scope::operator=(Scope&& other) noexcept {
  if (this != &other) {
    end();
    state_ = std::move(other.state_);
  }
  return *this;
}

Scope::~Scope() { end(); }

void Scope::end() noexcept {
  if (state_ != nullptr) state_->end();
}

bool Scope::ended() const noexcept { return state_ == nullptr || state_->ended(); }

std::size_t Scope::operations() const noexcept { return state_ == nullptr ? 0 : state_->operations(); }

std::shared_ptr<detail::ScopeState> ScopeRef::state_of(const Scope& scope) {
  if (scope.state_ != nullptr) return scope.state_;
  // Moved from: not the same as none.
  auto ended = std::make_shared<detail::ScopeState>();
  ended->end();
  return ended;
}

namespace detail {

ScopeMember::ScopeMember(std::shared_ptr<ScopeState> scope) noexcept : scope_(std::move(scope)) {
  scope_->operations_.fetch_add(1, std::memory_order_relaxed);
}

ScopeMember::~ScopeMember() {
  static_cast<void>(leave());
  scope_->operations_.fetch_sub(1, std::memory_order_relaxed);
}

bool ScopeMember::scope_ended() const noexcept { return scope_->ended(); }

bool ScopeMember::join(std::weak_ptr<ClientCore> core, const ClientCore* identity, Tied tied) {
  const std::lock_guard lock{scope_->mutex_};
  if (scope_->ended()) return false;
  joined_ = true;
  core_ = std::move(core);
  identity_ = identity;
  tied_ = tied;
  previous_ = std::exchange(scope_->last_, this);
  (previous_ != nullptr ? previous_->next_ : scope_->first_) = this;
  return true;
}

bool ScopeMember::leave() noexcept {
  // Without the mutex if it can be: in a forked child nobody may be left to release it.
  if (!joined_) return !scope_->ended();
  joined_ = false;
  const std::lock_guard lock{scope_->mutex_};
  (previous_ != nullptr ? previous_->next_ : scope_->first_) = next_;
  (next_ != nullptr ? next_->previous_ : scope_->last_) = previous_;
  return !scope_->ended();
}

ScopeState::ScopeState() noexcept : fork_generation_(client::fork_generation()) {}

void ScopeState::end() {
  if (ended()) return;
  if (client::fork_generation() != fork_generation_) return ended_.store(true, std::memory_order_release);
  struct OfOneClient {
    const ClientCore* identity;
    std::weak_ptr<ClientCore> core;
    std::vector<Tied> tied;
  };
  std::vector<OfOneClient> clients;
  {
    const std::lock_guard lock{mutex_};
    if (ended_.exchange(true, std::memory_order_acq_rel)) return;
    // The latest first, see `ClientCore::cancel`.
    for (const ScopeMember* member = last_; member != nullptr; member = member->previous_) {
      auto found = std::ranges::find(clients, member->identity_, &OfOneClient::identity);
      if (found == clients.end()) found = clients.insert(found, {member->identity_, member->core_, {}});
      found->tied.push_back(member->tied_);
    }
  }
  for (OfOneClient& client : clients) {
    if (const auto core = client.core.lock()) core->cancel(std::move(client.tied));
  }
}

}  // namespace detail
}  // namespace norikv
