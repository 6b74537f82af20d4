#include "cli/arguments.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <norikv/version.hpp>

#include "cli/help.hpp"
#include "cli/options.hpp"
#include "cli/parse.hpp"
#include "cli/shield.hpp"

namespace norikv::cli {
namespace {

/// testing::Cluster takes no more.
constexpr std::uint32_t most_served_nodes = 64;

using Command = decltype(Invocation::command);

/// One command: its part of the grammar, and what makes a value of what was found.
struct Entry {
  CLI::App* app;
  SharedOptions own;
  std::function<Command(const Settings&)> take;
};

CLI::App& add_command(CLI::App& program, const char* name, const char* what, const char* more) {
  CLI::App* const app = program.add_subcommand(name, what);
  app->footer(more);
  return *app;
}

Entry put_entry(CLI::App& program) {
  CLI::App& app = add_command(program, "put", "Store a value", help::put_more);
  const CLI::Option* key = add_text(app, "KEY", "", "Up to 1024 bytes")->required();
  const CLI::Option* value = add_text(app, "VALUE", "", "Up to 1 MiB; - reads stdin")->required();
  const CLI::Option* ttl = add_text(app, "--ttl", "TIME", "The key disappears after this long");
  const CLI::Option* condition = add_text(app, "--if-version", "T:I", "Only if the key has this version");
  const CLI::Option* token =
      add_text(app, "--idempotency-key", "K", "Lets the server drop a repetition; never reuse K for another write");
  const SharedOptions own = SharedOptions::all(app);
  return {&app, own, [=](const Settings& settings) -> Command {
            Put put{settings.target(own), *given(key), given(value), {}, {}, given(token)};
            if (put.value == "-") put.value.reset();
            if (const auto text = given(ttl)) put.ttl = checked("--ttl", parse_duration(*text));
            if (const auto text = given(condition)) put.if_version = checked("--if-version", parse_version(*text));
            if (put.idempotency_key == "") throw UsageError{"--idempotency-key: must not be empty"};
            return put;
          }};
}

Entry get_entry(CLI::App& program) {
  CLI::App& app = add_command(program, "get", "Write a value to stdout", help::get_more);
  const CLI::Option* key = add_text(app, "KEY", "", "Up to 1024 bytes")->required();
  const CLI::Option* level = add_text(app, "--consistency", "C", "lease [default], linearizable, stale or bounded");
  const SharedOptions own = SharedOptions::all(app);
  return {&app, own, [=](const Settings& settings) -> Command {
            Get get{settings.target(own), *given(key)};
            if (const auto text = given(level)) get.consistency = checked("--consistency", parse_consistency(*text));
            return get;
          }};
}

Entry del_entry(CLI::App& program) {
  CLI::App& app = add_command(program, "del", "Remove a key", help::del_more);
  const CLI::Option* key = add_text(app, "KEY", "", "Up to 1024 bytes")->required();
  const SharedOptions own = SharedOptions::all(app);
  return {&app, own, [=](const Settings& settings) -> Command { return Del{settings.target(own), *given(key)}; }};
}

Entry watch_entry(CLI::App& program) {
  CLI::App& app = add_command(program, "watch", "Print changes of nodes and leaders", help::watch_more);
  SharedOptions own;
  own.add_nodes(app);
  own.add_shards(app);
  own.add_json(app);
  own.add_security(app);
  return {&app, own, [=](const Settings& settings) -> Command { return Watch{settings.target(own)}; }};
}

Entry serve_entry(CLI::App& program) {
  CLI::App& app = add_command(program, "serve", "Serve a cluster in memory, for tests", help::serve_more);
  const CLI::Option* nodes = add_text(app, "--nodes", "N", "How many nodes [1]");
  const CLI::Option* port =
      add_text(app, "--port", "P", "Of the first node, the others follow [7447]; 0: any free ports");
  const CLI::Option* profile = add_text(app, "--profile", "NAME", "norikv [default] or replicated");
  const CLI::Option* delay = add_flag(app, "--commit-delay", "Writes take 50 to 150 ms, as on the real server");
  const CLI::Option* cert = add_text(app, "--tls-cert", "FILE", "Serve TLS with this certificate");
  const CLI::Option* key = add_text(app, "--tls-key", "FILE", "The key of --tls-cert");
  const CLI::Option* client_ca = add_text(app, "--tls-client-ca", "FILE", "Let in only clients of these authorities");
  const CLI::Option* token = add_text(app, "--token", "TEXT", "Ask every request for this token");
  SharedOptions own;
  own.shards = add_text(app, "--shards", "S", "How many shards [NORIKV_SHARDS; 1024]");
  own.add_json(app);
  return {
      &app, own, [=](const Settings& settings) -> Command {
        if (is_given(settings.program().nodes)) {
          throw UsageError{"--nodes before serve names addresses: write serve --nodes N for a number of nodes"};
        }
        if (settings.program().asks_for_security()) {
          throw UsageError{"--tls and --token before serve are for clients: write them after serve"};
        }
        testing::ClusterConfig config;
        config.total_shards = settings.shards(own);
        config.port = 7447;
        config.commit_delay = is_given(delay);
        if (const auto text = given(nodes))
          config.nodes = checked("--nodes", parse_number(*text, 1, most_served_nodes));
        if (const auto text = given(port)) {
          config.port = static_cast<std::uint16_t>(checked("--port", parse_number(*text, 0, 65'535)));
        }
        if (const auto text = given(profile)) config.profile = checked("--profile", parse_profile(*text));
        if (config.port != 0 && config.port + config.nodes - 1 > 65'535) {
          throw UsageError{fmt::format("--port: {} nodes from port {} on pass port 65535", config.nodes, config.port)};
        }
        if (is_given(cert) != is_given(key)) throw UsageError{"--tls-cert and --tls-key go together"};
        if (is_given(client_ca) && !is_given(cert)) throw UsageError{"--tls-client-ca needs --tls-cert and --tls-key"};
        if (const auto text = given(token)) config.tokens = testing::RequiredTokens{{*text}};
        return Serve{config, given(cert).value_or(""), given(key).value_or(""), given(client_ca).value_or("")};
      }};
}

Entry shard_entry(CLI::App& program) {
  CLI::App& app = add_command(program, "shard", "Print where keys live; asks no server", help::shard_more);
  const CLI::Option* keys = add_text(app, "KEY", "", "Any bytes")
                                ->required()
                                ->expected(1, CLI::detail::expected_max_vector_size)
                                ->allow_extra_args();
  const CLI::Option* hex = add_flag(app, "--hex", "Keys are given as hex digits");
  SharedOptions own;
  own.add_shards(app);
  own.add_json(app);
  return {&app, own, [=](const Settings& settings) -> Command {
            Shard shard{{}, is_given(hex), settings.shards(own)};
            for (const std::string& word : keys->results()) {
              const std::string key = unshield(word);
              shard.keys.push_back({key, shard.hex ? checked("--hex", parse_hex(key)) : key});
            }
            return shard;
          }};
}

Entry bench_entry(CLI::App& program) {
  CLI::App& app = add_command(program, "bench", "Put load on a cluster and print what it takes", help::bench_more);
  const CLI::Option* verb = add_text(app, "--op", "OP", "get [default] or put");
  const CLI::Option* time = add_text(app, "--time", "TIME", "How long it is measured [10s]");
  const CLI::Option* in_flight = add_text(app, "--in-flight", "N", "Operations at the same time [64]");
  const CLI::Option* rate = add_text(app, "--rate", "R", "Start R per second, however long they take");
  const CLI::Option* size = add_text(app, "--value-bytes", "B", "Size of the values [100]");
  const CLI::Option* keys = add_text(app, "--keys", "N", "How many keys [1000]");
  const CLI::Option* prefix = add_text(app, "--prefix", "TEXT", "What all keys begin with [norikv-bench/]");
  const CLI::Option* transport = add_text(app, "--transport", "NAME", "grpc [default] or h2");
  const CLI::Option* writes =
      add_text(app, "--writes-per-shard", "N", "Writes of one shard at the same time [1]; 0: no limit");
  const SharedOptions own = SharedOptions::all(app);
  return {&app, own, [=](const Settings& settings) -> Command {
            Bench bench{settings.target(own)};
            const auto number = [](const CLI::Option* option, std::uint32_t& into, std::uint32_t least,
                                   std::uint32_t most) {
              if (const auto text = given(option)) {
                into = checked(option->get_name(), parse_number(*text, least, most));
              }
            };
            number(in_flight, bench.in_flight, 1, 100'000);
            number(size, bench.value_bytes, 0, max_value_size);
            number(keys, bench.keys, 1, 1'000'000);
            number(writes, bench.writes_per_shard, 0, 100'000);
            if (is_given(rate)) number(rate, bench.rate.emplace(), 1, 1'000'000);
            if (const auto text = given(verb)) bench.verb = checked("--op", parse_verb(*text));
            if (const auto text = given(time)) bench.time = checked("--time", parse_duration(*text));
            if (const auto text = given(transport)) bench.transport = checked("--transport", parse_transport(*text));
            if (const auto text = given(prefix)) bench.prefix = *text;
            if (bench.prefix.size() > 1000) throw UsageError{"--prefix: is longer than 1000 bytes"};
            return bench;
          }};
}

/// The command line as CLI11 knows it.
class Grammar {
 public:
  Grammar() {
    app_.require_subcommand(1);
    app_.footer(help::program_more);
    app_.set_version_flag("--version", fmt::format("norikv {}", version()), "Print the version and exit");
    app_.get_formatter()->column_width(32);
    program_ = SharedOptions::all(app_);
    for (const auto make : {put_entry, get_entry, del_entry, watch_entry, serve_entry, shard_entry, bench_entry}) {
      entries_.push_back(make(app_));
    }
  }

  Invocation parse(const std::vector<std::string>& arguments, const Environment& environment) {
    const Shielded shielded = shield(arguments, {"--nodes", "--shards", "--timeout", "--tls-ca", "--tls-cert",
                                                 "--tls-key", "--tls-server-name", "--token", "--token-file"});
    try {
      app_.parse(std::vector<std::string>{shielded.words.rbegin(), shielded.words.rend()});  // CLI11 reads from the end
    } catch (const CLI::CallForVersion& call) {
      return {false, Show{fmt::format("{}\n", call.what())}};
    } catch (const CLI::Success&) {
      return {false, Show{app_.help()}};
    } catch (const CLI::ParseError& error) {
      throw UsageError{complaint(error, shielded)};
    }
    for (const Entry& entry : entries_) {
      if (!entry.app->parsed()) continue;
      return {is_given(program_.json) || is_given(entry.own.json), entry.take(Settings{program_, environment})};
    }
    throw UsageError{"no command"};  // require_subcommand sees to it that there is one
  }

 private:
  [[nodiscard]] std::string complaint(const CLI::ParseError& error, const Shielded& shielded) const {
    std::vector<std::string> names;
    const CLI::App* parsed = nullptr;
    for (const Entry& entry : entries_) {
      names.push_back(entry.app->get_name());
      if (names.back() == shielded.command) parsed = entry.app;
    }
    if (shielded.command.empty()) {
      return fmt::format("name a command: {} (norikv --help tells more)", fmt::join(names, ", "));
    }
    if (parsed == nullptr) {
      return fmt::format("{} is not a command: use one of {}", in_quotes(shielded.command), fmt::join(names, ", "));
    }
    const std::string where = fmt::format("norikv {} --help tells more", parsed->get_name());
    const std::vector<std::string> extra = app_.remaining(true);
    if (extra.empty()) return fmt::format("{}: {} ({})", parsed->get_name(), error.what(), where);
    const std::string word = unshield(extra.front());
    const char* const hint = word.size() > 1 && word.front() == '-' ? "; a key or value with a dash goes after --" : "";
    return fmt::format("{}: {} is not expected here{} ({})", parsed->get_name(), in_quotes(word), hint, where);
  }

  CLI::App app_{help::program, "norikv"};
  SharedOptions program_;
  std::vector<Entry> entries_;
};

}  // namespace

Outcome<Invocation> parse_arguments(const std::vector<std::string>& arguments, const Environment& environment) {
  try {
    return Grammar{}.parse(arguments, environment);
  } catch (UsageError& error) {
    return tl::unexpected(usage_failure(std::move(error.message)));
  }
}

bool asks_for_json(const std::vector<std::string>& arguments) {
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  return std::find(arguments.begin(), end, "--json") != end;
}

}  // namespace norikv::cli
