#include <norikv/routing.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "client/client_core.hpp"
#include "client/submit.hpp"
#include "client/validation.hpp"

// Many gets with one callback.
namespace norikv::detail {
namespace {

/// Gathers the results of one `get_many`, and hands them on with the last. [loop thread]
class Gathering {
 public:
  Gathering(std::size_t keys, GetManyCallback callback)
      : results_(keys), missing_(keys), callback_(std::move(callback)) {}

  void take(std::size_t place, Result<std::optional<Entry>> result) {
    results_[place] = std::move(result);
    if (--missing_ == 0 && callback_) callback_(std::move(results_));
  }

 private:
  std::vector<Result<std::optional<Entry>>> results_;
  std::size_t missing_;
  GetManyCallback callback_;
};

}  // namespace

void ClientCore::tell_all(GetManyCallback& callback, std::size_t keys, const Error& error) {
  if (callback) callback(std::vector<Result<std::optional<Entry>>>(keys, tl::make_unexpected(error)));
}

std::uint64_t ClientCore::get_many(const Keys& keys, GetOptions options, GetManyCallback callback) {
  ScopeMember* const member = tie_to(options.scope, callback);
  if (forked()) return tell_all(callback, keys.size(), closed_by_fork()), 0;
  const std::uint64_t first = keys.size() == 0 ? 0 : next_operation_.fetch_add(keys.size(), std::memory_order_relaxed);
  // All of them enter together: what seals the mailbox meanwhile ends all or none of them inside this call.
  enter([this, member, first, requests = requests_of(keys, options, first),
         callback = std::move(callback)](Way way) mutable {
    if (way == Way::too_late) return tell_all(callback, requests.size(), closed());
    take_in(first, std::move(requests), member, std::move(callback));
  });
  return first;
}

std::vector<Result<core::Request>> ClientCore::requests_of(const Keys& keys, const GetOptions& options,
                                                           std::uint64_t first) {
  std::optional<Error> wrong =
      client::check_text("GetOptions::consistency_text", options.consistency_text.value_or(""));
  const Result<TimePoint> deadline = client::deadline_of(options.timeout, options.deadline, options_.timeout, now());
  if (!wrong && !deadline) wrong = deadline.error();
  const std::shared_ptr<const TraceContext> trace = trace_of(options_.trace_context);

  std::vector<Result<core::Request>> requests;
  requests.reserve(keys.size());
  for (const std::string_view key : keys) {
    std::optional<Error> error = wrong ? wrong : client::check_key(key);
    if (error) {
      requests.emplace_back(tl::make_unexpected(std::move(*error)));
      continue;
    }
    core::Request request;
    request.id = core::OpId{first + requests.size()};
    request.method = wire::Method::get;
    request.shard = shard_of(key, options_.total_shards);
    request.consistency = options.consistency;
    request.consistency_text = options.consistency_text;
    request.ticket.bytes = key.size();
    request.deadline = *deadline;
    request.trace = trace;
    if (const auto admitted = admit(request, [&] { return wire::encode_get(key); }); !admitted) {
      requests.emplace_back(tl::make_unexpected(full(admitted.error())));
    } else {
      requests.emplace_back(std::move(request));
    }
  }
  return requests;
}

void ClientCore::take_in(std::uint64_t first, std::vector<Result<core::Request>> requests, ScopeMember* member,
                         GetManyCallback callback) {
  if (requests.empty()) {
    return session_.defer([callback = std::move(callback)]() mutable {
      if (callback) callback({});
    });
  }
  const bool goes = join(member, {Tied::Kind::operations, first, requests.size()});
  const auto gathering = std::make_shared<Gathering>(requests.size(), std::move(callback));
  for (std::size_t place = 0; place < requests.size(); ++place) {
    GetCallback one = [gathering, place](Result<std::optional<Entry>> result) {
      gathering->take(place, std::move(result));
    };
    Result<core::Request>& request = requests[place];
    if (!request) {
      session_.refuse(std::move(one), std::move(request.error()), OperationKind::get, now());
      made_room();  // what it took for a moment may have been in somebody's way
    } else if (!goes) {
      turn_away(*request, std::move(one));
    } else {
      session_.submit(std::move(*request), std::move(one), now());
    }
  }
}

}  // namespace norikv::detail
