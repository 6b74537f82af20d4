#include "client/tls.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "client/validation.hpp"
#include "transport/tls/certificates.hpp"
#include "util/text.hpp"

namespace norikv::client {
namespace {

// A bundle of all public authorities has 200 KiB. More is a wrong file, be it one without an end.
constexpr std::size_t largest_pem = 4 * 1024 * 1024;
constexpr std::size_t longest_name = 253;  // of a host in DNS

tl::unexpected<Error> invalid(std::string_view field, std::string_view why) {
  return tl::unexpected(
      make_error(ErrorCode::invalid_argument, "TlsOptions::" + std::string(field) + " " + std::string(why)));
}

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

transport::Checked<std::string> read_file(const std::string& path) {
  const auto named = [&] { return "\"" + util::one_line(path) + "\""; };
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
  std::string bytes;
  while (file != nullptr && bytes.size() <= largest_pem) {
    char block[4096];
    const std::size_t got = std::fread(block, 1, sizeof block, file.get());
    if (got == 0) break;
    bytes.append(block, got);
  }
  if (file == nullptr || std::ferror(file.get()) != 0)
    return tl::unexpected("can't read the file " + named() + ": " + std::generic_category().message(errno));
  if (bytes.size() > largest_pem) return tl::unexpected("takes a file of at most 4 MiB; " + named() + " is larger");
  return bytes;
}

/// The text of one field; empty = it is not set.
transport::Checked<std::string> text_of(const Pem& pem) {
  if (!pem.text.empty() && !pem.file.empty()) return tl::unexpected<std::string>("has a text and a file; give one");
  return pem.file.empty() ? pem.text : read_file(pem.file);
}

bool is_set(const Pem& pem) { return !pem.text.empty() || !pem.file.empty(); }

bool is_name(std::string_view name) {
  return name.size() <= longest_name && std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

Result<core::TlsMaterial> load(const TlsOptions& options) {
  core::TlsMaterial material;
  if (!is_name(options.server_name)) return invalid("server_name", "is no name of a host");
  material.server_name = options.server_name;

  if (is_set(options.ca)) {
    auto ca = text_of(options.ca);
    if (!ca) return invalid("ca", ca.error());
    if (auto good = transport::check_authorities(*ca); !good) return invalid("ca", good.error());
    material.ca = std::move(*ca);
  }
  if (is_set(options.certificate) != is_set(options.key)) {
    return is_set(options.key) ? invalid("key", "is set without TlsOptions::certificate")
                               : invalid("certificate", "is set without TlsOptions::key");
  }
  if (!is_set(options.certificate)) return material;

  auto certificate = text_of(options.certificate);
  if (!certificate) return invalid("certificate", certificate.error());
  const auto facts = transport::check_certificate(*certificate);
  if (!facts) return invalid("certificate", facts.error());
  auto key = text_of(options.key);
  if (!key) return invalid("key", key.error());
  if (auto good = transport::check_key(*key); !good) return invalid("key", good.error());
  if (auto good = transport::check_pair(*certificate, *key); !good) return invalid("key", good.error());
  material.certificate = std::move(*certificate);
  material.key = std::move(*key);
  material.certificate_ends = facts->ends;
  return material;
}

}  // namespace norikv::client
