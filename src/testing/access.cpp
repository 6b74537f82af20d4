#include "testing/access.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "transport/tls/certificates.hpp"

namespace norikv::testing {
namespace {

std::shared_ptr<grpc::ServerCredentials> credentials_of(const ServerTls& tls) {
  grpc::SslServerCredentialsOptions options(tls.client_ca.empty()
                                                ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_key_cert_pairs.push_back({tls.key, tls.certificate});
  options.pem_root_certs = tls.client_ca;
  return grpc::SslServerCredentials(options);
}

Result<void> named(std::string_view field, const transport::Checked<void>& checked) {
  if (checked) return {};
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.message = "ServerTls::" + std::string(field) + " " + checked.error();
  return tl::unexpected(std::move(error));
}

}  // namespace

Result<void> check(const ServerTls& tls) {
  const auto nothing = [](const auto&) {};
  return named("certificate", transport::check_certificate(tls.certificate).map(nothing))
      .and_then([&] { return named("key", transport::check_key(tls.key)); })
      .and_then([&] { return named("key", transport::check_pair(tls.certificate, tls.key)); })
      .and_then([&] {
        return tls.client_ca.empty() ? Result<void>{} : named("client_ca", transport::check_authorities(tls.client_ca));
      });
}

Access::Access(const std::optional<ServerTls>& tls, std::optional<RequiredTokens> tokens)
    : credentials_(tls ? credentials_of(*tls) : grpc::InsecureServerCredentials()), tokens_(std::move(tokens)) {}

std::shared_ptr<grpc::ServerCredentials> Access::credentials() const {
  const std::lock_guard lock(mutex_);
  return credentials_;
}

void Access::secure(const ServerTls& tls) {
  auto credentials = credentials_of(tls);
  const std::lock_guard lock(mutex_);
  credentials_.swap(credentials);
}

void Access::require(std::optional<RequiredTokens> tokens) {
  const std::lock_guard lock(mutex_);
  tokens_.swap(tokens);
}

bool Access::admits(const Exchange& call) const {
  const std::lock_guard lock(mutex_);
  if (!tokens_) return true;
  const std::string value = call.metadata(tokens_->metadata_key);
  return value.starts_with(tokens_->prefix) &&
         std::ranges::count(tokens_->accepted, std::string_view(value).substr(tokens_->prefix.size())) > 0;
}

}  // namespace norikv::testing
