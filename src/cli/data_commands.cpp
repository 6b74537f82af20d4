#include <future>
#include <optional>
#include <string>
#include <utility>

#include <norikv/client.hpp>

#include "cli/commands.hpp"
#include "cli/connect.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/parse.hpp"

namespace norikv::cli {
namespace {

/// Calls `submit` with a callback and waits until that was called, on the client's thread.
template <class T, class Submit>
Outcome<T> wait_for(const Target& target, Submit submit) {
  std::promise<Result<T>> promise;
  std::future<Result<T>> future = promise.get_future();
  submit([promise = std::move(promise)](Result<T> result) mutable { promise.set_value(std::move(result)); });
  Result<T> result = future.get();
  if (!result) return tl::unexpected(client_failure(std::move(result.error()), target));
  return std::move(*result);
}

std::string version_json(const std::string& key, Version version) {
  return JsonObject{}.bytes("key", key).text("version", to_text(version)).str() + '\n';
}

PutOptions options_of(const Put& put) {
  PutOptions options;
  options.ttl = put.ttl;
  if (put.if_version) options.precondition = at(*put.if_version);
  if (put.idempotency_key) options.idempotency_key = *put.idempotency_key;
  return options;
}

}  // namespace

Outcome<void> run(const Put& put, Format format) {
  Outcome<std::string> value = put.value ? Outcome<std::string>{*put.value} : read_stdin(max_value_size);
  if (!value) return tl::unexpected(std::move(value.error()));
  Outcome<Client> client = connect(put.target);
  if (!client) return tl::unexpected(std::move(client.error()));
  const auto written = wait_for<Written>(
      put.target, [&](PutCallback done) { client->put(put.key, *value, options_of(put), std::move(done)); });
  if (!written) return tl::unexpected(written.error());
  return write_stdout(format == Format::json ? version_json(put.key, written->version)
                                             : to_text(written->version) + '\n');
}

Outcome<void> run(const Get& get, Format format) {
  Outcome<Client> client = connect(get.target);
  if (!client) return tl::unexpected(std::move(client.error()));
  GetOptions options;
  options.consistency = get.consistency;
  const auto found = wait_for<std::optional<Entry>>(
      get.target, [&](GetCallback done) { client->get(get.key, options, std::move(done)); });
  if (!found) return tl::unexpected(found.error());
  if (!*found) return tl::unexpected(missing_key_failure());
  const Entry& entry = **found;
  if (format == Format::json) {
    return write_stdout(
        JsonObject{}.bytes("key", get.key).bytes("value", entry.value).text("version", to_text(entry.version)).str() +
        '\n');
  }
  return write_stdout(stdout_is_terminal() ? entry.value + '\n' : entry.value);
}

Outcome<void> run(const Del& del, Format format) {
  Outcome<Client> client = connect(del.target);
  if (!client) return tl::unexpected(std::move(client.error()));
  const auto removed =
      wait_for<Removed>(del.target, [&](RemoveCallback done) { client->remove(del.key, std::move(done)); });
  if (!removed) return tl::unexpected(removed.error());
  return format == Format::json ? write_stdout(version_json(del.key, removed->version)) : Outcome<void>{};
}

}  // namespace norikv::cli
