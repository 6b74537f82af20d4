#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "client/client_core.hpp"
#include "client/validation.hpp"
#include "util/random.hpp"
#include "util/trace_context.hpp"

// How every operation enters the session: checked and admitted on the user's thread, then handed to the loop's. For the
// .cpp files that make operations alone.
namespace norikv::detail {

inline TimePoint now() { return std::chrono::steady_clock::now(); }

inline constexpr std::string_view client_full = "the client is full (LimitOptions); see has_room and when_room";
inline constexpr std::string_view node_full =
    "too many operations wait for the node that leads this shard (LimitOptions::queued_per_node)";

inline Error closed() { return client::make_error(ErrorCode::closed, "the client is closed"); }

inline Error closed_by_fork() {
  return client::make_error(ErrorCode::closed,
                            "the process was forked after the client was created; create one in the child");
}

template <class Callback>
void fail(Callback& callback, Error error) {
  if (callback) callback(tl::make_unexpected(std::move(error)));
}

// The text of an idempotency key; an automatic one is drawn here, once for all attempts.
inline std::string key_text(const IdempotencyKey& key) {
  return key.is_automatic() ? util::random_token() : key.text();
}

// An exception has nowhere to go: the operation has taken its place by now.
inline std::shared_ptr<const TraceContext> trace_of(const std::function<TraceContext()>& hook) noexcept {
  return hook ? util::well_formed(hook()) : nullptr;
}

// The key an operation was given, or the one the client gives to all.
inline IdempotencyKey key_of(const IdempotencyKey& given, const WriteOptions& options) {
  return !given.is_set() && options.automatic_idempotency_keys ? IdempotencyKey{automatic} : given;
}

inline void set_idempotency(core::Request& request, const IdempotencyKey& key) {
  request.has_idempotency_key = key.is_set();
  request.user_idempotency_key = key.is_set() && !key.is_automatic();
}

inline Error scope_ended() { return client::make_error(ErrorCode::cancelled, "the operation's scope has ended"); }

inline Error full(core::Admission::Full what) {
  return client::make_error(ErrorCode::overloaded, what == core::Admission::Full::client ? client_full : node_full);
}

inline std::optional<Error> why_not(const ScopeMember* member, const std::optional<Error>& wrong,
                                    const Result<TimePoint>& deadline) {
  if (member != nullptr && member->scope_ended()) return scope_ended();
  if (wrong) return wrong;
  return deadline ? std::nullopt : std::optional<Error>{deadline.error()};
}

template <class Callback>
ScopeMember* ClientCore::tie_to(ScopeRef& scope, Callback& callback) {
  if (scope.state_ == nullptr) return nullptr;
  auto [tied, member] = tie(std::move(scope.state_), std::move(callback));
  callback = std::move(tied);
  return member;
}

template <class Encode>
tl::expected<void, core::Admission::Full> ClientCore::admit(core::Request& request, const Encode& encode) {
  const auto ticket = admission_.try_admit(request.ticket.bytes, request.shard);
  if (!ticket) {
    if (ticket.error() == core::Admission::Full::client) filled_up();
    return tl::make_unexpected(ticket.error());
  }
  request.ticket = *ticket;
  if (!admission_.has_room()) filled_up();
  request.payload = std::make_shared<const std::string>(encode());
  request.submitted = now();
  return {};
}

template <class Callback>
void ClientCore::refuse(Error error, OperationKind kind, Callback callback) {
  enter_later([this, kind, error = std::move(error), callback = std::move(callback)](Way way) mutable {
    if (way == Way::too_late) return fail(callback, closed());
    session_.refuse(std::move(callback), std::move(error), kind, now());
  });
}

template <class Encode, class Callback>
std::uint64_t ClientCore::submit(core::Request request, Encode encode, const std::optional<Error>& wrong,
                                 Result<TimePoint> deadline, Callback callback) {
  ScopeMember* const member = tie_to(request.scope, callback);
  if (forked()) return fail(callback, closed_by_fork()), 0;
  std::optional<Error> error = why_not(member, wrong, deadline);
  // Not overloaded: whoever waited for room for it would wait for ever.
  if (!error && request.ticket.bytes > options_.limits.bytes)
    error = client::make_error(ErrorCode::invalid_argument, "the operation is larger than LimitOptions::bytes");
  if (error) {
    request.conditional.reset();  // before its callback, which keeps the user's function too, can end on the loop
    return refuse(std::move(*error), request.kind(), std::move(callback)), 0;
  }
  if (const auto admitted = admit(request, encode); !admitted) {
    request.conditional.reset();  // as above
    // The refusal itself has to be small: a producer may run into it a million times before the loop turns.
    enter_later(
        [this, what = admitted.error(), kind = request.kind(), callback = std::move(callback)](Way way) mutable {
          if (way == Way::too_late) return fail(callback, closed());
          session_.refuse(std::move(callback), full(what), kind, now());
          made_room();  // what it took for a moment may have been in somebody's way
        });
    return 0;
  }
  const std::uint64_t id = next_operation_.fetch_add(1, std::memory_order_relaxed);
  request.id = core::OpId{id};
  request.trace = trace_of(options_.trace_context);
  request.deadline = *deadline;
  enter([this, member, request = std::move(request), callback = std::move(callback)](Way way) mutable {
    if (way == Way::too_late) return fail(callback, closed());
    if (!join(member, {Tied::Kind::operations, static_cast<std::uint64_t>(request.id)})) {
      return turn_away(request, std::move(callback));
    }
    session_.submit(std::move(request), std::move(callback), now());
  });
  return id;
}

}  // namespace norikv::detail
