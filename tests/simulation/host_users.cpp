#include <norikv/routing.hpp>

#include <utility>

#include "simulation/codec.hpp"
#include "simulation/host.hpp"
#include "util/text.hpp"

// What users do with a client, and what they are told.
namespace norikv::simulation {
namespace {

std::string outcome(const OperationRecord& succeeded) {
  if (succeeded.updated) return succeeded.updated->stored ? "ok, stored" : "ok, kept";
  if (succeeded.is_write()) return "ok";
  return succeeded.seen == missing ? "ok, missing" : "ok, " + text_of(succeeded.seen);
}

const char* looks_text(Looks looks) {
  switch (looks) {
    case Looks::absent:
      return " if it is missing";
    case Looks::unchanged:
      return " if it is unchanged";
    case Looks::update:
      return ", an update";
    case Looks::never:
      break;
  }
  return "";
}

}  // namespace

std::uint64_t Host::submit(Ask ask) {
  OperationRecord record;
  record.method = ask.method;
  record.looks = ask.looks;
  record.max_rounds = ask.max_rounds;
  record.key = ask.key;
  record.shard = shard_of(ask.key, scenario_.options.total_shards);
  record.value = ask.value;
  if (ask.ttl) record.ttl = kept_for(*ask.ttl);
  record.consistency = ask.consistency;
  record.has_idempotency_key = ask.idempotent;
  record.users_key = ask.users_key;
  record.submitted = agenda_.now();
  record.deadline = agenda_.now() + ask.timeout;
  record.wanted = ask.version;
  if (ask.version) record.expected = ask.expected;
  const std::size_t bytes = ask.key.size() + 20;
  const auto ticket = admission_.try_admit(bytes, record.shard);
  if (!ticket) {
    record.refused = true;
    OperationRecord& refused = judge_.submitted(std::move(record));
    refuse(refused, std::move(ask.then));
    return refused.number;
  }

  record.id = core::OpId{next_id_++};
  encode(ask, record);
  OperationRecord& operation = judge_.submitted(std::move(record));
  trace_("client {}: operation {}: {} {} (shard {}){}{}{}{}", index_, operation.number, wire::path(operation.method),
         operation.key, operation.shard, looks_text(operation.looks),
         operation.value == missing ? "" : " " + text_of(operation.value),
         operation.ttl ? " for " + util::to_text(*operation.ttl) : "",
         operation.shares_key            ? " with a key that was used before"
         : operation.has_idempotency_key ? " with a key"
                                         : "");
  auto kept = std::make_shared<std::pair<core::Request, core::Callback>>(
      request_of(operation, *ticket, std::move(ask.decide)), callback_of(operation, std::move(ask.then)));
  enter([this, kept] { session_.submit(std::move(kept->first), std::move(kept->second), agenda_.now()); });
  return operation.number;
}

void Host::encode(const Ask& ask, OperationRecord& record) {
  if (ask.idempotent) {
    record.idempotency_key = ask.key_of ? judge_.operation(*ask.key_of).idempotency_key
                                        : "client " + std::to_string(index_) + " operation " + std::to_string(next_id_);
  }
  const std::string& token = record.idempotency_key;
  std::string bytes;  // an update's are known when it is decided
  if (ask.method == wire::Method::get) {
    bytes = wire::encode_get(ask.key);
  } else if (ask.method == wire::Method::remove) {
    bytes = wire::encode(wire::RemoveRequest{ask.key, token, ask.version});
  } else if (ask.looks != Looks::update) {
    bytes = wire::encode(
        wire::PutRequest{ask.key, text_of(ask.value), wire::ttl_in_milliseconds(ask.ttl), token, ask.version});
  }
  record.payload = std::make_shared<const std::string>(std::move(bytes));
  if (ask.looks != Looks::never) record.look = std::make_shared<const std::string>(wire::encode_get(ask.key));
}

core::Request Host::request_of(OperationRecord& operation, const core::Ticket& ticket, Decision decide) {
  core::Request request;
  request.id = operation.id;
  request.method = operation.method;
  request.shard = operation.shard;
  request.payload = operation.payload;
  request.consistency = operation.consistency;
  request.expected = operation.wanted;
  request.has_idempotency_key = operation.has_idempotency_key;
  request.user_idempotency_key = operation.users_key;
  request.ticket = ticket;
  request.submitted = operation.submitted;
  request.deadline = operation.deadline;
  if (operation.looks == Looks::never) return request;
  core::Conditional& conditional = request.conditional.emplace();
  conditional.key = operation.key;
  conditional.look = operation.look;
  conditional.kind = operation.looks == Looks::absent      ? core::Conditional::Kind::absent
                     : operation.looks == Looks::unchanged ? core::Conditional::Kind::unchanged
                                                           : core::Conditional::Kind::update;
  if (operation.looks != Looks::update) return request;
  request.purpose = OperationKind::update;
  conditional.max_rounds = operation.max_rounds;
  conditional.update = [this, record = &operation, decide = std::move(decide)](const std::optional<Entry>& found) {
    std::optional<Stored> stored;
    in_callback([&] {
      judge_.asked(*record, found);
      stored = decide(*record);
      judge_.decided(*record, stored ? std::optional(stored->value) : std::nullopt,
                     stored ? stored->ttl : std::nullopt);
      trace_("client {}: operation {} makes {} of {}", index_, record->number,
             stored ? text_of(stored->value) : "nothing new", found ? found->value : "a missing key");
    });
    return stored ? Change::store(text_of(stored->value), stored->ttl) : Change::keep();
  };
  return request;
}

void Host::refuse(OperationRecord& operation, Then then) {
  if (admission_.operations() == 0) judge_.fail("admission", operation, "an empty client is full");
  auto callback = std::make_shared<core::Callback>(callback_of(operation, std::move(then)));
  const OperationKind kind = operation.looks == Looks::update        ? OperationKind::update
                             : operation.method == wire::Method::put ? OperationKind::put
                             : operation.method == wire::Method::get ? OperationKind::get
                                                                     : OperationKind::remove;
  post([this, callback, kind] {
    Error error;
    error.code = ErrorCode::overloaded;
    session_.refuse(std::move(*callback), std::move(error), kind, agenda_.now());
  });
}

void Host::in_callback(const std::function<void()>& run) {
  try {
    run();
  } catch (Violation& violation) {
    caught_ = std::move(violation);
  }
}

template <class Result, class Keep>
void Host::tell(OperationRecord& operation, const Then& then, Result& result, Keep keep) {
  in_callback([&] {
    if (result) keep(*result);
    trace_("client {}: operation {} ends: {}", index_, operation.number,
           result ? outcome(operation) : result.error().describe());
    judge_.told(operation, result ? std::nullopt : std::optional(std::move(result.error())));
    if (then) then(operation);
  });
}

core::Callback Host::callback_of(OperationRecord& operation, Then then) {
  OperationRecord* const record = &operation;
  if (operation.looks == Looks::update) {
    return UpdateCallback{[this, record, then = std::move(then)](Result<Updated> result) {
      tell(*record, then, result, [record](const Updated& updated) {
        record->updated = updated;
        record->version = updated.version.value_or(Version{});
      });
    }};
  }
  switch (operation.method) {
    case wire::Method::put:
      return PutCallback{[this, record, then = std::move(then)](Result<Written> result) {
        tell(*record, then, result, [record](const Written& written) { record->version = written.version; });
      }};
    case wire::Method::remove:
      return RemoveCallback{[this, record, then = std::move(then)](Result<Removed> result) {
        tell(*record, then, result, [record](const Removed& removed) { record->version = removed.version; });
      }};
    default:
      return GetCallback{[this, record, then = std::move(then)](Result<std::optional<Entry>> result) {
        tell(*record, then, result, [record](const std::optional<Entry>& entry) {
          record->seen = value_of(entry);
          if (entry) record->version = entry->version;
        });
      }};
  }
}

void Host::cancel(std::uint64_t number_of) {
  OperationRecord& operation = judge_.operation(number_of);
  if (operation.refused) return;
  judge_.cancelled(operation);
  trace_("client {}: operation {} is cancelled", index_, number_of);
  enter([this, id = operation.id] { session_.cancel(id, agenda_.now()); });
}

Host::Called& Host::expect_call(std::string what) {
  called_.push_back({std::move(what), 0});
  return called_.back();
}

void Host::drain() {
  Called* const called = &expect_call("drain");
  // A barrier comes behind everything that was submitted before it.
  const std::vector<std::uint64_t> before = judge_.pending_operations();
  enter([this, called, before] {
    session_.drain([this, called, before] {
      in_callback([&] {
        if (++called->times > 1) judge_.fail("callback-twice", "a barrier was called back twice");
        for (const std::uint64_t operation : before) {
          if (judge_.operation(operation).pending() && !judge_.operation(operation).refused)
            judge_.fail("drain", judge_.operation(operation), "a barrier overtook it");
        }
      });
    });
  });
}

void Host::wait_ready(Need need, Duration timeout) {
  Called* const called = &expect_call("wait_ready");
  const TimePoint deadline = agenda_.now() + timeout;
  enter([this, called, need, deadline] {
    session_.wait_ready(need, deadline, [this, called, deadline](Result<void> result) {
      in_callback([&] {
        if (++called->times > 1) judge_.fail("callback-twice", "wait_ready was called back twice");
        if (!result && result.error().code == ErrorCode::deadline_exceeded && agenda_.now() < deadline)
          judge_.fail("wrong-end", "wait_ready ran out of time too early");
      });
    });
  });
}

// What a subscriber sees first is the state at its place among the events.
void Host::subscribe() {
  Called* const called = &expect_call("subscribe");
  enter([this, called] {
    session_.defer([this, called, view = session_.cluster()] {
      in_callback([&] {
        if (++called->times > 1) judge_.fail("callback-twice", "a replay came twice");
        judge_.replay(*view);
      });
    });
  });
}

void Host::set_nodes(const std::vector<std::size_t>& nodes) {
  if (closing_) return;
  std::vector<std::string> addresses;
  for (const std::size_t node : nodes) addresses.push_back(address_of_node(node));
  enter([this, nodes, addresses] {
    if (closing_) return;
    trace_("client {}: has {} nodes from now on, the first is {}", index_, addresses.size(), addresses.front());
    judge_.named(nodes);
    session_.set_nodes(addresses, agenda_.now());
  });
}

void Host::close(Duration grace) {
  trace_("client {}: is closed", index_);
  closing_ = true;
  const TimePoint ends = agenda_.now() + grace;
  enter([this, grace, ends] {
    session_closing_ = true;
    judge_.closing(std::max(ends, agenda_.now() + grace));
    session_.close(grace, agenda_.now());
  });
  wake(agenda_.now());
}

}  // namespace norikv::simulation
