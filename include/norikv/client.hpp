#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <norikv/cluster.hpp>
#include <norikv/error.hpp>
#include <norikv/export.hpp>
#include <norikv/keys.hpp>
#include <norikv/observable.hpp>
#include <norikv/options.hpp>
#include <norikv/stats.hpp>
#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>
#include <norikv/update.hpp>

struct uv_loop_s;
struct uv_handle_s;

namespace norikv {

class Admin;
class Vectors;

using PutCallback = UniqueFunction<void(Result<Written>)>;
using GetCallback = UniqueFunction<void(Result<std::optional<Entry>>)>;
using GetManyCallback = UniqueFunction<void(std::vector<Result<std::optional<Entry>>>)>;
using RemoveCallback = UniqueFunction<void(Result<Removed>)>;
using ReadyCallback = UniqueFunction<void(Result<void>)>;
using Task = UniqueFunction<void()>;

/// A token for one submitted operation: small, copyable, harmless when stale.
class Operation {
 public:
  Operation() noexcept = default;
  /// Ends the operation with `cancelled` unless it has ended. [any thread] The callback comes later, on the loop's
  /// thread. A write that was on the wire may still be applied: its error says `maybe_applied`.
  NORIKV_EXPORT void cancel() const noexcept;
  /// A number that is unique within the client; 0 for an operation that was refused at once. Of a `get_many`: that of
  /// its first key, the others follow.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

 private:
  friend class Admin;
  friend class Client;
  friend class Vectors;
  Operation(std::weak_ptr<detail::ClientCore> core, std::uint64_t id, std::uint64_t count = 1) noexcept
      : core_(std::move(core)), id_(id), count_(count) {}
  std::weak_ptr<detail::ClientCore> core_;
  std::uint64_t id_ = 0;
  std::uint64_t count_ = 0;  // of operations, their numbers one after the other
};

/// A client of one NoriKV cluster, on one libuv loop.
///
/// Threads: every method may be called from any thread unless it says otherwise. All callbacks run on the loop's
/// thread, never inside a method of this class; each is called exactly once and destroyed on the loop's thread. After
/// the close callback has run there is no loop to use: a call after that gets `closed` inside the call. A callback that
/// throws ends the process.
///
/// Order: operations that one thread submits, or that threads submit in an order they agreed on, start in that order.
/// Only writes of one shard also take effect in that order; a get does not wait for a put that is still queued.
///
/// Lifetime: create it after `fork`; in a forked child every operation ends with `closed`. A client that was moved from
/// behaves like a closed one.
class Client {
 public:
  /// A client on the host's loop. The loop must not be running in another thread at this moment; its first turn decides
  /// which thread is the loop's. The client keeps the loop alive while operations are pending (and until the first
  /// turn), not while it is idle. Error: `invalid_argument`, naming the field and its text, or `unavailable` if libuv
  /// gives no handle.
  [[nodiscard]] static NORIKV_EXPORT Result<Client> create(uv_loop_s* loop, ClientOptions options);

  /// A client with a loop and a thread of its own. Error: `invalid_argument`, naming the field and its text, or
  /// `unavailable` if there is no loop, handle or thread to be had.
  [[nodiscard]] static NORIKV_EXPORT Result<Client> create(ClientOptions options);

  NORIKV_EXPORT Client(Client&&) noexcept;
  NORIKV_EXPORT Client& operator=(Client&&) noexcept;
  /// Closes without grace. Borrowed loop: starts the close and returns; run the loop until `uv_run` returns 0, else the
  /// pending callbacks never come. Owned loop: waits for the loop's thread to end, except on that thread, where it ends
  /// by itself.
  NORIKV_EXPORT ~Client();

  /// Stores `value` under `key`. Both are copied before the call returns and may hold any bytes.
  /// Result: the version. Errors: see ErrorCode; `Error::maybe_applied` says whether the write may have taken effect.
  NORIKV_EXPORT Operation put(std::string_view key, std::string_view value, PutOptions options, PutCallback callback);
  NORIKV_EXPORT Operation put(std::string_view key, std::string_view value, PutCallback callback);

  /// Reads `key`. A missing key is a success without entry; an empty value is an entry.
  NORIKV_EXPORT Operation get(std::string_view key, GetOptions options, GetCallback callback);
  NORIKV_EXPORT Operation get(std::string_view key, GetCallback callback);

  /// Reads many keys, and calls back once, when all of them have ended: with one result for each key, in the order of
  /// the keys. Each is a `get` of its own, with all that holds for one: they are not read at one moment, they count
  /// one by one against the limits (some may be `overloaded`), and a key that is named twice is read twice. No key at
  /// all is an empty result. The token cancels those that have not ended.
  NORIKV_EXPORT Operation get_many(const Keys& keys, GetOptions options, GetManyCallback callback);
  NORIKV_EXPORT Operation get_many(const Keys& keys, GetManyCallback callback);

  /// Removes `key`. Removing a missing key is a success too: the server does not say whether it was there.
  NORIKV_EXPORT Operation remove(std::string_view key, RemoveOptions options, RemoveCallback callback);
  NORIKV_EXPORT Operation remove(std::string_view key, RemoveCallback callback);

  /// Reads `key`, lets `function` say what to store or to keep, and writes that on condition that the key has not
  /// changed since; if it has, all of it again, up to `UpdateOptions::max_rounds` times. One timeout covers all rounds.
  /// Updates, and other writes that look first, work on a key one after the other. A key that is missing is written
  /// without condition: the server has none for it, so another client's first write in between is overwritten.
  /// After an attempt with an unknown outcome it stops with `maybe_applied` instead of applying `function` to its own
  /// result. Today's server compares and writes in two steps: updates of other clients at the same moment can be lost.
  /// Errors: as `put`, and `precondition_failed` when no round succeeded; `invalid_argument` for what `function` wants
  /// to store.
  NORIKV_EXPORT Operation update(std::string_view key, UpdateOptions options, UpdateFunction function,
                                 UpdateCallback callback);
  NORIKV_EXPORT Operation update(std::string_view key, UpdateFunction function, UpdateCallback callback);

