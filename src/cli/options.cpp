#include "cli/options.hpp"

#include <norikv/options.hpp>

namespace norikv::cli {
namespace {

/// The client and the test cluster take no more.
constexpr std::uint32_t most_shards = 1U << 20U;

}  // namespace

CLI::Option* add_text(CLI::App& app, const std::string& name, const char* type, const std::string& help) {
  return app.add_option(name, CLI::callback_t([](const CLI::results_t&) { return true; }), help)->type_name(type);
}

CLI::Option* add_flag(CLI::App& app, const std::string& name, const std::string& help) {
  return app.add_flag(name, help);
}

bool is_given(const CLI::Option* option) { return option != nullptr && option->count() > 0; }

std::optional<std::string> given(const CLI::Option* option) {
  if (!is_given(option)) return std::nullopt;
  return unshield(option->results().back());
}

void SharedOptions::add_nodes(CLI::App& app) {
  nodes = add_text(app, "--nodes", "HOST:PORT,...", "The cluster's nodes [NORIKV_NODES; 127.0.0.1:7447]");
}

void SharedOptions::add_shards(CLI::App& app) {
  shards = add_text(app, "--shards", "N", "The server's number of shards [NORIKV_SHARDS; 1024]");
}

void SharedOptions::add_timeout(CLI::App& app) {
  timeout = add_text(app, "--timeout", "TIME", "How long to try, retries included [5s]");
}

void SharedOptions::add_json(CLI::App& app) { json = add_flag(app, "--json", "Print JSON, errors too"); }

SharedOptions SharedOptions::all(CLI::App& app) {
  SharedOptions options;
  options.add_nodes(app);
  options.add_shards(app);
  options.add_timeout(app);
  options.add_json(app);
  return options;
}

std::uint32_t Settings::shards(const SharedOptions& own) const {
  const auto found = look_up(own.shards, program_.shards, "--shards", "NORIKV_SHARDS");
  return found ? checked(found->source, parse_number(found->text, 1, most_shards)) : ClientOptions{}.total_shards;
}

Target Settings::target(const SharedOptions& own) const {
  Target target{{"127.0.0.1:7447"}, "the default", shards(own), ClientOptions{}.timeout};
  if (const auto found = look_up(own.nodes, program_.nodes, "--nodes", "NORIKV_NODES")) {
    target.nodes = split_nodes(found->text);
    if (target.nodes.empty())
      throw UsageError{found->source + " names no node: write HOST:PORT, more of them after commas"};
    target.nodes_source = found->source;
  }
  if (const auto found = look_up(own.timeout, program_.timeout, "--timeout", nullptr)) {
    target.timeout = checked(found->source, parse_duration(found->text));
  }
  return target;
}

std::optional<Settings::Found> Settings::look_up(const CLI::Option* own, const CLI::Option* program, const char* name,
                                                 const char* variable) const {
  if (auto text = given(own)) return Found{name, std::move(*text)};
  if (auto text = given(program)) return Found{name, std::move(*text)};
  if (variable == nullptr) return std::nullopt;
  auto text = environment_(variable);
  if (!text || text->empty()) return std::nullopt;
  return Found{variable, std::move(*text)};
}

}  // namespace norikv::cli
