#include "cli/options.hpp"

#include <algorithm>

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

void SharedOptions::add_security(CLI::App& app) {
  tls = add_flag(app, "--tls", "Use TLS; implied by the other --tls options");
  tls_ca = add_text(app, "--tls-ca", "FILE", "Authorities to trust [the system's]");
  tls_cert = add_text(app, "--tls-cert", "FILE", "The client's own certificate");
  tls_key = add_text(app, "--tls-key", "FILE", "The key of --tls-cert");
  tls_server_name = add_text(app, "--tls-server-name", "NAME", "The name in the servers' certificates");
  token = add_text(app, "--token", "TEXT", "A token to send [NORIKV_TOKEN]; the list of processes shows it");
  token_file = add_text(app, "--token-file", "FILE", "A file with the token to send");
  token_in_plaintext = add_flag(app, "--token-in-plaintext", "Send the token without TLS");
}

bool SharedOptions::asks_for_security() const {
  const auto all = {tls, tls_ca, tls_cert, tls_key, tls_server_name, token, token_file, token_in_plaintext};
  return std::any_of(all.begin(), all.end(), is_given);
}

SharedOptions SharedOptions::all(CLI::App& app) {
  SharedOptions options;
  options.add_nodes(app);
  options.add_shards(app);
  options.add_timeout(app);
  options.add_json(app);
  options.add_security(app);
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
  secure(target, own);
  return target;
}

void Settings::secure(Target& target, const SharedOptions& own) const {
  TlsOptions tls;
  bool wanted = is_given(own.tls) || is_given(program_.tls);
  const auto take = [&](const CLI::Option* option, const CLI::Option* program, const char* name, std::string& text) {
    const auto found = look_up(option, program, name, nullptr);
    if (!found) return;
    if (found->text.empty()) throw UsageError{found->source + ": must not be empty"};
    text = found->text;
    wanted = true;
  };
  take(own.tls_ca, program_.tls_ca, "--tls-ca", tls.ca.file);
  take(own.tls_cert, program_.tls_cert, "--tls-cert", tls.certificate.file);
  take(own.tls_key, program_.tls_key, "--tls-key", tls.key.file);
  take(own.tls_server_name, program_.tls_server_name, "--tls-server-name", tls.server_name);
  if (wanted) target.tls = std::move(tls);

  if (const auto found = look_up(own.token_file, program_.token_file, "--token-file", nullptr)) {
    target.token_file = found->text;
  }
  const auto token = look_up(own.token, program_.token, "--token", "NORIKV_TOKEN");
  if (token && target.token_file.empty()) target.token = token->text;
  if (token && token->source == "--token" && !target.token_file.empty())
    throw UsageError{"--token and --token-file: give one of them"};
  target.token_in_plaintext = is_given(own.token_in_plaintext) || is_given(program_.token_in_plaintext);
  const bool has_token = !target.token.empty() || !target.token_file.empty();
  if (has_token && !target.tls && !target.token_in_plaintext) {
    throw UsageError{fmt::format(
        "{}: a token is not sent in plain text: add --tls (or --tls-ca FILE), or --token-in-plaintext if you mean it",
        target.token_file.empty() ? token->source : "--token-file")};
  }
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
