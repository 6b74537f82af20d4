#pragma once

// The longer texts of --help.
namespace norikv::cli::help {

inline constexpr const char* program =
    R"(Talks to a NoriKV cluster from a shell, and serves one for tests (`norikv serve`).)";

inline constexpr const char* program_more =
    R"(--nodes, --shards, --timeout and --json may stand before or after the command.
A key or value that begins with a dash goes after `--`: norikv put -- -key -value
TIME is a number and its unit: 500ms, 30s, 2m, 12h, 7d.

Environment (an option comes first; empty = not set):
  NORIKV_NODES    HOST:PORT,... as --nodes
  NORIKV_SHARDS   N as --shards, also for `serve`
  NORIKV_TOKEN    TEXT as --token

Exit codes:
  0  done
  1  the key is not there, or --if-version did not hold
  2  wrong usage: nothing was sent
  3  no node can be reached, or the time ran out
  4  any other error
With every code but 0 one line on stderr says what to do; with --json it is an object with
"error", "message" and "exit_code". JSON gives bytes that are not UTF-8 in base64, in a field
whose name ends in _base64: "value_base64" instead of "value".)";

inline constexpr const char* put_more = R"(Prints the new version as TERM:INDEX.
--json: {"key":"k","version":"0:7"}

--if-version takes the version from `get --json`. Today's server compares and writes in two steps:
two such writes at the same time can both succeed.)";

inline constexpr const char* get_more = R"(Writes the value as it is, with a newline only if stdout is a terminal.
A missing key: exit code 1 and nothing on stdout.
--json: {"key":"k","value":"v","version":"0:7"})";

inline constexpr const char* del_more = R"(Prints nothing. Removing a missing key is no error: the server does not tell.
--json: {"key":"k","version":"0:8"})";

inline constexpr const char* watch_more =
    R"(Prints one line per event until SIGINT or SIGTERM, then ends with 0. The first line is the state
as it is: the nodes, and how many shards have a known leader.
--json: {"event":"replay"|"change","generation":1,"cause":"...","nodes":[{"address","id","role",
"health"}],"leaders":[{"shard":0,"before":null,"after":"127.0.0.1:7447","source":"view"}]}; a
replay has all known leaders, a change those that changed. Warnings go to stderr.)";

inline constexpr const char* serve_more = R"(Serves an empty cluster in memory, on 127.0.0.1, until SIGINT or SIGTERM.
Prints `listening 127.0.0.1:PORT` per node once all of them listen.
--json: {"listening":"127.0.0.1:7447"}

Profiles:
  norikv      the server as it is today: a shard elects its leader on its first touch, writes of
              one shard that overlap are lost, nodes know nothing of each other
  replicated  one leader per shard, every node has all data, compare-and-swap is atomic)";

inline constexpr const char* shard_more = R"(Prints `KEY HASH SHARD` per key; asks no server.
--json: {"key":"k","hash":"123","shard":4}, with --hex "key_hex"; the hash is a string because
it does not fit into the numbers of many JSON readers.)";

inline constexpr const char* bench_more =
    R"(Stores its keys, with a TTL of --time and an hour, then does one operation again and again and
prints how many ended, how long they took and how the times spread. SIGINT ends it early.

Without --rate one that ends starts the next. With --rate they start when they are due, at most
--in-flight at a time, and times count from then on: waiting for a slow cluster is in them. What is
due within a quarter of a millisecond starts together. One that fails is counted and has no time.
--transport, --writes-per-shard and --timeout are what your program's ClientOptions would say.
--json: {"op","in_flight","rate","value_bytes","keys","transport","seconds","operations",
"ops_per_s","cpu_us_per_op","missing","failed","errors":{"timed_out":1},"p50_us","p90_us","p99_us",
"p999_us","max_us"})";

}  // namespace norikv::cli::help
