#include <norikv/testing/faults.hpp>

#include <utility>

#include "testing/fault_state.hpp"

namespace norikv::testing {

Fault::Fault(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Fault::Fault(Fault&&) noexcept = default;

Fault& Fault::operator=(Fault&& other) noexcept {
  if (this == &other) return *this;
  heal();
  state_ = std::move(other.state_);
  return *this;
}

Fault::~Fault() { heal(); }

void Fault::heal() noexcept {
  if (!state_ || !state_->undo) return;
  auto undo = std::exchange(state_->undo, nullptr);
  undo();
}

std::uint64_t Fault::hits() const noexcept { return state_ && state_->hits ? state_->hits->load() : 0; }

}  // namespace norikv::testing
