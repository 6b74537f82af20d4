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
  if (forked()) return fail(callback, closed_by_fork()), 0;
  if (wrong) return refuse(*wrong, request.kind(), std::move(callback)), 0;
  if (!deadline) return refuse(std::move(deadline.error()), request.kind(), std::move(callback)), 0;
  const auto ticket = admission_.try_admit(request.ticket.bytes, request.shard);
  if (!ticket) {
    const bool whole = ticket.error() == core::Admission::Full::client;
    if (whole) filled_up();
    // The refusal itself has to be small: a producer may run into it a million times before the loop turns.
    enter_later([this, whole, kind = request.kind(), callback = std::move(callback)](Way way) mutable {
      if (way == Way::too_late) return fail(callback, closed());
      session_.refuse(std::move(callback), client::make_error(ErrorCode::overloaded, whole ? client_full : node_full),
                      kind, now());
    });
    return 0;
  }
  request.ticket = *ticket;
  if (!admission_.has_room()) filled_up();

  const std::uint64_t id = next_operation_.fetch_add(1, std::memory_order_relaxed);
  request.id = core::OpId{id};
  request.payload = std::make_shared<const std::string>(encode());
  request.submitted = now();
  request.trace = trace_of(options_.trace_context);
  request.deadline = *deadline;
  enter([this, request = std::move(request), callback = std::move(callback)](Way way) mutable {
    if (way == Way::too_late) return fail(callback, closed());
    session_.submit(std::move(request), std::move(callback), now());
  });
  return id;
}

}  // namespace norikv::detail