  /// The Vector service: include `norikv/vectors.hpp`. Today's server does not have it.
  [[nodiscard]] NORIKV_EXPORT Vectors vectors() const;
  /// The Admin service: include `norikv/admin.hpp`.
  [[nodiscard]] NORIKV_EXPORT Admin admin() const;

  /// Calls back once enough nodes have answered anything: at once (in the next loop turn) if they have.
  /// Without topology streams (`ConnectionOptions::watch_topology`) only the answers to operations count.
  /// Error: `invalid_argument` for the timeout, `deadline_exceeded`, or `closed`.
  NORIKV_EXPORT void wait_ready(ReadyOptions options, ReadyCallback callback);

  /// Changes of nodes and leaders. The first event of a subscription is one replay of the current state.
  [[nodiscard]] NORIKV_EXPORT Observable<TopologyEvent> topology() const;
  /// Changes of leaders alone. The first event of a subscription is one replay of all known leaders.
  [[nodiscard]] NORIKV_EXPORT Observable<LeadershipEvent> leadership() const;
  /// The topology streams. A subscription starts with one replay per node.
  [[nodiscard]] NORIKV_EXPORT Observable<ConnectionEvent> connections() const;
  /// Whether there is room for more operations. A subscription starts with a replay.
  [[nodiscard]] NORIKV_EXPORT Observable<LoadEvent> load() const;
  /// Lost writes and misconfiguration. No replay.
  [[nodiscard]] NORIKV_EXPORT Observable<WarningEvent> warnings() const;

  /// The nodes from now on, instead of ClientOptions::nodes. New ones are connected, and requests that are on their way
  /// to one that is not named any more may end. Error: `invalid_argument`, naming the entry (nothing changes then), or
  /// `closed` in a forked child. On a client that closes, or has closed, it has no effect and is no error.
  [[nodiscard]] NORIKV_EXPORT Result<void> set_nodes(std::vector<std::string> nodes);

  /// The cluster as this client knows it. Never null.
  [[nodiscard]] NORIKV_EXPORT std::shared_ptr<const ClusterView> cluster() const;

  /// Whether the client has room for one more operation. A hint: another thread may take the room, and of several nodes
  /// one may have all that `LimitOptions::queued_per_node` allows; its operations end with `overloaded` all the same.
  /// So do not submit in a loop over this alone: after an `overloaded` go on by `when_room`.
  [[nodiscard]] NORIKV_EXPORT bool has_room() const noexcept;
  /// Calls back once there is room for `operations` more (at most the limit); first come, first served. After an
  /// operation was refused with `overloaded` not before another one has ended: whoever tries the same again and again,
  /// for a node that is full or with a value that is too large for now, does so once for each that ends. Error:
  /// `closed`, if the client closes before.
  NORIKV_EXPORT void when_room(std::size_t operations, ReadyCallback callback);

  /// What was counted since the client was created, and what it holds now. [any thread] A copy of some kilobytes, more
  /// with many nodes; it waits for nobody's callbacks. A client that has closed keeps its last numbers; of one that was
  /// moved from all are 0.
  [[nodiscard]] NORIKV_EXPORT Stats stats() const;

  /// Keep the loop alive even while no operation is pending, for a program that only watches; `unref` ends that. Flags,
  /// not counters, as in libuv.
  NORIKV_EXPORT void ref();
  NORIKV_EXPORT void unref();

  /// Runs `task` on the loop's thread in a later turn, in order with operations submitted by this thread. After the
  /// close callback the task is destroyed without being run.
  NORIKV_EXPORT void post(Task task);
  /// Whether this is the loop's thread. False before the loop's first turn.
  [[nodiscard]] NORIKV_EXPORT bool on_loop_thread() const noexcept;

  /// [loop thread] Whether a libuv handle belongs to this client: a host that walks its loop leaves those to `close`.
  /// One that closed them nevertheless calls `close` after its walk, on the loop's thread: that still gives everything
  /// back.
  [[nodiscard]] NORIKV_EXPORT bool owns(const uv_handle_s* handle) const noexcept;

  /// Replaces the certificates: connections that are made from now on use these. Topology streams move to such ones
  /// (`connecting`, then `connected`), calls under way end on the ones they have, and then those are dropped. A client
  /// that was created without TLS begins to use it. Files are read inside the call.
  /// Error: `invalid_argument`, naming the field (nothing changes then), or `closed` once the client has closed and in
  /// a forked child. On a client that is closing it has no effect and is no error.
  [[nodiscard]] NORIKV_EXPORT Result<void> set_tls(TlsOptions options);

  /// A barrier: calls back when everything that was submitted before has called back. Refuses nothing.
  NORIKV_EXPORT void drain(Task callback);

  /// Closes: no new operation is accepted, pending ones may finish for `grace`, then end with `closed`; then every
  /// handle, connection and stream is given back. The callback is the library's last touch of loop and memory. May be
  /// called again: each callback comes once, and the shortest grace counts; more than `max_duration` is as much. A
  /// callback that got `closed` must not submit again: that ends with `closed` as well, for ever.
  NORIKV_EXPORT void close(CloseOptions options, Task callback);
  NORIKV_EXPORT void close(Task callback = {});

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl) noexcept;
  [[nodiscard]] std::shared_ptr<detail::ClientCore> core() const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace norikv
